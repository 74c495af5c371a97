"""The stages of an examination, shared by `pack` (one's own code) and `verify` (a stranger's).

Each takes what earlier stages made and gives a `Stage`; which ones are made, and behind which
locks, is the caller's choice.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auricle.challenge.commands import (
    KILLED_TEXT,
    NOT_BY_ITSELF,
    OWN_MEMORY,
    Workplace,
    encoder_policy,
    encoder_words,
    explain_failure,
    parse_answer,
    run_auricle,
    timed_out,
)
from auricle.challenge.environment import (
    Environment,
    EnvironmentFailedError,
    build_environment,
    freeze_environment,
)
from auricle.challenge.limits import TrialLimits
from auricle.challenge.processes import Bounds
from auricle.challenge.rules import CARD_BYTES, check_parameters
from auricle.challenge.submission import Submission
from auricle.challenge.verdicts import (
    Problem,
    Stage,
    UncertainError,
    Verdict,
    judged,
    shown,
    told,
)
from auricle.encoder.protocol import judged_variables
from auricle.errors import UserError
from auricle.files import remove_tree
from auricle.progress import bytes_text
from auricle.sandbox.wrap import Locks

STAGES = (
    *("archive", "manifest", "report", "declaration"),
    *("environment", "contract", "memory", "smoke"),
)
_LATE = re.compile(r"\bdid not finish within [0-9.]+ s\b")
TRIES = 3
WAITS_S = (10.0, 60.0)
"""Between tries: what filled a machine may be gone by then."""


def in_tries(name: str, attempt: Callable[[], Stage]) -> Stage:
    """Make a stage again where its end may be nobody's fault; the same end each time is a verdict.

    Args:
        name: The stage.
        attempt: Makes it.

    Raises:
        UserError: There is no verdict: the ends differ, or are ones that never can be one.
    """
    ends: list[UncertainError] = []
    for wait_s in (0.0, *WAITS_S):
        time.sleep(wait_s)
        try:
            return attempt()
        except UncertainError as error:
            ends.append(error)
    problems = [end.problem for end in ends]
    last = problems[-1]
    if last is None or any(p is None or p.verdict is not last.verdict for p in problems):
        seen = "; ".join(dict.fromkeys(end.evidence for end in ends))
        raise UserError(
            f"The stage '{name}' was tried {len(ends)} times, and there is no verdict: {seen}. "
            "Mend what is wrong with the machine, and give the same command again."
        )
    evidence = f"the same end in each of {len(ends)} tries: {ends[-1].evidence}"
    return judged(name, [replace(last, evidence=evidence)])


_MEMORY_CHECKS = ("memory_training_batch", "memory_longest_clip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(TrialLimits):
    """How an encoder is tried, and what it may take."""

    device: str = "auto"
    gpu: bool = False
    """Whether the encoder's locks let a GPU through."""
    smoke_suite: str = "synth-keyword"
    """One task is enough to see encoding, training and answering go through."""
    smoke_settings: tuple[str, ...] = ("train.steps=20",)


@dataclass(slots=True)
class Trial:
    """An encoder on trial: from its files to a smoke run."""

    submission: Submission
    folder: Path
    workplace: Workplace
    locks: Locks
    settings: Settings
    environment: Environment | None = None
    environment_facts: dict[str, Any] = field(default_factory=dict)
    locks_facts: dict[str, str] = field(default_factory=dict)
    check: dict[str, Any] | None = None

    def build(self) -> Stage:
        """The environment stage."""
        return in_tries("environment", self._build)

    def _build(self) -> Stage:
        remove_tree(self.workplace.environment)  # of a try before this one
        try:
            self.environment = build_environment(
                self.submission,
                self.folder,
                into=self.workplace.environment,
                locks=self.locks,
                limits=self.settings.fetch,
                logs=self.workplace.logs,
            )
            self.environment_facts = freeze_environment(
                self.environment, limit_s=self.settings.fetch.construct_s
            )
        except EnvironmentFailedError as error:
            return judged("environment", [error.problem])
        count = len(self.environment_facts["installed"])
        said = f"packages installed beside auricle's own: {count}; the encoder was constructed"
        return judged("environment", [], said)

    def examine(self) -> Stage:
        """The contract stage: `auricle check`."""
        return in_tries("contract", self._examine)

    def _examine(self) -> Stage:
        assert self.environment is not None
        policy = encoder_policy(
            self.environment,
            self.folder,
            gpu=self.settings.gpu,
            memory_bytes=self.settings.memory_bytes,
        )
        with self.locks(policy) as lock:
            self.locks_facts = lock.description
            words = encoder_words(self.submission, self.folder, lock, self.environment.python)
            limit_s = self.settings.check_limit_s
            outcome = run_auricle(
                ["check", *words, "--json", "--time-limit", f"{limit_s:g}", *self._device()],
                name="check",
                workplace=self.workplace,
                bounds=Bounds(limit_s * 2 + 60, self.workplace.folder, self.settings.disk_bytes),
                judged=judged_variables(self.folder, self.environment.home),
            )
            answer = parse_answer(outcome)
            if answer is None or not isinstance(answer.get("checks"), list):
                what = "the check of the contract"
                problem = explain_failure(outcome, lock, *self.workplace.places, what=what)
                return judged("contract", [problem])
            self.check = answer
            problems = self._contract_problems(answer, out_of_memory=lock.was_out_of_memory())
        passed = sum(check.get("passed") is True for check in answer["checks"])
        stage = judged("contract", problems, f"{passed} checks passed")
        return replace(stage, remark=_hearing_remark(answer))

    def _contract_problems(self, answer: dict[str, Any], *, out_of_memory: bool) -> list[Problem]:
        problems = []
        if "parameters" in self.submission.model_fields_set:  # not where only the rest was salvaged
            assert self.environment is not None
            problems = check_parameters(self.submission, self.environment.num_parameters)
        required = [check for check in answer["checks"] if check.get("required", True)]
        has_failed = any(check.get("passed") is False for check in required)
        reasons: set[str] = set()
        for check in required:
            # What a failed check has kept from a verdict is told there.
            is_told = has_failed and check.get("verdict") in ("answered", "not reached")
            if check.get("passed") is True or is_told:
                continue
            name, message = shown(str(check.get("name")), 60), str(check.get("message"))
            if check.get("passed") is None and message in reasons:  # told of another check
                continue
            reasons.add(message)
            quoted = str(check.get("quoted") or "")
            text = told(f"{message}\n{quoted}".strip(), *self.workplace.places)
            verdict = (
                Verdict.CONTRACT_BROKEN if check.get("passed") is False else Verdict.TIME_LIMIT
            )
            problem = Problem(verdict, f"{name}: {text}")
            if not out_of_memory and KILLED_TEXT.search(message):
                raise UncertainError(problem, NOT_BY_ITSELF)
            if _LATE.search(message) or verdict is Verdict.TIME_LIMIT:
                problem = timed_out(problem)
            problems.append(problem)
        if out_of_memory:
            size = bytes_text(self.settings.memory_bytes)
            message = f"The encoder used up all memory that it may ({size})."
            problems.insert(0, Problem(Verdict.MEMORY_LIMIT, message, OWN_MEMORY))
        if not problems and answer.get("passed") is not True:
            problems.append(Problem(Verdict.CONTRACT_BROKEN, "The check did not pass."))
        return problems

    def measure(self) -> Stage:
        """The memory stage: what the check measured against the card's 24 GB."""
        if self.check is None:
            return Stage("memory", None, note="not measured: the check gave no answer")
        checks = {check.get("name"): check for check in self.check["checks"]}
        found = [checks[name] for name in _MEMORY_CHECKS if name in checks]
        problems = [
            Problem(Verdict.MEMORY_LIMIT, shown(str(check.get("message")), 600))
            for check in found
            if check.get("passed") is False
        ]
        if problems:
            return judged("memory", problems)
        peak = self.check.get("peak_memory_bytes")
        size = f"{peak / 1e9:.1f} GB" if isinstance(peak, int | float) else "an unknown amount"
        if any(check.get("passed") is None for check in found) or not found:
            note = f"no verdict without a GPU; growth in main memory as an estimate: {size}"
            return Stage("memory", None, note=note)
        card = f"{CARD_BYTES / 1e9:.0f} GB"
        return judged("memory", [], f"{size} at most, of {card}, as its process says")

    def smoke(self) -> Stage:
        """The smoke stage: a whole run with few steps."""
        settings = [word for each in self.settings.smoke_settings for word in ("--set", each)]
        return self.run(
            "smoke", self.settings.smoke_suite, settings, limit_s=self.settings.smoke_limit_s
        )[0]

    def run(
        self,
        name: str,
        suite: str,
        words: list[str],
        *,
        limit_s: float,
        workplace: Workplace | None = None,
    ) -> tuple[Stage, dict[str, Any] | None]:
        """A run from an empty scratch, its encoder behind locks.

        Args:
            name: What it is called.
            suite: What it is measured on.
            words: Further words of the command.
            limit_s: Wall clock.
            workplace: Where the run lies, whose clips may then be secret; that of the examination
                when None.

        Returns:
            The stage, and where the run finished what ``auricle run --json`` said of it.

        Raises:
            UserError: It stopped, or lacks a task, by no fault of the submission.
        """
        answers: list[dict[str, Any] | None] = []

        def attempt() -> Stage:
            stage, answer = self._run(name, suite, words, limit_s, workplace)
            answers.append(answer)
            return stage

        stage = in_tries(name, attempt)
        return stage, answers[-1] if answers else None

    def _run(
        self, name: str, suite: str, words: list[str], limit_s: float, workplace: Workplace | None
    ) -> tuple[Stage, dict[str, Any] | None]:
        assert self.environment is not None
        policy = encoder_policy(
            self.environment,
            self.folder,
            gpu=self.settings.gpu,
            memory_bytes=self.settings.memory_bytes,
        )
        place = workplace or self.workplace
        with self.locks(policy) as lock:
            self.locks_facts = lock.description
            encoder = encoder_words(self.submission, self.folder, lock, self.environment.python)
            limit = ["--batch-timeout", f"{self.settings.batch_limit_s:g}"]
            out = ["--out", str(place.runs / name)]
            outcome = run_auricle(
                [
                    "run",
                    *encoder,
                    "--suite",
                    suite,
                    *words,
                    *limit,
                    *out,
                    "--json",
                    *self._device(),
                ],
                name=name,
                workplace=place,
                bounds=Bounds(limit_s, place.folder, self.settings.disk_bytes),
                judged=judged_variables(self.folder, self.environment.home),
            )
            answer = parse_answer(outcome)
            finished = answer is not None and isinstance(answer.get("scores"), dict)
            if answer is None or not finished or outcome.stopped or outcome.code not in (0, 3):
                places = (*place.places, *self.workplace.places)
                problem = explain_failure(
                    outcome, lock, *places, what=f"the {name} run", secret=workplace is not None
                )
                return judged(name, [problem]), None
        tasks = [
            (task, score.get("failure"))
            for scores in (answer["scores"], *answer["further"].values())
            for task, score in scores["tasks"].items()
        ]
        missing = [f"{shown(task, 60)}: {shown(str(why), 600)}" for task, why in tasks if why]
        if missing:  # an encoder's own faults end the run, so these are the data's or a metric's
            raise UserError(
                f"The {name} run lacks tasks for a reason that is not the submission's, so there "
                "is no verdict. " + "\n".join(missing)
            )
        said = f"answered and scored: {', '.join(task for task, _ in tasks)}"
        return judged(name, [], said), answer

    def _device(self) -> list[str]:
        return ["--device", self.settings.device]


def _hearing_remark(answer: Mapping[str, Any]) -> str:
    """What the check found that the encoder does not hear; legal, but to be known."""
    properties = answer.get("properties")
    hearing = properties.get("hearing") if isinstance(properties, dict) else None
    remark = hearing.get("remark") if isinstance(hearing, dict) else None
    return f"hearing: {shown(remark, 400)}" if isinstance(remark, str) and remark else ""
