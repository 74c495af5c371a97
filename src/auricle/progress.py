"""What long work tells about itself, and how times and sizes are said; the command line shows it.

Work reports to a `Progress`; the default one is silent, so the library prints nothing (law 8).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Protocol


class Stage(Protocol):
    """One piece of long work in progress."""

    def advance(self, amount: float = 1) -> None:
        """Say that ``amount`` units more are done."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar, e.g. the loss or the rate."""


class Progress(Protocol):
    """Receives stages and messages."""

    def stage(
        self, name: str, total: float, unit: str, *, done: float = 0
    ) -> contextlib.AbstractContextManager[Stage]:
        """Open a stage of ``total`` units, ``done`` of them finished by an earlier process."""

    def message(self, text: str) -> None:
        """Say one line."""

    def warn(self, text: str) -> None:
        """Say one line that the user should not miss."""


class _SilentStage:
    def advance(self, amount: float = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class SilentProgress:
    """Shows nothing."""

    @contextlib.contextmanager
    def stage(self, name: str, total: float, unit: str, *, done: float = 0) -> Iterator[Stage]:
        """Open a stage that shows nothing."""
        yield _SilentStage()

    def message(self, text: str) -> None:
        """Drop the line."""

    def warn(self, text: str) -> None:
        """Drop the line."""


def duration_text(seconds: float) -> str:
    """Seconds as a person says them."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"


def bytes_text(size: float | None) -> str:
    """Bytes in decimal units."""
    if size is None:
        return "unknown"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
