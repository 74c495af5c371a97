"""Hugging Face models: tiny ones with random weights, against transformers' own preprocessing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auricle.encoder.checks import check_encoder
from auricle.encoder.host import EncoderProcess, probe_audio
from auricle.encoder.load import parse_encoder
from auricle.encoder.properties import difference_of
from auricle.errors import EncoderLoadError
from hf_models import WAVE, bert_config, qwen_config, save_remote, wave_config, whisper_config

pytestmark = pytest.mark.slow  # each test starts processes that import transformers

Start = Callable[..., EncoderProcess]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    import transformers

    folder = tmp_path_factory.mktemp("models")

    def make(name: str, config: Any, **more: Any) -> Path:
        path = folder / name
        if not path.exists():
            torch.manual_seed(1)
            model = getattr(transformers, name)(config)
            model.save_pretrained(path)
            if "extractor" in more:
                more["extractor"].save_pretrained(path)
        return path

    return make


@pytest.fixture(scope="module")
def whisper(models: Callable[..., Path]) -> Path:
    return models("WhisperForConditionalGeneration", whisper_config())


def encode(process: EncoderProcess, *audio: np.ndarray) -> list[np.ndarray]:
    labels = [f"{len(samples)} samples" for samples in audio]
    return [one.as_float32() for one in process.encode(audio, labels=labels)]


def agree(mine: np.ndarray, theirs: torch.Tensor, tolerance: float = 1e-3) -> None:
    difference = difference_of([theirs.detach().numpy()], [mine])
    assert difference is not None, (mine.shape, theirs.shape)
    assert difference < tolerance


def test_whisper_hears_a_window_as_its_own_extractor_does(start: Start, whisper: Path) -> None:
    import transformers

    model = transformers.WhisperModel.from_pretrained(whisper).get_encoder().eval()
    extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=3)
    process = start(f"hf:{whisper}")
    assert process.info.output_dim == 16
    assert any(path.endswith("model.safetensors") for path in process.info.files)
    windows = [probe_audio(1, 12_345), probe_audio(2, 48_000), probe_audio(3, 100)]
    together = encode(process, *windows)
    # 50 frames a second of the window's own, none of the silence behind it.
    assert [len(frames) for frames in together] == [39, 150, 1]
    for window, padded in zip(windows, together, strict=True):
        mel = extractor(window, sampling_rate=16_000, return_tensors="pt").input_features
        theirs = model(mel).last_hidden_state[0, : len(padded)]
        agree(padded, theirs)
        agree(encode(process, window)[0], theirs)


def test_a_window_beyond_the_models_own_is_cut_into_equal_pieces(
    start: Start, whisper: Path
) -> None:
    process = start(f"hf:{whisper}")
    long = probe_audio(1, 112_000)  # 7 s: three pieces of at most 3 s, on the grid of 640 samples
    pieces = encode(process, *(long[a : a + 37_760] for a in (0, 37_760, 75_520)))
    assert [len(piece) for piece in pieces] == [118, 118, 114]
    agree(encode(process, long)[0], torch.from_numpy(np.concatenate(pieces)), 1e-4)


def test_layers_are_chosen_by_number_list_or_mean(start: Start, whisper: Path) -> None:
    import transformers

    model = transformers.WhisperModel.from_pretrained(whisper).get_encoder().eval()
    extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=3)
    window = probe_audio(2, 48_000)
    mel = extractor(window, sampling_rate=16_000, return_tensors="pt").input_features
    states = model(mel, output_hidden_states=True).hidden_states
    for layer, theirs in ((1, states[1]), ([0, 1], (states[0] + states[1]) / 2)):
        process = start(f"hf:{whisper}", arguments={"layer": layer})
        agree(encode(process, window)[0], theirs[0])
        process.close()
    process = start(f"hf:{whisper}", arguments={"layer": "mean", "dtype": "bfloat16"})
    assert process.info.dtype == "bfloat16"
    agree(encode(process, window)[0], (states[1] + states[2])[0] / 2, 0.1)
    with pytest.raises(EncoderLoadError, match=r"layer 7 was asked for; this model has 2 layers"):
        start(f"hf:{whisper}", arguments={"layer": 7})
    with pytest.raises(EncoderLoadError, match=r"layer is 'last'; a number"):
        start(f"hf:{whisper}", arguments={"layer": "last"})


@pytest.mark.parametrize("name", sorted(WAVE))
@pytest.mark.parametrize("normalise", [True, False])
def test_the_wave_family_hears_what_its_extractor_gives(
    start: Start, models: Callable[..., Path], name: str, normalise: bool
) -> None:
    import transformers

    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise)
    path = models(f"{name}Model", wave_config(name), extractor=extractor)
    extractor.save_pretrained(path)
    model = getattr(transformers, f"{name}Model").from_pretrained(path).eval()
    process = start(str(path))
    windows = [probe_audio(1, 8_000), probe_audio(2, 30_411), probe_audio(3, 400)]
    together = encode(process, *windows, probe_audio(4, 17))
    assert [len(frames) for frames in together] == [24, 94, 1, 1]
    for window, padded in zip(windows, together, strict=False):
        values = extractor(window, sampling_rate=16_000, return_tensors="pt").input_values
        theirs = model(values.float()).last_hidden_state[0]
        agree(encode(process, window)[0], theirs)
        agree(padded, theirs)


def test_wav2vec2_bert_hears_kaldi_filter_banks(start: Start, models: Callable[..., Path]) -> None:
    import transformers

    path = models("Wav2Vec2BertModel", bert_config())
    model = transformers.Wav2Vec2BertModel.from_pretrained(path).eval()
    extractor = transformers.SeamlessM4TFeatureExtractor(
        feature_size=80, num_mel_bins=80, stride=2, padding_value=1
    )
    process = start(str(path))
    windows = [probe_audio(1, 8_000), probe_audio(2, 30_411), probe_audio(3, 100)]
    together = encode(process, *windows)
    assert [len(frames) for frames in together] == [24, 94, 1]
    for window in windows[:2]:
        inputs = extractor(window, sampling_rate=16_000, return_tensors="pt")
        theirs = model(**inputs).last_hidden_state[0]
        agree(encode(process, window)[0], theirs[inputs.attention_mask[0] == 1], 5e-3)


def test_qwen2_audios_tower_is_taken_out_of_the_whole_model(
    start: Start, models: Callable[..., Path]
) -> None:
    import transformers

    path = models("Qwen2AudioForConditionalGeneration", qwen_config())
    whole = transformers.Qwen2AudioForConditionalGeneration.from_pretrained(path).eval()
    tower = getattr(whole, "audio_tower", None) or whole.model.audio_tower
    process = start(str(path))
    assert process.info.output_dim == 16
    assert process.info.num_parameters == sum(p.numel() for p in tower.parameters())
    extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=3)
    windows = [probe_audio(1, 48_000), probe_audio(2, 20_000)]
    mine = encode(process, *windows)
    assert [len(frames) for frames in mine] == [75, 31]
    mel = extractor(windows[0], sampling_rate=16_000, return_tensors="pt").input_features
    agree(mine[0], tower(mel).last_hidden_state[0])
    agree(mine[1], torch.from_numpy(encode(process, windows[1])[0]))


def test_code_of_a_models_own_runs_only_when_it_is_trusted(tmp_path: Path, start: Start) -> None:
    folder = save_remote(tmp_path / "odd")
    with pytest.raises(EncoderLoadError, match=r"brings code of its own .*--trust-remote-code"):
        start(f"hf:{folder}")
    spec = parse_encoder(f"hf:{folder}", trust_remote_code=True)
    with EncoderProcess(spec, log_path=tmp_path / "log") as process:
        assert process.info.output_dim == 6
        windows = [probe_audio(1, 1_600), probe_audio(2, 4_000)]
        for window, frames in zip(windows, encode(process, *windows), strict=True):
            assert np.allclose(frames, window.reshape(-1, 160).mean(1)[:, None], atol=1e-5)
    spec = parse_encoder(f"hf:{folder}", arguments='{"layer": 1}', trust_remote_code=True)
    with pytest.raises(EncoderLoadError, match=r"does not give its layers one by one; leave out"):
        EncoderProcess(spec, log_path=tmp_path / "log").start()


def test_a_model_that_is_no_audio_encoder_is_told(start: Start, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(EncoderLoadError, match="is a model of type bert; known audio encoders are"):
        start(f"hf:{tmp_path}")


def test_a_model_of_another_sample_rate_is_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "hubert"}')
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 24000}')
    with pytest.raises(EncoderLoadError, match="was trained on audio at 24000 Hz"):
        start(f"hf:{tmp_path}")


def test_a_model_passes_the_checker(whisper: Path) -> None:
    report = check_encoder(parse_encoder(str(whisper)), time_limit_s=90)
    assert report.passed, [c for c in report.checks if c.passed is False]
    assert report.properties["padding_invariant"]
    assert report.frame_rate_hz == pytest.approx(50, rel=0.02)


def test_the_example_that_wraps_a_model_gives_each_window_its_own_frames(start: Start) -> None:
    process = start(str(Path(__file__).parents[2] / "examples" / "wrapped.py"))
    windows = [probe_audio(1, 8_000), probe_audio(2, 30_411), probe_audio(3, 100)]
    together = encode(process, *windows)
    assert [len(frames) for frames in together] == [24, 94, 1]
    for window, frames in zip(windows, together, strict=True):
        agree(encode(process, window)[0], torch.from_numpy(frames))


def test_a_model_that_cannot_be_fetched_is_one_sentence(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(EncoderLoadError) as caught:
        start("hf:nobody/none")
    assert str(caught.value).startswith("hf:nobody/none cannot be fetched (")
    assert "hf download nobody/none), or give a folder" in str(caught.value)
    assert caught.value.quoted == ""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "whisper"}')
    with pytest.raises(EncoderLoadError, match=r"empty cannot be loaded \(.*save_pretrained"):
        start(str(tmp_path / "empty"))
