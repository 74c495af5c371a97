"""Tables on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_scores(scores: dict[str, Any], *, title: str) -> None:
    """One row per task: metric, score with interval, chance, clips scored of expected."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for name, justify in (
        ("task", "left"),
        ("metric", "left"),
        ("score", "right"),
        ("95 % interval", "right"),
        ("chance", "right"),
        ("clips", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, task in scores["tasks"].items():
        counted = f"{task['clips_scored']}/{task['clips_expected']}"
        table.add_row(
            name,
            task["metric"],
            _number(task["score"]),
            _interval(task["low"], task["high"]),
            _number(task["chance"]),
            counted,
        )
        if task["failure"]:
            table.add_row(Text(f"  {task['failure']}", style="yellow"))
    table.add_section()
    for track, mean in scores["tracks"].items():
        label = f"mean of track {track.upper()}"
        table.add_row(label, "", _number(mean["mean"]), _interval(mean["low"], mean["high"]))
    if scores["mean"] is not None and len(scores["tracks"]) > 1:
        table.add_row("mean of all tasks", "", _number(scores["mean"]))
    _console().print(table)


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """A plain table of text cells; cells that are numbers stand to the right."""
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for place, name in enumerate(columns):
        numeric = all(_is_number(row[place]) for row in rows) if rows else False
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    _console().print(table)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=120)


def _number(value: float | None) -> str:
    return "missing" if value is None else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "").rstrip("%"))
    except ValueError:
        return cell in ("", "-")
    return True
