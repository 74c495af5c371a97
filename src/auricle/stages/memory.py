"""What a user is told where training or answers do not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from auricle.errors import DeviceMemoryError

# As CUDA, torch on a CPU and its oneDNN say it.
_SIGNS = ("out of memory", "can't allocate memory", "could not allocate memory")


@contextmanager
def memory_of(device: str, *, doing: str) -> Iterator[None]:
    """Name what did not fit.

    Args:
        device: Where the work is done.
        doing: The work, e.g. ``training at step 20``.

    Raises:
        DeviceMemoryError: The work ran out of memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error)
        if not isinstance(error, MemoryError) and not any(sign in text for sign in _SIGNS):
            raise
        said = (text.splitlines() or [type(error).__name__])[0]
        raise DeviceMemoryError(
            f"Memory ran out on the device '{device}' while {doing} ({said}). 'auricle plan' shows "
            "what each stage needs: close other programs that use the device, choose one with more "
            "memory, or use --precision bf16. What was finished is kept; the same command goes on "
            "from there."
        ) from error
