"""What an encoder owes: features [B, T', D] of finite floats and a mask of zeros and ones, or None.

Everything that comes from an encoder's process is judged here before anything believes it. A mask
has 1 where a frame counts, one value per frame, holes allowed; masked frames are dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.channel import MemoryFile
from auricle.encoder.failures import clean, nonsense
from auricle.encoder.protocol import Batch, Description
from auricle.errors import EncoderContractError

SAMPLE_RATE = 16_000
MAX_OUTPUT_DIM = 65_536
FEATURE_DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}
_RETURN = "Return (features, mask) or (features, None), features being a float tensor [B, T', D]."


def mask_snippet(mask_name: str) -> str:
    """Lines that turn the mask that an encoder is given into the one that it owes.

    Args:
        mask_name: What its forward calls the mask.
    """
    return f"""\
    lengths = {mask_name}.sum(1)  # samples that count, per window
    frames = (lengths + HOP - 1) // HOP  # HOP: samples per frame of your encoder
    kept = torch.arange(features.shape[1], device=features.device)[None] < frames[:, None]
    return features, kept"""


class RawBatch(NamedTuple):
    """One encoded batch before its masked frames are dropped; all checked but the values."""

    features: NDArray[Any]
    mask: NDArray[np.bool_] | None
    dtype: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """One window's features.

    ``frames`` is ``[T', D]`` without masked frames: float32, float16, or uint16 that holds the bits
    of bfloat16, as ``dtype`` says.
    """

    frames: NDArray[Any]
    dtype: str

    def as_float32(self) -> NDArray[np.float32]:
        """The frames as float32, whatever they are stored in."""
        if self.dtype == "bfloat16":
            return (self.frames.astype(np.uint32) << 16).view(np.float32)
        return self.frames.astype(np.float32)


def name_windows(labels: Sequence[str], lengths: Sequence[int]) -> str:
    """Name a batch's windows for a sentence, with their durations."""
    shown = [
        f"{label} ({length / SAMPLE_RATE:.2f} s)"
        for label, length in zip(labels, lengths, strict=True)
    ]
    if len(shown) > 4:
        shown = [*shown[:3], f"and {len(shown) - 3} more"]
    return ", ".join(shown)


def check_output_dim(value: object, seen: object) -> int:
    """The encoder's ``output_dim`` as a sensible number.

    Raises:
        EncoderContractError: It is missing or not a whole number from 1 to `MAX_OUTPUT_DIM`.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_OUTPUT_DIM:
        return value
    shown = "is missing" if seen in (None, "None") else f"is {str(seen)[:200]}"
    raise EncoderContractError(
        f"The encoder's attribute output_dim {shown}; a whole number from 1 to {MAX_OUTPUT_DIM} is "
        "expected. Set self.output_dim = D in __init__, D being the width of the features."
    )


class WindowNames(NamedTuple):
    """The windows of the batch that is judged, and what the encoder's forward calls their mask."""

    labels: Sequence[str]
    lengths: Sequence[int]
    mask_name: str = "mask"

    def all(self) -> str:
        """All of them, for a sentence."""
        return name_windows(self.labels, self.lengths)

    def one(self, row: int) -> str:
        """One of them, for a sentence."""
        return name_windows([self.labels[row]], [self.lengths[row]])


def read_batch(
    answer: Batch, store: MemoryFile, *, output_dim: int, windows: WindowNames
) -> RawBatch:
    """Check an answer's description, then copy exactly that out of the features file.

    Raises:
        EncoderContractError: A form, shape, dtype or size is not what the contract says.
    """
    said = check_form(answer, windows=windows)
    check_dimensions(said.shape, output_dim=output_dim, windows=windows)
    check_frame_count(said.shape, windows=windows)
    features = copy_features(said, store)
    mask = None
    if answer.mask is not None:
        check_mask_shape(answer.mask.shape, said.shape, windows=windows)
        values = copy_mask(answer.mask, store, after=said)
        check_mask_values(values, answer.mask.dtype, windows=windows)
        mask = values == 1
        check_mask_keeps(mask, windows=windows)
    return RawBatch(features, mask, said.dtype)


def check_form(answer: Batch, *, windows: WindowNames) -> Description:
    """The encoder must have returned features and a mask at all.

    Returns:
        What is said of the features.

    Raises:
        EncoderContractError: It returned something else.
    """
    if answer.features is not None:
        return answer.features
    seen = clean(answer.bad_output.seen) if answer.bad_output else "nothing"
    raise EncoderContractError(
        f"The encoder returned {seen} for {windows.all()}; (features, mask) or (features, None) is "
        "expected, features being a float tensor [B, T', D]. Return exactly that from forward."
    )


def check_dimensions(shape: Sequence[int], *, output_dim: int, windows: WindowNames) -> None:
    """Features must be [B, T', output_dim].

    Raises:
        EncoderContractError: They are not.
    """
    batch_size = len(windows.lengths)
    start = _seen_features(shape, windows)
    if len(shape) != 3:
        raise EncoderContractError(
            f"{start}; three dimensions [B, T', D] = [{batch_size}, frames, {output_dim}] are "
            f"expected. {_RETURN}"
        )
    if shape[0] != batch_size:
        hint = " It looks transposed: put the batch first." if shape[1] == batch_size else ""
        raise EncoderContractError(
            f"{start}; {batch_size} rows are expected, one per window, in their order.{hint}"
        )
    if shape[2] != output_dim:
        hint = (
            "It looks transposed: return features.transpose(1, 2)."
            if shape[1] == output_dim
            else f"Set self.output_dim = {shape[2]} or change the features' width."
        )
        raise EncoderContractError(
            f"{start}; the last dimension must be output_dim = {output_dim}. {hint}"
        )


def check_frame_count(shape: Sequence[int], *, windows: WindowNames) -> None:
    """There must be a frame, and no more frames than samples.

    Raises:
        EncoderContractError: There is none, or there are more.
    """
    num_samples = max(windows.lengths)
    if shape[1] < 1:
        raise EncoderContractError(
            f"{_seen_features(shape, windows)}: no frame at all; at least one per window is "
            "expected. Pad short audio to the shortest length that your model takes."
        )
    if shape[1] > num_samples:
        raise EncoderContractError(
            f"{_seen_features(shape, windows)}: more frames than the {num_samples} samples; return "
            "one frame per step of time, [B, T', D]."
        )


def _seen_features(shape: Sequence[int], windows: WindowNames) -> str:
    return f"The encoder returned features of shape {list(shape)} for {windows.all()}"


def check_mask_shape(
    shape: Sequence[int], features: Sequence[int], *, windows: WindowNames
) -> None:
    """A mask must have one value per frame.

    Raises:
        EncoderContractError: It has not.
    """
    if list(shape) == list(features[:2]):
        return
    longest = max(windows.lengths)
    hint = "Return one value per frame, or None when every frame counts."
    if len(shape) == 2 and shape[1] == longest:
        hint = (
            "It has the length of the audio: the mask that was given is in samples, the one to "
            f"return is in frames. For example:\n{mask_snippet(windows.mask_name)}"
        )
    elif len(shape) == 1:
        snippet = mask_snippet(windows.mask_name)
        hint = f"Were these lengths? Turn them into a mask:\n{snippet}"
    raise EncoderContractError(
        f"The encoder returned a mask of shape {list(shape)} beside features of shape "
        f"{list(features)} for {windows.all()}; {list(features[:2])} is expected. {hint}"
    )


def check_mask_values(values: NDArray[np.float64], dtype: str, *, windows: WindowNames) -> None:
    """A mask's values must be exactly 0 or 1.

    Raises:
        EncoderContractError: One is not.
    """
    strange = ~((values == 0) | (values == 1))
    if not strange.any():
        return
    row, frame = (int(place) for place in np.argwhere(strange)[0])
    raise EncoderContractError(
        f"The encoder's mask ({clean(dtype, 40)}) has the value {values[row, frame]:g} at frame "
        f"{frame} of {windows.one(row)}; exactly 0 or 1 is expected, 1 = the frame counts. "
        "Return a mask of decisions, e.g. mask > 0.5, not weights or -inf."
    )


def check_mask_keeps(mask: NDArray[np.bool_], *, windows: WindowNames) -> None:
    """A mask must keep a frame of each window.

    Raises:
        EncoderContractError: It keeps none of one.
    """
    empty = ~mask.any(axis=1)
    if empty.any():
        row = int(np.argmax(empty))
        raise EncoderContractError(
            f"The encoder's mask keeps no frame of {windows.one(row)}; at least one must count. "
            "1 = the frame counts, 0 = it is padding: if your model marks padding with 1 (as "
            "PyTorch's key_padding_mask does), return ~mask."
        )


def split_batch(batch: RawBatch, *, windows: WindowNames) -> list[Encoded]:
    """Drop masked frames and check that the rest is finite.

    Raises:
        EncoderContractError: A frame that counts holds a NaN or an infinity.
    """
    encoded = drop_masked(batch)
    for row, one in enumerate(encoded):
        check_finite(one.frames, one.dtype, windows.one(row))
    return encoded


def drop_masked(batch: RawBatch) -> list[Encoded]:
    """Each window's frames that count."""
    return [
        Encoded(frames if batch.mask is None else _keep(frames, batch.mask[row]), batch.dtype)
        for row, frames in enumerate(batch.features)
    ]


def _keep(frames: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    count = int(mask.sum())
    return frames[:count] if mask[:count].all() else frames[mask]


def check_finite(frames: NDArray[Any], dtype: str, window: str) -> None:
    """Frames that count must be finite.

    Raises:
        EncoderContractError: One holds a NaN or an infinity.
    """
    if dtype == "float32":
        finite = np.isfinite(frames)
    else:  # the exponent's bits all set; on the bits, because numpy is slow on float16
        exponent = np.uint16(0x7C00 if dtype == "float16" else 0x7F80)
        finite = (frames.view(np.uint16) & exponent) != exponent
    if finite.all():
        return
    frame, place = (int(index) for index in np.argwhere(~finite)[0])
    value = Encoded(frames[frame : frame + 1], dtype).as_float32()[0, place]
    count = int(finite.size - np.count_nonzero(finite))
    raise EncoderContractError(
        f"The encoder returned {value:g} in frame {frame} of {window} ({count} of {finite.size} "
        "values are not finite); finite numbers are expected for any audio, silence included. "
        "Look for log(0), a division by a standard deviation of 0, or half precision overflowing."
    )


def copy_features(said: Description, store: MemoryFile) -> NDArray[Any]:
    """Copy features of a checked shape out of the file.

    Raises:
        EncoderContractError: Their dtype is unknown or their bytes are not there.
    """
    if said.dtype not in FEATURE_DTYPES:
        raise nonsense("features of an unknown dtype")
    return _copy(store, said, FEATURE_DTYPES[said.dtype], offset=0)


def copy_mask(said: Description, store: MemoryFile, *, after: Description) -> NDArray[np.float64]:
    """Copy a mask of a checked shape, which lies after the features.

    Raises:
        EncoderContractError: Its bytes are not there.
    """
    return _copy(store, said, np.float64, offset=after.bytes)


def _copy(store: MemoryFile, said: Description, dtype: Any, *, offset: int) -> NDArray[Any]:
    expected = math.prod(said.shape) * np.dtype(dtype).itemsize
    if said.bytes != expected:
        raise nonsense(f"{said.bytes} bytes for an array of {expected}")
    if not store.holds(offset + expected):  # before any memory of ours is taken
        raise nonsense("fewer bytes of features than it said")
    array = np.empty(said.shape, dtype)
    if not store.read(array, offset=offset):
        raise nonsense("fewer bytes of features than it said")
    return array
