from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auricle.encoder.contract import Encoded
from auricle.encoder.host import EncoderProcess, probe_audio
from auricle.encoder.load import parse_encoder

EXAMPLES = Path(__file__).parents[2] / "examples"
LENGTHS = [1, 159, 640, 641, 16_000, 37_123]


def chirp(num_samples: int) -> np.ndarray:
    return probe_audio(3, num_samples)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Start each encoder once."""
    started: dict[str, EncoderProcess] = {}

    def get(text: str) -> EncoderProcess:
        if text not in started:
            log = tmp_path_factory.mktemp("log") / "log"
            started[text] = EncoderProcess(parse_encoder(text), log_path=log)
            started[text].load()
        return started[text]

    yield get
    for process in started.values():
        process.close()


@pytest.fixture
def encode(
    request: pytest.FixtureRequest, processes: Callable[[str], EncoderProcess]
) -> Callable[..., list[Encoded]]:
    process = processes(request.param)
    return lambda *audio: process.encode(audio, labels=[str(len(a)) for a in audio])


ALL = [
    "logmel",
    "noise",
    *(str(EXAMPLES / f"{n}.py") for n in ("minimal", "mean_1s", "eight_band")),
]


@pytest.mark.parametrize("encode", ALL, indirect=True, ids=lambda p: Path(p).stem)
def test_features_are_the_windows_own_whatever_it_is_padded_to(
    encode: Callable[..., list[Encoded]],
) -> None:
    windows = [chirp(length) for length in LENGTHS]
    together = encode(*windows)
    for window, padded in zip(windows, together, strict=True):
        alone = encode(window)[0]
        assert alone.frames.shape == padded.frames.shape
        assert np.allclose(alone.frames, padded.frames, atol=1e-5)
        assert np.abs(alone.frames).max() < 20


@pytest.mark.parametrize(
    ("encode", "dim", "frames"),
    [
        ("logmel", 256, [1, 1, 1, 2, 25, 59]),
        ("noise", 256, [1, 1, 1, 2, 25, 59]),
        (str(EXAMPLES / "minimal.py"), 1, [1, 1, 1, 2, 25, 59]),
        (str(EXAMPLES / "eight_band.py"), 32, [1, 1, 1, 2, 25, 59]),
        (str(EXAMPLES / "mean_1s.py"), 64, [1, 1, 1, 1, 1, 3]),
    ],
    indirect=["encode"],
    ids=lambda p: Path(p).stem if isinstance(p, str) else "",
)
def test_frame_counts_and_widths(
    encode: Callable[..., list[Encoded]], dim: int, frames: list[int]
) -> None:
    encoded = encode(*(chirp(length) for length in LENGTHS))
    assert [e.frames.shape for e in encoded] == [(count, dim) for count in frames]


@pytest.mark.parametrize("encode", ["logmel"], indirect=True)
def test_log_mel_equals_a_plain_computation(encode: Callable[..., list[Encoded]]) -> None:
    """Frame by frame with numpy and filters built from Slaney's published breakpoints."""
    window = chirp(1600)
    mine = encode(window)[0].frames.reshape(-1, 64)  # frames of 10 ms
    padded = np.concatenate([window, np.zeros(2_000)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    top = 15 + np.log(8_000 / 1_000) / (np.log(6.4) / 27)
    mels = np.linspace(0, top, 66)
    edges = np.where(mels < 15, mels * 200 / 3, 1_000 * 6.4 ** ((mels - 15) / 27))
    bins = np.fft.rfftfreq(400, 1 / 16_000)
    for frame in (0, 5, 9):
        power = np.abs(np.fft.rfft(padded[frame * 160 :][:400] * hann / hann.sum())) ** 2
        for band in (0, 13, 40, 63):
            low, middle, high = edges[band : band + 3]
            weights = np.interp(bins, [low, middle, high], [0, 1, 0]) * 2 / (high - low)
            expected = (np.log10(max(power @ weights, 1e-11)) + 7) * 0.4
            assert mine[frame, band] == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("encode", ["logmel"], indirect=True)
def test_log_mel_is_finite_and_small_for_silence_and_full_scale(
    encode: Callable[..., list[Encoded]],
) -> None:
    silence = encode(np.zeros(16_000, np.float32))[0].frames
    square = encode(np.sign(chirp(16_000)))[0].frames
    assert np.allclose(silence, (-11 + 7) * 0.4)
    assert np.abs(square).max() < 3


@pytest.mark.parametrize("encode", ["noise"], indirect=True)
def test_noise_tells_only_whether_two_windows_are_the_same(
    encode: Callable[..., list[Encoded]],
) -> None:
    window = chirp(160_000)
    same, again = encode(window)[0].frames, encode(window)[0].frames
    other_window = window.copy()
    other_window[77] += 1e-6
    other = encode(other_window)[0].frames
    assert np.array_equal(same, again)
    # 64,000 independent values of variance 1: a correlation's standard error is 1 / 253.
    assert abs(np.mean(same * other)) < 5 / 253
    assert abs(same.mean()) < 5 / 253
    assert abs(same.var() - 1) < 5 / 253
