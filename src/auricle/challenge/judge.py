"""`auricle challenge judge`: an accepted submission measured on a suite, for the ranking.

A judged run starts from an empty scratch: no checkpoint, no prediction and no feature of any
earlier run can be found, and no file of the submission is ever read as one (law 5). What is kept
is the run folder that was made here, further evaluations included, with the receipt beside it;
nothing of a run that did not finish, unless a folder to work in was named.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auricle.catalog.files import open_suite
from auricle.catalog.load import list_suites, list_tasks
from auricle.challenge.receipt import make_receipt
from auricle.challenge.stages import STAGES
from auricle.challenge.verdicts import Stage
from auricle.challenge.verify import VerifyOptions, open_examination
from auricle.errors import UserError
from auricle.files import TEMPORARY_PREFIX, make_folder, write_json
from auricle.progress import Progress, SilentProgress

RECEIPT = "receipt.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """How a submission is judged."""

    suite: str
    out: Path
    """The judged run's folder; it must not exist."""
    evaluations: tuple[str, ...] = ()
    """Further suites or files, as ``auricle run --eval`` takes them: hidden tasks."""
    settings: tuple[str, ...] = ()
    """Recipe overrides, ``name=value``; with any of them the run is no official one."""
    seed: int = 42
    limit_s: float = 14 * 86_400.0
    """Wall clock of the whole run."""
    smoke: bool = True
    """Make the smoke run first; it costs minutes and saves days."""
    verify: VerifyOptions = field(default_factory=VerifyOptions)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judged run: its stages, its receipt, and where it lies if it finished."""

    stages: tuple[Stage, ...]
    receipt: dict[str, Any]
    run: Path | None
    scores: dict[str, Any] | None
    further: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Scores of the further evaluations, by suite."""

    @property
    def accepted(self) -> bool:
        """Whether the submission was accepted and the run finished with all of its tasks."""
        return bool(self.receipt["accepted"])

    def record(self) -> dict[str, Any]:
        """The judgement as ``auricle challenge judge --json`` prints it."""
        return {
            "accepted": self.accepted,
            "stages": [stage.record() for stage in self.stages],
            "receipt": self.receipt,
            "run": str(self.run) if self.run else None,
            "scores": self.scores,
            "further": self.further,
        }


def judge(archive: Path, *, options: JudgeOptions, progress: Progress | None = None) -> Judgement:
    """Examine a submission, then run it on a suite behind locks.

    Args:
        archive: The ZIP.
        options: The suite, and how.
        progress: Is told which stage is made.

    Raises:
        UserError: See `verify`; or the folder for the run exists, or a suite does not.
    """
    out = options.out.absolute()
    if out.exists():
        raise UserError(f"{out} exists; a judged run gets a folder of its own. Name a new one.")
    suite, *evaluations = map(_find_suite, (options.suite, *options.evaluations))
    names = STAGES if options.smoke else STAGES[:-1]
    progress = progress or SilentProgress()
    with open_examination(archive, options.verify, progress) as examination:
        examination.run(names)
        found = examination.result()
        if not found.accepted or examination.trial is None:
            return Judgement(tuple(found.stages), found.receipt, None, None)
        words = ["--seed", str(options.seed)]
        words += [word for each in options.settings for word in ("--set", each)]
        words += [word for each in evaluations for word in ("--eval", each)]
        progress.message(f"how far the run is: {examination.workplace.logs / 'judged.err'}")
        with progress.stage(f"judging on {options.suite}", 1, "runs") as stage:
            run_stage, answer = examination.trial.run(
                "judged", suite, words, limit_s=options.limit_s
            )
            stage.advance()
        stages = (*found.stages, run_stage)
        receipt = make_receipt(
            archive,
            stages,
            team=found.submission.team if found.submission else None,
            locks=examination.trial.locks_facts,
            environment=examination.trial.environment_facts,
        )
        if answer is None:
            return Judgement(stages, receipt, None, None)
        kept = _keep(Path(answer["run"]), out, receipt)
    return Judgement(stages, receipt, kept, answer["scores"], answer["further"])


def _find_suite(given: str) -> str:
    """A suite as the run will find it, which starts in another folder.

    Raises:
        UserError: There is no such suite, or its file is not valid.
    """
    open_suite(given)
    return given if given in (*list_suites(), *list_tasks()) else str(Path(given).absolute())


def _keep(run: Path, out: Path, receipt: dict[str, Any]) -> Path:
    """Take the run folder out of the scratch, under its final name at once."""
    make_folder(out.parent)
    temporary = out.parent / f"{TEMPORARY_PREFIX}{out.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(run, temporary, symlinks=True)
    write_json(temporary / RECEIPT, receipt)
    os.replace(temporary, out)  # noqa: PTH105
    return out
