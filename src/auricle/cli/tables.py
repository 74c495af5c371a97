"""Tables on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from auricle.encoder.checks import CheckReport


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


def print_check(report: CheckReport) -> None:
    """One line per check, then what was measured; a failed check's way to mend it in full."""
    console = _console()
    table = Table(title=report.encoder, title_justify="left", header_style="bold")
    table.add_column("check")
    table.add_column("", justify="left")
    table.add_column("seen, expected, what to do", overflow="fold")
    marks = {True: "good", False: "FAILED", None: "not reached"}
    styles = {True: "green", False: "bold red", None: "yellow"}
    for check in report.checks:
        mark = marks[check.passed] if check.required or check.passed else "note"
        style = styles[check.passed] if check.required or check.passed else "yellow"
        table.add_row(check.name, Text(mark, style=style), Text(check.message))
        if check.quoted:
            table.add_row("", "", Text(check.quoted, style="dim"))
    console.print(table)
    facts = [
        ("frames a second", report.frame_rate_hz, "{:g}"),
        ("output_dim", report.output_dim, "{}"),
        ("times real time", report.realtime_factor, "{:.0f}"),
        ("peak memory (bytes)", report.peak_memory_bytes, "{:,}"),
    ]
    shown = [f"{name}: {form.format(value)}" for name, value, form in facts if value is not None]
    console.print("   ".join(shown), highlight=False)
    verdict = "This encoder keeps the contract." if report.passed else "This encoder does not pass."
    console.print(verdict, style="green" if report.passed else "bold red")


def print_comparison(found: dict[str, Any]) -> None:
    """A table per pair of runs: difference, interval, corrected p, and the verdict in words."""
    for pair in found["pairs"]:
        table = Table(
            title=f"{pair['left']} against {pair['right']}",
            title_justify="left",
            header_style="bold",
        )
        for name in ("task", pair["left"], pair["right"], "difference", "95 % interval"):
            table.add_column(name, justify="left" if name == "task" else "right")
        for name in ("p (Holm)", f"{pair['left']} is", "more clips would tell"):
            table.add_column(name, justify="left" if name.endswith("is") else "right")
        for name, entry in pair["tasks"].items():
            table.add_row(*_comparison_cells(name, entry))
        table.add_section()
        for name, entry in pair["tracks"].items():
            table.add_row(*_comparison_cells(f"track {name.upper()}", entry))
        _console().print(table)


def _comparison_cells(name: str, entry: dict[str, Any]) -> list[str]:
    if entry["verdict"] == "missing":
        return [name, "", "", "", "", "", "missing", str(entry["reason"])]
    difference = entry["difference"]
    low, high, p = entry["low"], entry["high"], entry["p_corrected"]
    more = entry.get("more_clips")
    return [
        name,
        _number(entry["left"]),
        _number(entry["right"]),
        "" if difference is None else f"{difference:+.3f}",
        "" if low is None else f"{low:+.3f} to {high:+.3f}",
        "" if p is None else f"{p:.3g}",
        entry["verdict"],
        "" if more is None else f"{more:,}",
    ]
