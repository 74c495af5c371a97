"""Tables on standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from auricle.cli.terminal import PlainConsole
from auricle.errors import printable

if TYPE_CHECKING:
    from auricle.encoder.checks import CheckReport
    from auricle.records.comparison import Comparison, Outcome, Pair
    from auricle.records.scores import Estimate, Scored, TaskScore

_MOST_DIFFERING = 6


def print_scores(scores: Scored, *, title: str) -> None:
    """One row per task: metric, score with interval, chance, clips scored of expected.

    Below the table stand why a task is missing, what a reader must know of an interval (marked
    ``*``), and the corrected numbers beside the official ones. A run without test tasks has none.
    """
    if not scores.tasks:
        return
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
    for name, task in scores.tasks.items():
        expected = "?" if task.clips_expected is None else task.clips_expected
        # What was seen of an incomplete task is no score of it (law 7); it stands below.
        shown = task.estimate
        table.add_row(
            name,
            task.metric,
            _number(shown.value),
            _interval(shown, marked=bool(_interval_note(task))),
            _number(task.chance),
            f"{task.clips_scored}/{expected}",
        )
    table.add_section()
    for track, mean in scores.tracks.items():
        label = f"mean of track {track.upper()}"
        table.add_row(label, "", _number(mean.mean), _interval(mean.estimate))
    if scores.mean is not None and len(scores.tracks) > 1:
        table.add_row("mean of all tasks", "", _number(scores.mean))
    console = _console()
    console.print(table)
    for kind, lines in _footnotes(scores.tasks).items():
        if lines:
            console.print(kind, style="bold")
        for name, text in lines:
            console.print(f"  {name}: {text}", style="yellow" if kind == "missing" else "")


def _footnotes(tasks: Mapping[str, TaskScore]) -> dict[str, list[tuple[str, str]]]:
    """What the table has no room for, by kind."""
    beside = "corrected, beside the official numbers"
    found: dict[str, list[tuple[str, str]]] = {"missing": [], "notes": [], beside: []}
    for name, task in tasks.items():
        if task.failure:
            seen = "" if task.score is None else f"; their score alone: {task.score:.3f}"
            found["missing"].append((name, f"{task.failure}{seen}"))
        for note in (task.reason, _interval_note(task, mark="* ")):
            if note:
                found["notes"].append((name, note))
        if task.corrected:
            found[beside].append((name, corrected_text(task.corrected)))
    return found


def corrected_text(corrected: Mapping[str, float]) -> str:
    """Corrected numbers in a line, e.g. ``balanced accuracy 0.583, macro f1 0.571``."""
    return ", ".join(f"{name.replace('_', ' ')} {v:.3f}" for name, v in corrected.items())


def _interval_note(task: TaskScore, *, mark: str = "") -> str | None:
    return f"{mark}{task.interval_note}" if task.interval_note else None


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """A plain table of text cells; cells that are numbers stand to the right."""
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for place, name in enumerate(columns):
        numeric = all(_is_number(row[place]) for row in rows) if rows else False
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _console() -> PlainConsole:
    console = PlainConsole()
    return console if console.is_terminal else PlainConsole(width=120)


def _number(value: float | None) -> str:
    return "missing" if value is None else f"{value:.3f}"


def _interval(found: Estimate, *, marked: bool = False) -> str:
    if found.value is None or found.low is None or found.high is None:
        return ""
    return f"{found.low:.3f} to {found.high:.3f}{' *' if marked else ''}"


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
        table.add_row(check.name, Text(mark, style=style), check.message)
        if check.quoted:
            table.add_row("", "", Text(printable(check.quoted), style="dim"))
    console.print(table)
    facts = [
        ("frames a second", report.frame_rate_hz, "{:g}"),
        ("output_dim", report.output_dim, "{}"),
        ("times real time", report.realtime_factor, "{:.0f}"),
        ("peak memory (bytes)", report.peak_memory_bytes, "{:,}"),
    ]
    shown = [f"{name}: {form.format(value)}" for name, value, form in facts if value is not None]
    console.print("   ".join(shown))
    for note in report.notes:
        console.print(Text(f"Note: {printable(note)}", style="yellow"))
    if report.passed and report.remark:
        verdict, style = f"This encoder keeps the contract, but {report.remark}", "yellow"
    elif report.passed:
        verdict, style = "This encoder keeps the contract.", "green"
    else:
        verdict, style = "This encoder does not pass.", "bold red"
    console.print(verdict, style=style)


def print_comparison(found: Comparison) -> None:
    """Seeds of each encoder, if there are; then a table per pair with the verdicts in words."""
    from auricle.scoring.tables import seeds_table

    for name, suite in found.suites:
        on = f" on {name}" if name else ""
        if suite.encoders is not None:
            table = seeds_table(suite.encoders)
            rows = [[_cell(row[column]) for column in table.columns] for row in table.rows]
            print_rows(list(table.columns), rows, title=f"each encoder over its seeds{on}")
        for pair in suite.shown_pairs:
            _print_pair(pair, on)
    differing = found.differences
    if differing:
        shown = [f"{d.name} ({', '.join(d.values)})" for d in differing[:_MOST_DIFFERING]]
        more = len(differing) - _MOST_DIFFERING
        rest = f", and {more} more" if more > 0 else ""
        text = f"the runs differ in more than their encoders: {'; '.join(shown)}{rest}"
        _console().print(text, style="dim")


def _print_pair(pair: Pair, on: str) -> None:
    of_seeds = any(entry.of_seeds for entry in pair.tasks.values())
    table = Table(
        title=f"{pair.left} against {pair.right}{on}", title_justify="left", header_style="bold"
    )
    for name in ("task", pair.left, pair.right, "difference", "95 % interval", "p (Holm)"):
        whole = name in ("task", "95 % interval")  # a cut name or a broken interval reads badly
        table.add_column(name, justify="left" if name == "task" else "right", no_wrap=whole)
    table.add_column(f"{pair.left} is")
    table.add_column(f"more {'seeds' if of_seeds else 'clips'} would tell", justify="right")
    for name, entry in pair.tasks.items():
        table.add_row(*_comparison_cells(name, entry))
    table.add_section()
    for name, entry in pair.tracks.items():
        table.add_row(*_comparison_cells(f"track {name.upper()}", entry))
    console = _console()
    console.print(table)
    for name, entry in pair.tasks.items():
        if entry.reason:
            console.print(f"  {name}: {entry.reason}", style="yellow")


def _comparison_cells(name: str, entry: Outcome) -> list[str]:
    if entry.difference is None:
        return [name, "", "", "", "", "", "missing", ""]
    return [
        name,
        _number(entry.left),
        _number(entry.right),
        f"{entry.difference:+.3f}",
        f"{entry.low:+.3f} to {entry.high:+.3f}",
        f"{entry.p_corrected:.3g}",
        entry.verdict,
        _more(entry),
    ]


def _more(entry: Outcome) -> str:
    more = entry.more_seeds if entry.of_seeds else entry.more_clips
    if more is not None:
        return f"{more:,}"
    # Endless seeds would not do where the clips alone leave too much open.
    open_clips = entry.of_seeds and entry.verdict == "cannot tell" and entry.difference
    return "more clips" if open_clips else ""


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
