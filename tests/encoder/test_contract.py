from typing import Any

import numpy as np
import pytest

from auricle.encoder.channel import MemoryFile
from auricle.encoder.contract import (
    Encoded,
    RawBatch,
    WindowNames,
    check_output_dim,
    name_windows,
    read_batch,
    split_batch,
)
from auricle.encoder.protocol import Batch
from auricle.errors import EncoderContractError

WINDOWS = WindowNames(["a.wav", "b.wav"], [16_000, 8_000])


def arrive(features: np.ndarray, mask: np.ndarray | None = None, **changed: Any) -> RawBatch:
    """Lay arrays into a memory file as the child does, then read them as the host does."""
    store = MemoryFile("test")
    parts = [features.tobytes(), b"" if mask is None else mask.astype(np.float64).tobytes()]
    store.write(np.frombuffer(b"".join(parts), np.uint8).view(np.uint8))  # type: ignore[arg-type]
    answer: dict[str, Any] = {
        "ok": True,
        "resident_bytes": None,
        "device_bytes": None,
        "training": False,
        "features": {
            "shape": list(features.shape),
            "dtype": str(features.dtype),
            "bytes": features.nbytes,
        },
        "mask": None
        if mask is None
        else {"shape": list(mask.shape), "dtype": "torch.bool", "bytes": mask.size * 8},
    }
    answer["features"].update(changed)
    try:
        batch = Batch.model_validate(answer)
        return read_batch(batch, store, output_dim=4, windows=WINDOWS)
    finally:
        store.close()


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def test_masked_frames_are_dropped_holes_too() -> None:
    features = np.arange(2 * 5 * 4, dtype=np.float32).reshape(2, 5, 4)
    mask = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0]])
    first, second = split_batch(arrive(features, mask), windows=WINDOWS)
    assert np.array_equal(first.frames, features[0])
    assert np.array_equal(second.frames, features[1, [0, 2]])


def test_without_a_mask_every_frame_counts() -> None:
    assert [len(e.frames) for e in split_batch(arrive(ones(2, 5, 4)), windows=WINDOWS)] == [5, 5]


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((5, 4), r"shape \[5, 4\] for a.wav \(1.00 s\), b.wav \(0.50 s\); three dimensions"),
        ((1, 5, 4), r"2 rows are expected"),
        ((5, 2, 4), r"looks transposed: put the batch first"),
        ((2, 5, 3), r"output_dim = 4. Set self.output_dim = 3"),
        ((2, 4, 5), r"transposed: return features.transpose\(1, 2\)"),
        ((2, 0, 4), r"no frame at all"),
        ((2, 16_001, 4), r"more frames than the 16000 samples"),
    ],
)
def test_features_must_have_the_right_shape(shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(EncoderContractError, match=says):
        arrive(ones(*shape))


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.ones((2, 4)), r"mask of shape \[2, 4\] beside features of shape \[2, 5, 4\]"),
        (np.ones((2, 16_000)), r"length of the audio"),
        (np.array([5, 3]), r"Were these lengths\?"),
        (np.full((2, 5), 0.5), r"has the value 0.5 at frame 0 of a.wav \(1.00 s\)"),
        (np.full((2, 5), -np.inf), r"value -inf"),
        (np.full((2, 5), np.nan), r"value nan"),
        (np.array([[1] * 5, [0] * 5]), r"keeps no frame of b.wav .*return ~mask"),
    ],
)
def test_a_mask_must_be_zeros_and_ones_one_per_frame(mask: np.ndarray, says: str) -> None:
    with pytest.raises(EncoderContractError, match=says):
        arrive(ones(2, 5, 4), mask)


@pytest.mark.parametrize(
    "changed",
    [
        {"bytes": 7},
        {"bytes": 1 << 60},
        {"dtype": "float64"},
        {"dtype": "x"},
        {"shape": [2, 10_000, 4], "bytes": 2 * 10_000 * 4 * 4},
    ],
)
def test_a_lying_description_is_nonsense(changed: dict[str, Any]) -> None:
    with pytest.raises(EncoderContractError, match="process sent"):
        arrive(ones(2, 5, 4), **changed)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_counts_must_be_finite(dtype: str, value: float) -> None:
    features = ones(2, 5, 4).astype(dtype)
    features[1, 2, 3] = value
    with pytest.raises(EncoderContractError, match=rf"{value:g} in frame 2 of b.wav .*1 of 20"):
        split_batch(arrive(features), windows=WINDOWS)
    mask = np.array([[1] * 5, [1, 1, 0, 1, 1]])
    assert len(split_batch(arrive(features, mask), windows=WINDOWS)[1].frames) == 4


def test_bfloat16_travels_as_its_bits() -> None:
    # 1.0 is 0x3F80 in bfloat16, -2.5 is 0xC020; 0x7F80 is infinity.
    bits = np.array([[0x3F80, 0xC020]], np.uint16)
    assert np.array_equal(Encoded(bits, "bfloat16").as_float32(), [[1.0, -2.5]])
    raw = RawBatch(np.full((1, 1, 2), 0x7F80, np.uint16), None, "bfloat16")
    with pytest.raises(EncoderContractError, match="inf in frame 0"):
        split_batch(raw, windows=WindowNames(["x"], [16_000]))
    raw = RawBatch(bits[None], None, "bfloat16")
    assert split_batch(raw, windows=WindowNames(["x"], [16_000]))[0].dtype == "bfloat16"


@pytest.mark.parametrize("value", [None, 0, -1, True, "4", 4.0, 65_537])
def test_output_dim_must_be_a_sensible_number(value: object) -> None:
    with pytest.raises(EncoderContractError, match=r"output_dim .*Set self.output_dim = D"):
        check_output_dim(value, repr(value))


def test_a_long_batch_is_named_shortly() -> None:
    names = name_windows([f"clip{n}" for n in range(9)], [16_000] * 9)
    assert names == "clip0 (1.00 s), clip1 (1.00 s), clip2 (1.00 s), and 6 more"
