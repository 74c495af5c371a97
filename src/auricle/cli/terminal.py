"""What long work looks like: a bar on a terminal, a plain line now and then elsewhere.

Everything here goes to standard error; standard output carries results alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from auricle.errors import UserError, printable
from auricle.files import make_folder
from auricle.progress import SilentProgress, Stage, duration_text

_PLAIN_EVERY_S = 15.0
_SILENT_FOR_S = 2.0

logger = logging.getLogger("auricle")


class PlainConsole(Console):
    """Prints what it is told: no markup in strangers' texts, no control characters of theirs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """All plain texts pass here."""
        return super().render_str(printable(text), **options)


_WIDE = 110
"""Columns of a terminal in which bars of all stages begin at one place."""
_SPACES = 7
"""Between the parts of a bar."""
_SHORTEST_BAR = 4

_warnings: list[str] = []
"""What the command that runs has warned of."""


def _warned(text: str) -> str:
    logger.warning(text)
    _warnings.append(text)
    return f"warning: {text}"


class QuietProgress(SilentProgress):
    """Warnings alone: ``--quiet`` asks for no progress."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def warn(self, text: str) -> None:
        """Print a line that starts with ``warning:``."""
        self._console.print(_warned(text), soft_wrap=True)


class BarProgress:
    """Bars with a time left, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextlib.contextmanager
    def stage(self, name: str, total: float, unit: str, *, done: float = 0) -> Iterator[Stage]:
        """Show a bar until the block ends.

        Count, elapsed and left are never cut: first the bar gets shorter, then the note, then the
        name.
        """
        width = self._console.width
        counted = 2 * len(f"{round(total)}") + 1 + len(unit) + len("0:00:00left0:00:00") + _SPACES
        described = max(len(name), 24 if width >= _WIDE else 0)
        described = max(1, min(described, width - counted - _SHORTEST_BAR))
        rest = described + counted
        bar_width = min(28, max(_SHORTEST_BAR, width - rest))
        columns = (
            TextColumn(f"{{task.description:<{described}}}"),
            BarColumn(bar_width=bar_width),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
        )
        started = time.monotonic()
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(
                name[:described], total=round(total), completed=round(done), note=""
            )
            yield _BarStage(bar, task, done, room=width - rest - bar_width)
        _log_stage(name, total, unit, time.monotonic() - started)

    def message(self, text: str) -> None:
        """Print a line."""
        logger.info(text)
        self._console.print(text)

    def warn(self, text: str) -> None:
        """Print a line in yellow."""
        self._console.print(_warned(text), style="yellow")


class _BarStage:
    def __init__(self, bar: Progress, task: TaskID, done: float, *, room: int) -> None:
        self._bar, self._task, self._done, self._room = bar, task, done, room

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        self._bar.update(self._task, completed=round(self._done))

    def note(self, text: str) -> None:
        short = text if len(text) <= self._room else f"{text[: max(0, self._room - 1)]}…"
        self._bar.update(self._task, note=short if self._room > 1 else "")


class PlainProgress:
    """A line when a stage takes long and one when it ends, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextlib.contextmanager
    def stage(self, name: str, total: float, unit: str, *, done: float = 0) -> Iterator[Stage]:
        """Print a line now and then until the block ends."""
        stage = _PlainStage(self, name, total, unit, done)
        started = time.monotonic()
        yield stage
        took = time.monotonic() - started
        if took >= _SILENT_FOR_S:
            note = stage.last_note and f", {stage.last_note}"
            self._line(f"{name}: {total:.0f} {unit} in {took:.1f} s{note}")
        _log_stage(name, total, unit, took)

    def message(self, text: str) -> None:
        """Print a line."""
        logger.info(text)
        self._line(text)

    def warn(self, text: str) -> None:
        """Print a line that starts with ``warning:``."""
        self._line(_warned(text))

    def _line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


class _PlainStage:
    def __init__(
        self, progress: PlainProgress, name: str, total: float, unit: str, done: float
    ) -> None:
        self._progress, self._name, self._total, self._unit = progress, name, total, unit
        self._done = self._first = done
        self._started = self._shown = time.monotonic()
        self.last_note = ""

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._shown >= _PLAIN_EVERY_S and self._done > self._first:
            self._shown = now
            rate = (self._done - self._first) / (now - self._started)
            left = max(0.0, self._total - self._done) / rate
            note = self.last_note and f", {self.last_note}"
            self._progress._line(
                f"{self._name}: {self._done:.0f} of {self._total:.0f} {self._unit}, "
                f"{duration_text(left)} left{note}"
            )

    def note(self, text: str) -> None:
        self.last_note = text


def _log_stage(name: str, total: float, unit: str, took: float) -> None:
    logger.info("%s: %.0f %s in %.2f s", name, total, unit, took)


def make_progress(*, quiet: bool) -> BarProgress | PlainProgress | QuietProgress:
    """The progress that fits standard error and the user's wish; warnings are always shown."""
    console = PlainConsole(stderr=True)
    if quiet:
        return QuietProgress(console)
    return BarProgress(console) if console.is_terminal else PlainProgress(console)


def log_to(path: Path) -> logging.Handler:
    """Also write auricle's log to a file, with times."""
    make_folder(path.parent)
    handler = _LogFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler


class _LogFile(logging.FileHandler):
    """A line that a full disk refuses is lost; what stops the work says so itself."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def one_format(table: str | None, *, as_json: bool) -> None:
    """Refuse ``--table`` beside ``--json``, which would have to ignore one of them.

    Raises:
        UserError: Both were given.
    """
    if as_json and table is not None:
        raise UserError("Both --json and --table were given; give one of them.")


def print_json(value: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output and nothing else.

    Its ``warnings`` are all that the command warned of, whether shown or not; an object that has
    the field keeps its own before them.
    """
    warnings = dict.fromkeys([*value.get("warnings", ()), *_warnings])
    plain = (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"
    text = json.dumps({**value, "warnings": list(warnings)}, ensure_ascii=plain)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def begin_output() -> None:
    """At a command's start: nothing was warned of yet, and no terminal's encoding stops a line."""
    _warnings.clear()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
