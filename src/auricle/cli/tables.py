"""Tables on standard output."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from auricle.cli.terminal import PlainConsole
from auricle.errors import printable

if TYPE_CHECKING:
    from auricle.encoder.checks import Check, CheckReport
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


_VERDICT_STYLES = {"good": "green", "FAILED": "bold red"}
_NAMED = 4
_QUOTED_LINES = 12
_CAUSE = 200
_OF_LIBRARIES = ("site-packages", "dist-packages", f"{os.sep}lib{os.sep}python", "<frozen ")


def print_check(report: CheckReport) -> None:
    """What failed and how to mend it, what is good, and in a line each what was not reached."""
    console = _console()
    table = Table(title=report.encoder, title_justify="left", header_style="bold")
    table.add_column("check")
    table.add_column("", justify="left")
    table.add_column("seen, expected, what to do", overflow="fold")
    for group in _by_cause(report.checks):
        first, names = group[0], [check.name for check in group]
        shown = "\n".join(names) if len(names) <= _NAMED else f"{len(names)} checks"
        style = _VERDICT_STYLES.get(first.verdict, "yellow")
        table.add_row(shown, Text(first.verdict, style=style), Text(printable(first.message)))
        if first.quoted:
            quoted = _own_lines(printable(first.quoted), first.message)
            table.add_row("", "", Text(quoted, style="dim"))
    console.print(table)
    facts = [
        ("frames a second", report.frame_rate_hz, "{:g}"),
        ("output_dim", report.output_dim, "{}"),
        ("times real time", report.realtime_factor, "{:.3g}"),
        ("peak memory (bytes)", report.peak_memory_bytes, "{:,}"),
    ]
    shown_facts = [
        f"{name}: {form.format(value)}" for name, value, form in facts if value is not None
    ]
    console.print("   ".join(shown_facts))
    for note in report.notes:
        console.print(Text(f"Note: {printable(note)}", style="yellow"))
    verdict, style = _verdict(report)
    console.print(verdict, style=style)


def _by_cause(checks: Sequence[Check]) -> list[list[Check]]:
    """Checks in their order, those beside each other that tell the same."""
    groups: dict[tuple[str, ...], list[Check]] = {}
    for check in checks:
        if check.passed is None and check.verdict != "note":
            key: tuple[str, ...] = (check.verdict, check.message)
        else:
            key = (check.cause if check.passed is False and check.cause else check.name,)
        groups.setdefault(key, []).append(check)
    # What has no verdict explains itself by what has one.
    return sorted(groups.values(), key=lambda group: group[0].passed is None)


def _verdict(report: CheckReport) -> tuple[str, str]:
    """The last line, and its style."""
    if report.passed and report.remark:
        return f"This encoder keeps the contract, but {report.remark}", "yellow"
    if report.passed:
        return "This encoder keeps the contract.", "green"
    required = [check for check in report.checks if check.required]
    missed = sum(check.passed is None for check in required)
    if all(check.passed is not False for check in required):
        said = "Nothing is broken as far as it was checked"
        return (
            f"{said}, but {missed} required checks were not: --time-limit gives more time.",
            "yellow",
        )
    return "This encoder does not pass.", "bold red"


def _own_lines(quoted: str, message: str) -> str:
    """A traceback's lines in the user's own files, and its cause unless the message has it.

    Args:
        quoted: The traceback, or the last lines that a process printed.
        message: What stands above it.
    """
    lines = quoted.rstrip().splitlines()
    if not any(line.startswith("Traceback ") for line in lines):
        return quoted.rstrip()
    last = len(lines)
    while last > 1 and not lines[last - 1].startswith("  File "):
        last -= 1
    # Behind the last frame: its source line, then the exception, of one line or many.
    behind = [line for line in lines[last:] if line.startswith("    ")]
    told = [line for line in lines[last:] if line.strip() and not line.startswith("    ")]
    body = [*lines[:last], *behind]
    body = _own_frames(body) or body[-_QUOTED_LINES:]
    if told and told[-1].strip()[-_CAUSE:] not in message:
        body.append(told[-1])
    return "\n".join(body)


def _own_frames(lines: list[str]) -> list[str]:
    found: list[str] = []
    is_own = False
    for line in lines:
        if line.startswith("  File "):
            is_own = not any(part in line for part in _OF_LIBRARIES)
        elif not line.startswith("    "):
            is_own = False
        if is_own:
            found.append(line)
    return found[-_QUOTED_LINES:]


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
