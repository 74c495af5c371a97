"""The technical report: a real, readable PDF of at most six pages that does nothing by itself."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auricle.challenge.processes import KILLED, load_of_machine
from auricle.challenge.verdicts import Problem, UncertainError, Verdict, shown

MAX_PAGES = 6
MAX_BYTES = 20 << 20
MIN_CHARACTERS = 200
LONGEST_SIDE_POINTS = 1200.0
"""A little more than A3: six pages of any size would be no limit."""
_CHILD = Path(__file__).resolve().parent / "report_child.py"
_TIME_LIMIT_S = 60.0


def report_child_paths() -> tuple[Path, ...]:
    """What a locked process needs to read a report, beside its Python and the report."""
    return (_CHILD,)


def check_report(path: Path, *, prefix: Sequence[str] = ()) -> list[Problem]:
    """Judge a report.

    Args:
        path: The PDF.
        prefix: Locks that stand before the command of the process that reads it.

    Returns:
        What is wrong with it, with the way to mend it.
    """
    name = path.name
    if not path.is_file():
        return [
            Problem(
                Verdict.REPORT_MISSING,
                f"There is no report '{shown(name)}'; a technical report as PDF, at most "
                f"{MAX_PAGES} pages, is due: without it a submission is not valid.",
            )
        ]
    size = path.stat().st_size
    with path.open("rb") as stream:
        first = stream.read(1024)
    if b"%PDF-" not in first:
        return [_invalid(f"The report '{shown(name)}' is no PDF (it begins with {first[:12]!r}).")]
    if size > MAX_BYTES:
        return [
            _invalid(
                f"The report has {size} bytes; at most {MAX_BYTES} are expected. Shrink its images."
            )
        ]
    facts = _read_facts(path, prefix)
    if isinstance(facts, Problem):
        return [facts]
    return _judge(facts)


def _invalid(message: str) -> Problem:
    return Problem(Verdict.REPORT_INVALID, message)


def _read_facts(path: Path, prefix: Sequence[str]) -> dict[str, Any] | Problem:
    command = [*prefix, sys.executable, "-I", str(_CHILD), str(path.absolute())]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        problem = _invalid(f"The report could not be read within {_TIME_LIMIT_S:.0f} s.")
        if load := load_of_machine():
            raise UncertainError(problem, load) from error
        return problem
    try:
        facts = json.loads(done.stdout[: 1 << 20])
    except ValueError as error:
        problem = _invalid(
            "The report could not be read: its reader ended without an answer "
            f"(exit code {done.returncode}). Export the PDF anew."
        )
        if done.returncode in KILLED:
            evidence = "the process that reads it was ended by signal 9"
            raise UncertainError(problem, evidence) from error
        return problem
    if not isinstance(facts, dict) or "error" in facts:
        reason = shown(str(facts.get("error")), 200) if isinstance(facts, dict) else "no facts"
        return _invalid(f"The report cannot be read as a PDF ({reason}). Export the PDF anew.")
    return facts


def _judge(facts: dict[str, Any]) -> list[Problem]:
    if facts.get("encrypted"):
        return [_invalid("The report is encrypted; a PDF without a password is expected.")]
    problems = []
    pages, characters = facts["pages"], facts["characters"]
    if not pages:
        problems.append(_invalid("The report has no page."))
    if pages > MAX_PAGES:
        seen = f"{pages}" if pages <= 200 else "over 200"
        problems.append(
            Problem(
                Verdict.REPORT_TOO_LONG,
                f"The report has {seen} pages; at most {MAX_PAGES} are allowed, references "
                "included.",
            )
        )
    sides = [side for size in facts["sizes"] for side in size]
    if any(not math.isfinite(side) or not 0 < side <= LONGEST_SIDE_POINTS for side in sides):
        problems.append(
            Problem(
                Verdict.REPORT_TOO_LONG,
                f"A page of the report measures {max(sides, key=abs):g} points; pages of A4 or "
                "Letter size are expected.",
            )
        )
    if pages and characters < MIN_CHARACTERS:
        problems.append(
            _invalid(
                f"The report has {characters} characters of text; a report that can be read and "
                f"searched is expected, {MIN_CHARACTERS} or more. Export it as text, not as images."
            )
        )
    if facts.get("skeleton"):
        problems.append(
            _invalid(
                "The report is the template's skeleton; write what its headings ask for, and save "
                "it in its place."
            )
        )
    if facts["active"]:
        problems.append(
            Problem(
                Verdict.REPORT_ACTIVE,
                f"The report holds {', '.join(facts['active'])}; it will be published, so it may "
                "hold text and images alone.",
            )
        )
    return problems
