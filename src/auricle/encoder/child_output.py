"""Turns what an encoder returned into bytes in the features file; imported by `child.py` alone.

Accepted: (features, mask or None) as tuple or list, a bare tensor, a list of one [T', D] tensor per
window, numpy arrays for tensors. Only the form is judged here, because only here it can be seen;
sizes and values are checked by the other side, which does not trust this one.
"""

from __future__ import annotations

import os
from typing import Any


class BadOutputError(Exception):
    """The encoder returned something that cannot be read as features; says what was seen."""

    rule = "output"


class BadDtypeError(BadOutputError):
    """The features are numbers, but of a kind that features cannot be."""

    rule = "dtype"


def unpack(output: Any, batch_size: int) -> tuple[Any, Any]:
    """Split an encoder's return value into features [B, T', D] and mask or None."""
    import torch

    if isinstance(output, (tuple, list)) and len(output) > 0:
        items = [_as_tensor(item) for item in output]
        if all(_is_floating(item) and item.ndim == 2 for item in items) and (
            len(items) == batch_size
        ):
            return _stack(items)
        if len(items) > 2:
            raise BadOutputError(f"a {_named(output)} of {len(items)} values: {_list(items)}")
        features, mask = items[0], items[1] if len(items) == 2 else None
    else:
        features, mask = _as_tensor(output), None
    if not isinstance(features, torch.Tensor):
        raise BadOutputError(_describe(output))
    if mask is not None and not isinstance(mask, torch.Tensor):
        raise BadOutputError(f"features and, as mask, {_describe(mask)}")
    if not _is_floating(features):
        raise BadDtypeError(f"features of dtype {features.dtype}")
    if features.is_sparse or features.is_quantized:
        raise BadDtypeError(f"features with layout {features.layout} and dtype {features.dtype}")
    return features, mask


def send(features: Any, mask: Any, descriptor: int) -> dict[str, Any]:
    """Write features and mask to the features file and describe them."""
    import torch

    if features.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        features = features.to(torch.float32)
    dtype = str(features.dtype).removeprefix("torch.")
    features = features.detach().cpu().contiguous()
    if dtype == "bfloat16":
        features = features.view(torch.int16)
    array = features.numpy()
    answer: dict[str, Any] = {
        "features": {"shape": list(array.shape), "dtype": dtype, "bytes": array.nbytes},
        "mask": None,
    }
    kept = None
    if mask is not None:
        # float64 holds every value that could be taken for 0 or 1 exactly.
        kept = mask.detach().cpu().to(torch.float64).contiguous().numpy()
        answer["mask"] = {
            "shape": list(kept.shape),
            "dtype": str(mask.dtype),
            "bytes": kept.nbytes,
        }
    os.ftruncate(descriptor, array.nbytes + (0 if kept is None else kept.nbytes))
    _write_file(descriptor, array, 0)
    if kept is not None:
        _write_file(descriptor, kept, array.nbytes)
    return answer


def _write_file(descriptor: int, array: Any, place: int) -> None:
    view = memoryview(array.reshape(-1)).cast("B") if array.size else memoryview(b"")
    while view:
        count = os.pwrite(descriptor, view, place)
        view, place = view[count:], place + count


def _as_tensor(value: Any) -> Any:
    import numpy
    import torch

    return torch.from_numpy(value) if isinstance(value, numpy.ndarray) else value


def _is_floating(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _stack(items: list[Any]) -> tuple[Any, Any]:
    import torch

    if len({item.shape[1] for item in items}) > 1:
        raise BadOutputError(f"a list of features with differing widths: {_list(items)}")
    longest = max(len(item) for item in items)
    features = items[0].new_zeros((len(items), longest, items[0].shape[1]))
    mask = torch.zeros((len(items), longest), dtype=torch.bool)
    for row, item in enumerate(items):
        features[row, : len(item)] = item
        mask[row, : len(item)] = True
    return features, mask


def _named(value: object) -> str:
    return type(value).__name__


def _describe(value: Any) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {list(value.shape)} and dtype {value.dtype}"
    if value is None:
        return "None"
    if hasattr(value, "keys"):
        return f"a {_named(value)} with the keys {', '.join(str(key) for key in value)}"[:400]
    if isinstance(value, (tuple, list)):
        return f"a {_named(value)} of {len(value)} values: {_list(list(value))}"
    return f"a {_named(value)}"


def _list(items: list[Any]) -> str:
    shown = ", ".join("None" if item is None else _describe(item) for item in items[:4])
    return shown + (", ..." if len(items) > 4 else "")
