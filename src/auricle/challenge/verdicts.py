"""The words with which a submission is judged: one verdict per kind of problem, in every output.

A verdict is for programs, the message beside it for people: what was seen, what was expected, what
to do. Verdicts may be added and are never renamed, because receipts keep them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """What was found; ``good`` when nothing was."""

    GOOD = "good"
    NOT_MEASURED = "not_measured"
    NOT_REACHED = "not_reached"

    NOT_A_ZIP = "not_a_zip"
    DAMAGED = "damaged"
    TOO_LARGE = "too_large"
    TOO_MANY_ENTRIES = "too_many_entries"
    TOO_DEEP = "too_deep"
    BOMB = "bomb"
    NESTED_ARCHIVE = "nested_archive"
    ENCRYPTED = "encrypted"
    UNSUPPORTED_COMPRESSION = "unsupported_compression"
    LYING_SIZE = "lying_size"
    OVERLAP = "overlap"
    PATH_TRAVERSAL = "path_traversal"
    ABSOLUTE_NAME = "absolute_name"
    BAD_NAME = "bad_name"
    NAME_TOO_LONG = "name_too_long"
    NAME_COLLISION = "name_collision"
    LINK = "link"
    SPECIAL_FILE = "special_file"

    MANIFEST_MISSING = "manifest_missing"
    MANIFEST_INVALID = "manifest_invalid"
    MANIFEST_MISMATCH = "manifest_mismatch"
    REPOSITORY_WITHOUT_DECLARATION = "repository_without_declaration"

    REPORT_MISSING = "report_missing"
    REPORT_INVALID = "report_invalid"
    REPORT_TOO_LONG = "report_too_long"
    REPORT_ACTIVE = "report_active"

    DECLARATION_MISSING = "declaration_missing"
    DECLARATION_INVALID = "declaration_invalid"
    RULE_BROKEN = "rule_broken"
    NOT_REGISTERED = "not_registered"
    REGISTRATION_DIFFERS = "registration_differs"

    ENVIRONMENT_FAILED = "environment_failed"
    CONTRACT_BROKEN = "contract_broken"
    ENCODER_FAILED = "encoder_failed"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    DISK_LIMIT = "disk_limit"
    RUN_FAILED = "run_failed"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and how to mend it."""

    verdict: Verdict
    message: str
    evidence: str = ""
    """On what the verdict rests, where that is not the stage's usual ground; names no clip."""


class UncertainError(Exception):
    """An end that may be nobody's fault: signal 9 from outside, a loaded machine, a full disk."""

    def __init__(self, problem: Problem | None, evidence: str) -> None:
        """Say what was seen.

        Args:
            problem: The verdict if it ends so each time; None for what can never be one.
            evidence: What is known about the end.
        """
        super().__init__(evidence)
        self.problem = problem
        self.evidence = evidence


_GROUNDS = {
    "archive": "the archive's own bytes",
    "manifest": "the hash of every unpacked file",
    "files": "the files of the folder",
    "report": "what a process behind locks read in the PDF",
    "declaration": "the text of the declaration and the files beside it",
    "environment": "exit status and output of the installation or of the first construction",
    "contract": "the answers of the encoder to 'auricle check'",
    "memory": "the peak of memory that 'auricle check' measured",
}
_RUN_GROUND = "the error with which the run ended"


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage of the examination found.

    ``passed`` is None where the stage was not reached or could not be measured.
    """

    name: str
    passed: bool | None
    problems: tuple[Problem, ...] = ()
    note: str = ""
    remark: str = ""
    """What a reader of the verdict must know although it breaks no rule."""

    @property
    def verdict(self) -> Verdict:
        """The first problem's verdict."""
        if self.problems:
            return self.problems[0].verdict
        return Verdict.GOOD if self.passed else Verdict.NOT_MEASURED

    @property
    def message(self) -> str:
        """All problems, one per line, or the note; then the remark."""
        said = "\n".join(problem.message for problem in self.problems) or self.note
        return f"{said}\n{self.remark}".strip()

    @property
    def evidence(self) -> str:
        """On what a verdict that is not good rests; empty without one."""
        if self.passed is not False:
            return ""
        own = dict.fromkeys(problem.evidence for problem in self.problems)
        ground = _GROUNDS.get(self.name, _RUN_GROUND)
        return "; ".join(dict.fromkeys(each or ground for each in own))

    def record(self) -> dict[str, object]:
        """The stage as it stands in JSON output and receipts."""
        return {
            "name": self.name,
            "passed": self.passed,
            "verdict": str(self.verdict),
            "message": self.message,
            "evidence": self.evidence,
            "remark": self.remark,
            "problems": [{"verdict": str(p.verdict), "message": p.message} for p in self.problems],
        }


def judged(name: str, problems: list[Problem], note: str = "") -> Stage:
    """A stage that passed if nothing was found."""
    return Stage(name, not problems, tuple(problems), note)


def not_reached(name: str, because: str) -> Stage:
    """A stage that an earlier failure left unexamined."""
    return Stage(name, None, (Problem(Verdict.NOT_REACHED, f"Not examined: {because}"),))


def shown(text: str, limit: int = 120) -> str:
    """A stranger's text for a sentence: no control or direction characters, not too long."""
    safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1])
    return safe if len(text) <= limit else f"{safe[:limit]}..."


_OWN = (Path(__file__).resolve().parents[2], Path(sys.prefix), Path(sys.base_prefix))


def told(text: str, *places: Path, lines: int = 40, width: int = 600) -> str:
    """A command's text for a team: plain, not too long, without this machine's folders.

    Args:
        text: What it said.
        places: Folders of the examination, inner ones first; auricle's own are known.
        lines: At most so many.
        width: Characters of a line.
    """
    for place in (*places, *_OWN):
        text = text.replace(f"{place}/", "")
    return "\n".join(shown(line, width) for line in text.splitlines()[:lines])
