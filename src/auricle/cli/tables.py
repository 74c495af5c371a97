"""Tables on standard output."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from auricle.cli.terminal import PlainConsole
from auricle.errors import printable
from auricle.progress import bytes_text

if TYPE_CHECKING:
    from auricle.encoder.checks import Check, CheckReport
    from auricle.records.comparison import Comparison, Outcome, Pair
    from auricle.records.scores import Estimate, Scored, TaskScore

_MOST_DIFFERING = 6
_MOST_SENTENCES = 3
_WIDE_PAIR = 110


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
        ("peak memory", report.peak_memory_bytes and bytes_text(report.peak_memory_bytes), "{}"),
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
    """A sentence per pair and track, then the tasks: of one pair, or of all sides in one table.

    Of more than three pairs the table says it alone. No number and no verdict is ever cut.
    """
    from auricle.scoring.tables import seeds_table

    console = _console()
    for name, suite in found.suites:
        on = f" on {name}" if name else ""
        pairs = suite.shown_pairs
        for pair in pairs if len(pairs) <= _MOST_SENTENCES else ():
            console.print(Text.assemble(*_sentences(pair, on)))
        if suite.encoders is not None:
            table = seeds_table(suite.encoders, tracks_alone=bool(pairs))
            rows = [[_cell(row[column]) for column in table.columns] for row in table.rows]
            print_rows(list(table.columns), rows, title=f"each encoder over its seeds{on}")
        if len(pairs) == 1:
            _print_pair(pairs[0], on)
        elif pairs:
            _print_side_by_side(pairs, on)
    differing = found.differences
    if differing:
        shown = [f"{d.name} ({', '.join(d.values)})" for d in differing[:_MOST_DIFFERING]]
        more = len(differing) - _MOST_DIFFERING
        rest = f", and {more} more" if more > 0 else ""
        text = f"the runs differ in more than their encoders: {'; '.join(shown)}{rest}"
        console.print(text, style="dim")


def _print_side_by_side(pairs: Sequence[Pair], on: str) -> None:
    """Tasks by sides; each side is marked where it is better or worse than the first."""
    first = pairs[0].left
    against = [pair for pair in pairs if pair.left == first]
    table = _task_table(f"scores{on}")
    table.caption = f"+ better, - worse than {printable(first)}; every pair: --json or --table csv"
    table.caption_justify = "left"
    console = _console()
    room = max(7, (console.width - 24) // (1 + len(against)) - 3)
    for name in (first, *(pair.right for pair in against)):
        table.add_column(name, justify="right", max_width=room, overflow="fold")
    marks = {"better": "-", "worse": "+"}  # said of the first side
    from auricle.records.comparison import Outcome

    nothing = Outcome()
    rows = [dict(pair.entries()) for pair in against]
    tasks = dict.fromkeys(name for pair in against for name in pair.tasks)
    tracks = dict.fromkeys(name for row in rows for name in row if name not in tasks)
    for task in (*tasks, *tracks):
        entries = [row.get(task, nothing) for row in rows]
        left = next((entry.left for entry in entries if entry.left is not None), None)
        if left is None and task in tasks:
            continue  # it stands below
        cells = [f"{_number(entry.right)}{marks.get(entry.verdict, ' ')}" for entry in entries]
        table.add_row(task, f"{_number(left)} ", *cells)
    console.print(table)
    _print_reasons(against)


def _task_table(title: str) -> Table:
    """A table of tasks without lines between its columns, which fits a narrow terminal."""
    table = Table(
        title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("task", no_wrap=True)
    return table


def _print_reasons(pairs: Sequence[Pair]) -> None:
    """Why tasks are missing, each reason once."""
    tasks: dict[str, dict[str, None]] = {}
    for task, entry in (item for pair in pairs for item in pair.tasks.items()):
        if entry.reason:
            tasks.setdefault(entry.reason, {})[task] = None
    for reason, names in tasks.items():
        _console().print(f"{', '.join(names)}: {reason}", style="yellow")


def _sentences(pair: Pair, on: str) -> list[str | tuple[str, str]]:
    """What was found of a pair, a line per track."""
    of_seeds = any(entry.of_seeds for entry in pair.tracks.values())
    left, right = (
        printable(name) if of_seeds else f"this run of {printable(name)}"
        for name in (pair.left, pair.right)
    )
    said: list[str | tuple[str, str]] = []
    whole = {f"track {name.upper()}": entry for name, entry in pair.tracks.items()}
    tested = {name: entry for name, entry in pair.tasks.items() if entry.difference is not None}
    if not any(entry.difference is not None for entry in whole.values()):
        # Where no track is whole, what the two share says more than what they lack.
        whole = dict(list(tested.items())[:_MOST_SENTENCES]) or whole
    for name, entry in whole.items():
        head = {
            "better": f"{left} is better than {right}",
            "worse": f"{left} is worse than {right}",
            "cannot tell": f"cannot tell {left} from {right}",
            "missing": f"{left} and {right}",
        }[entry.verdict]
        style = "" if entry.verdict in ("cannot tell", "missing") else "bold"
        line_end = "\n" if said else ""
        said += [line_end, (head, style), f"{on}, {name}: {entry.sentence_end}"]
    return said


def _print_pair(pair: Pair, on: str) -> None:
    console = _console()
    wide = console.width >= _WIDE_PAIR
    of_seeds = any(entry.of_seeds for entry in pair.tasks.values())
    table = _task_table(f"{pair.left} against {pair.right}{on}")
    for name in (pair.left, pair.right):
        table.add_column(name, justify="right", max_width=None if wide else 9, overflow="fold")
    table.add_column("difference [95 %]", justify="right", no_wrap=True)
    if wide:
        table.add_column("p (Holm)", justify="right", no_wrap=True)
    table.add_column(f"{pair.left} is", max_width=None if wide else 11, overflow="fold")
    if wide:
        table.add_column(f"more {'seeds' if of_seeds else 'clips'}", justify="right", no_wrap=True)
    for name, entry in pair.tasks.items():
        if entry.difference is not None:  # the others stand below
            table.add_row(*_comparison_cells(name, entry, wide=wide))
    table.add_section()
    for name, entry in pair.tracks.items():
        table.add_row(*_comparison_cells(f"track {name.upper()}", entry, wide=wide))
    console.print(table)
    _print_reasons([pair])


def _comparison_cells(name: str, entry: Outcome, *, wide: bool) -> list[str]:
    if entry.difference is None:
        return [name, "", "", "", *[""] * wide, "missing", *[""] * wide]
    from auricle.scoring.tables import p_text

    return [
        name,
        _number(entry.left),
        _number(entry.right),
        f"{entry.difference:+.3f} [{entry.low:+.3f}, {entry.high:+.3f}]",
        *([p_text(entry.p_corrected or 0.0, 4)] if wide else []),
        entry.verdict,
        *([_more(entry)] if wide else []),
    ]


def _more(entry: Outcome) -> str:
    more = entry.more_seeds if entry.of_seeds else entry.more_clips
    if more is None or entry.would_tell.startswith("no "):
        return entry.would_tell.split(" would", 1)[0].replace(" are needed", "")
    return f"{more:,}"


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
