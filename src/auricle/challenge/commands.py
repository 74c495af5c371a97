"""`auricle check` and `auricle run` as commands of their own, with an encoder behind locks.

Whoever judges never loads an encoder: the commands do, and what they start as the
encoder's interpreter is a program that puts it behind locks first. They are told apart from a
stranger's files by ``-P``: nothing is imported from the folder where they start.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auricle.challenge.environment import Environment
from auricle.challenge.limits import MEMORY_BYTES
from auricle.challenge.processes import (
    KILLED,
    TOO_DEEP,
    Bounds,
    Outcome,
    clean_environment,
    load_of_machine,
    run_bounded,
)
from auricle.challenge.rules import CARD_BYTES
from auricle.challenge.submission import Submission
from auricle.challenge.verdicts import Problem, UncertainError, Verdict, told
from auricle.errors import UserError
from auricle.files import data_home, make_folder
from auricle.progress import bytes_text
from auricle.sandbox.policy import Policy
from auricle.sandbox.wrap import Lock

_TIMED_OUT = re.compile(
    r"\bdid not (finish|answer|end)\b.*\bwithin [0-9.]+ s\b|was not reached", re.S
)


VERDICT_OF_ERROR = {
    "EncoderTimeoutError": Verdict.TIME_LIMIT,
    "EncoderContractError": Verdict.CONTRACT_BROKEN,
    "EncoderLoadError": Verdict.ENCODER_FAILED,
    "EncoderCrashError": Verdict.ENCODER_FAILED,
    "EncoderMemoryError": Verdict.MEMORY_LIMIT,
    "EncoderError": Verdict.ENCODER_FAILED,
    "TrainingError": Verdict.RUN_FAILED,
}
"""What the names of auricle's errors mean for a submission; every other one is not its fault."""


_IN_OUR_WORDS = {
    Verdict.TIME_LIMIT: "the encoder did not answer within its time",
    Verdict.CONTRACT_BROKEN: "the encoder gave what the contract forbids",
    Verdict.ENCODER_FAILED: "the encoder raised an error, or its process died",
    Verdict.MEMORY_LIMIT: "a batch did not fit into the encoder's memory",
    Verdict.RUN_FAILED: "a loss or gradient was not a finite number",
}
_KEPT_BACK = "What it said can quote clips, so only the organiser has it, beside the receipt."
# Advice to who gives the command; a team does not.
_OPTION = " If it is only slow, give it longer with --batch-timeout."


@dataclass(frozen=True, slots=True)
class Workplace:
    """Folders of one examination; ``home`` is a data home whose only own part is features."""

    folder: Path

    @property
    def archive(self) -> Path:
        """The ZIP as it was when the examination began."""
        return self.folder / "submission.zip"

    @property
    def submission(self) -> Path:
        """The unpacked submission."""
        return self.folder / "submission"

    @property
    def places(self) -> tuple[Path, ...]:
        """Folders that a team is told nothing of, inner ones first."""
        return self.submission, self.environment, self.folder

    @property
    def environment(self) -> Path:
        """Its environment."""
        return self.folder / "environment"

    @property
    def logs(self) -> Path:
        """Output of every command."""
        return self.folder / "logs"

    @property
    def runs(self) -> Path:
        """Runs that were judged."""
        return self.folder / "runs"

    def make_home(self) -> Path:
        """A data home with the machine's shards and models, and nothing that was ever computed.

        The folder of models is its own, with a link to each that is there: all of them are found,
        and what a run adds goes with its scratch.
        """
        home = make_folder(self.folder / "home")
        links = {home / name: make_folder(data_home() / name) for name in ("shards", "index")}
        models = make_folder(home / "models")
        links |= {models / path.name: path for path in _entries(data_home() / "models")}
        for link, target in links.items():
            if not link.exists():
                link.unlink(missing_ok=True)  # of a model that is gone
                link.symlink_to(target.absolute())
        return home


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def encoder_policy(
    environment: Environment, folder: Path, *, gpu: bool, memory_bytes: int = MEMORY_BYTES
) -> Policy:
    """The locks of an encoder that is judged: its Python, its environment, its files, a scratch."""
    return Policy(
        readable=(*environment.readable(), folder),
        folder=folder,
        environment=environment.variables,
        memory_bytes=memory_bytes,
        gpu=gpu,
        gpu_memory_fraction=_card_fraction(_ask_driver()) if gpu else None,
        tools=gpu,  # what compiles kernels for a GPU needs a compiler
    )


def _ask_driver() -> str:
    """The memory of each card, in MiB, a line each; nothing where there is no driver."""
    words = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(  # noqa: S603
            words, capture_output=True, text=True, check=False, timeout=60
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _card_fraction(said: str) -> float | None:
    """The part of the smallest card that is the challenge's 24 GB: the same bound on any card."""
    sizes = [int(line) << 20 for line in said.splitlines() if line.strip().isdigit()]
    return min(1.0, CARD_BYTES / min(sizes)) if sizes else None


def run_auricle(
    words: Sequence[str],
    *,
    name: str,
    workplace: Workplace,
    bounds: Bounds,
    environment: Mapping[str, str] | None = None,
    judged: Mapping[str, str] | None = None,
) -> Outcome:
    """Run one auricle command in a process of its own, with an empty folder to start in.

    Args:
        words: The command's words, ``--json`` among them.
        name: What its output files are called.
        workplace: Where they lie.
        bounds: When it is ended.
        environment: All of its environment variables; when None ours without secrets, and a data
            home with the machine's shards and nothing else.
        judged: From `judged_variables`, where the command starts a submission's encoder.
    """
    if environment is None:
        environment = clean_environment(AURICLE_HOME=str(workplace.make_home()), **(judged or {}))
    return run_bounded(
        [sys.executable, "-P", "-m", "auricle", *words],
        bounds=bounds,
        logs=workplace.logs,
        name=name,
        folder=make_folder(workplace.folder / "start"),
        environment=environment,
    )


def encoder_words(submission: Submission, folder: Path, lock: Lock, python: Path) -> list[str]:
    """ENCODER for a command line: which file, which arguments, which interpreter."""
    words = [submission.encoder_in(folder), "--encoder-python", str(lock.python(python))]
    if submission.arguments:
        words += ["--encoder-args", submission.arguments_json()]
    return words


def parse_answer(outcome: Outcome) -> dict[str, Any] | None:
    """The JSON object that a command printed; None where it printed none."""
    try:
        answer = json.loads(outcome.stdout)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def explain_failure(
    outcome: Outcome, lock: Lock, *places: Path, what: str, secret: bool = False
) -> Problem:
    """Why a command gave no good answer, as one typed problem of the submission.

    Args:
        outcome: How it ended.
        lock: The encoder's locks, which know about memory.
        places: Folders that a team is told nothing of, inner ones first.
        what: What was being done, e.g. ``the smoke run``.
        secret: Keep to our own words: the command's name clips, and quote what the encoder heard.

    Raises:
        UncertainError: It may be no fault of the submission; to be tried again.
        UserError: It was no fault of the submission: data, disk, network, or a bug of ours.
    """
    if outcome.stopped is Verdict.DISK_LIMIT:
        said = f"During {what} more disk was filled than a run may{_of(outcome)}."
        return Problem(outcome.stopped, said, "the space of its own files, counted")
    if outcome.stopped is Verdict.TOO_DEEP:
        return Problem(outcome.stopped, f"During {what}: {TOO_DEEP}.", "the folders, counted")
    if lock.was_out_of_memory():
        size = f" ({bytes_text(lock.memory_bytes)})" if lock.memory_bytes else ""
        said = f"During {what} the encoder used up all memory that it may{size}."
        return Problem(Verdict.MEMORY_LIMIT, said, OWN_MEMORY)
    if outcome.stopped is Verdict.TIME_LIMIT:
        said = f"During {what} the limit of {outcome.wall_s:.0f} s was reached."
        return timed_out(Problem(outcome.stopped, said))
    kind, text = error_of(outcome)
    verdict = VERDICT_OF_ERROR.get(kind)
    if verdict is None:
        reason = f"{what[:1].upper()}{what[1:]} stopped for a reason that is not the submission's"
        if outcome.code in KILLED and not kind:
            raise UncertainError(None, f"{reason}: our own process was ended by signal 9")
        raise UserError(f"{reason}, so there is no verdict. {text}")
    if _TIMED_OUT.search(text):
        verdict = Verdict.TIME_LIMIT
    said = f"During {what}: {told(text.replace(_OPTION, ''), *places)}"
    if secret:
        said = f"During {what}: {_IN_OUR_WORDS[verdict]}. {_KEPT_BACK}"
    if KILLED_TEXT.search(text):
        raise UncertainError(Problem(verdict, said), NOT_BY_ITSELF)
    if verdict is Verdict.TIME_LIMIT:
        return timed_out(Problem(verdict, said))
    return Problem(verdict, said)


def _of(outcome: Outcome) -> str:
    """The bound of disk that a command met, in brackets."""
    size = outcome.bounds.folder_bytes if outcome.bounds else 0
    return f" ({bytes_text(size)})" if size else ""


def timed_out(problem: Problem) -> Problem:
    """A problem of time, with its evidence.

    Raises:
        UncertainError: The machine was so loaded that it may be none.
    """
    if load := load_of_machine():
        raise UncertainError(problem, load)
    return replace(problem, evidence="the clock of a machine that was not loaded")


OWN_MEMORY = "its own control group met the limit of memory, and ended a process for it"
NOT_BY_ITSELF = (
    "the encoder's process was ended by signal 9, which no process behind the locks can send and "
    "which the control group's memory did not cause"
)
KILLED_TEXT = re.compile(
    r"process (was ended by signal 9 |ended by itself with exit code 137\b)"
    r"|\bended with exit code 137 while "
)
"""What the errors of `auricle.encoder.failures` say of an encoder that was ended by signal 9."""


def error_of(outcome: Outcome) -> tuple[str, str]:
    """The name of the error that ended a command, empty where none is known, and its text."""
    error = (parse_answer(outcome) or {}).get("error")
    if not isinstance(error, Mapping):
        return "", outcome.tail() or f"Its exit code is {outcome.code}."
    text = "\n".join(str(error.get(name, "")) for name in ("message", "quoted")).strip()
    return str(error.get("type")), text
