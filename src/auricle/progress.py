"""What long work tells about itself; the command line decides how it looks.

Work reports to a `Progress`; the default one is silent, so the library prints nothing (law 8).
"""

from __future__ import annotations

import contextlib
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
