"""An encoder's linear layers through oneDNN, where MKL is slow; imported by `child.py` alone.

torch multiplies float32 matrices through MKL, which on processors that are not Intel's reaches half
of what oneDNN does (measured: docs/log.md). While an encoder computes, `torch.nn.functional.linear`
is a function that asks oneDNN for the plain case: float32 on a CPU, large enough, nothing that
watches or transforms the call. Everything else, errors included, goes where it always goes.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import torch
from torch._jit_internal import is_scripting
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_plain: Callable[..., torch.Tensor] = functional.linear
# Below this many multiply-adds a kernel that oneDNN has to compile first costs more than it gains.
_WORTH_MULTIPLY_ADDS = 10_000_000


def linear(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: Optional[torch.Tensor] = None,  # noqa: UP045  read by TorchScript on Python 3.9
) -> torch.Tensor:
    """As `torch.nn.functional.linear`, float rounding excepted."""
    if is_scripting():
        return _plain(input, weight, bias)
    else:  # TorchScript leaves out this branch; it would not leave out what follows a return
        if _is_plain_case(input, weight, bias):
            return _through_onednn(input, weight, bias)
        return _plain(input, weight, bias)


def _through_onednn(input: Any, weight: Any, bias: Any) -> torch.Tensor:
    operator: Callable[..., torch.Tensor] = torch.ops.mkldnn._linear_pointwise
    return operator(input.contiguous(), weight, bias, "none", [], "")


@contextlib.contextmanager
def fast_products() -> Iterator[None]:
    """While this lasts, linear layers take the faster library, if there is one.

    torch's fused transformer layer, which multiplies through MKL and asks no Python function, gives
    way to its plain form.
    """
    if not mkl_is_slow():
        yield
        return
    before, fused = functional.linear, torch.backends.mha.get_fastpath_enabled()
    functional.linear = linear
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        functional.linear = before
        torch.backends.mha.set_fastpath_enabled(fused)


@functools.cache
def mkl_is_slow() -> bool:
    """Whether torch has MKL here, on a processor that is not Intel's, and oneDNN's operator."""
    try:
        vendor = Path("/proc/cpuinfo").read_text("utf-8", "replace")
        _is_watched()
    except OSError:  # not Linux
        return False
    except (AttributeError, TypeError):  # a torch that is too old to be asked
        return False
    libraries: tuple[Any, Any] = (torch.backends.mkl, torch.backends.mkldnn)
    return (
        "GenuineIntel" not in vendor
        and all(library.is_available() for library in libraries)
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _is_plain_case(input: Any, weight: Any, bias: Any) -> bool:
    given = [input, weight] if bias is None else [input, weight, bias]
    return (
        not torch.is_grad_enabled()
        and not _is_watched()
        and all(type(tensor) in (torch.Tensor, torch.nn.Parameter) for tensor in given)
        and all(
            tensor.dtype is torch.float32
            and tensor.device.type == "cpu"
            and tensor.layout is torch.strided
            for tensor in given
        )
        and weight.ndim == 2
        and weight.is_contiguous()
        and input.ndim > 1
        and input.shape[-1] == weight.shape[1]
        and (bias is None or bias.shape == weight.shape[:1])
        and input.numel() * weight.shape[0] >= _WORTH_MULTIPLY_ADDS
    )


def _is_watched() -> bool:
    """Whether the call is traced, compiled, transformed, or cast to another precision."""
    jit: Any = torch.jit
    return (
        torch.is_autocast_enabled("cpu")
        or jit.is_tracing()
        or torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack() > 0
    )
