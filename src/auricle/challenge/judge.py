"""`auricle challenge judge`: an accepted submission measured on a suite, for the ranking.

A judged run starts from an empty scratch: no checkpoint, no prediction and no feature of another
submission can be found, and no file of the submission is ever read as one (law 5). The scratch lies
beside ``--out`` and carries the archive's hash, so that a run that the machine stopped continues
with the same command. What is kept is the run folder that was made here, further evaluations
included, with the receipt, the declaration and the report beside it. Of a submission that was
refused the receipt is kept, and what was said on the way, for the organiser alone: it can name
hidden clips.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auricle.catalog.files import open_suite
from auricle.catalog.load import list_suites, list_tasks
from auricle.catalog.recipe import apply_settings
from auricle.challenge.commands import Workplace, error_of, run_auricle
from auricle.challenge.limits import JUDGED_RUN_S
from auricle.challenge.processes import Bounds
from auricle.challenge.receipt import RECEIPT, digest_run, make_receipt, sign_receipt
from auricle.challenge.stages import STAGES
from auricle.challenge.submission import FILE_NAME, Submission
from auricle.challenge.verdicts import Stage
from auricle.challenge.verify import Examination, VerifyOptions, open_examination
from auricle.errors import UserError
from auricle.files import data_home, file_lock, make_folder, remove_tree, write_json
from auricle.progress import Progress, SilentProgress
from auricle.runs.folder import RunFolder

FEATURES_PART = 0.6
"""Of the disk that a run may fill: an official suite's features are more than all of it."""


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
    limit_s: float = JUDGED_RUN_S
    """Wall clock of the whole run."""
    models: tuple[str, ...] = ()
    """Words that name the models of FENSE and DATE, as ``auricle run`` takes them."""
    smoke: bool = True
    """Make the smoke run first; it costs minutes and saves days."""
    verify: VerifyOptions = field(default_factory=VerifyOptions)

    def limits(self) -> dict[str, float]:
        """The limits as they stand in a receipt."""
        return self.verify.settings.record() | {"run_limit_s": self.limit_s}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judged run: its stages, its receipt, and where it lies if it finished."""

    stages: tuple[Stage, ...]
    receipt: dict[str, Any]
    run: Path | None
    scores: dict[str, Any] | None
    further: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Scores of the further evaluations, by suite."""
    refused: Path | None = None
    """Folder of the receipt and logs of a submission that was refused, for the organiser."""

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
            "refused": str(self.refused) if self.refused else None,
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
        UserError: See `verify`; or the folder for the run exists, a suite or its data does not,
            or the run stopped by no fault of the submission. It can then be continued.
    """
    out = options.out.absolute()
    if out.exists():
        raise UserError(f"{out} exists; a judged run gets a folder of its own. Name a new one.")
    suite, *evaluations = map(_find_suite, (options.suite, *options.evaluations))
    apply_settings(open_suite(suite).recipe, options.settings)
    names = STAGES if options.smoke else STAGES[:-1]
    progress = progress or SilentProgress()
    with (
        _alone(out),
        open_examination(archive, options.verify, progress) as examination,
    ):
        evals = [word for each in evaluations for word in ("--eval", each)]
        _require_data([suite, *evals], examination.workplace, progress)
        examination.run(names)
        found = examination.result()
        if not found.accepted or examination.trial is None or found.submission is None:
            kept = _keep_refusal(out, found.receipt, examination.workplace)
            return Judgement(tuple(found.stages), found.receipt, None, None, refused=kept)
        budget = int(options.verify.settings.disk_bytes * FEATURES_PART)
        words = ["--seed", str(options.seed), "--disk-budget", str(budget), *evals]
        words += options.models
        words += [word for each in options.settings for word in ("--set", each)]
        scratch = _scratch(out, found.receipt["archive_sha256"])
        progress.message(f"how far the run is: {scratch.logs / 'judged.err'}")
        with progress.stage(f"judging on {options.suite}", 1, "runs") as stage:
            try:
                run_stage, answer = examination.trial.run(
                    "judged", suite, words, limit_s=options.limit_s, workplace=scratch
                )
            except UserError as error:
                raise UserError(
                    f"{error}\nMend it, then give the same command again: the run continues from "
                    f"{scratch.folder}."
                ) from error
            stage.advance()
        stages = (*found.stages, run_stage)
        receipt, refused = _keep(examination, options, stages, answer, scratch)
    if answer is None:
        return Judgement(stages, receipt, None, None, refused=refused)
    return Judgement(stages, receipt, out, answer["scores"], answer["further"])


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Have a judged run's folder to ourselves: two of one name would mix their work and logs."""
    lock = make_folder(out.parent) / f".judging-{out.name}.lock"
    with file_lock(lock, what=f"the judged run {out}"):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _keep(
    examination: Examination,
    options: JudgeOptions,
    stages: tuple[Stage, ...],
    answer: dict[str, Any] | None,
    scratch: Workplace,
) -> tuple[dict[str, Any], Path | None]:
    """Put the run in its place, or what was said of one that was refused, with the receipt."""
    submission, trial, out = examination.submission, examination.trial, options.out.absolute()
    assert submission is not None
    assert trial is not None
    run = RunFolder.open(Path(answer["run"])) if answer is not None else None
    if run is not None:
        _name_after(submission, run, scratch)
        shutil.copyfile(examination.root / FILE_NAME, run.path / FILE_NAME)
        shutil.copyfile(examination.root / submission.report, run.path / "report.pdf")
    receipt = make_receipt(
        examination.archive,
        stages,
        team=submission.team,
        locks=trial.locks_facts,
        limits=options.limits(),
        environment=trial.environment_facts,
        run=digest_run(run) if run else None,
    )
    if options.verify.key is not None:
        receipt = sign_receipt(receipt, options.verify.key)
    refused = None
    if run is not None:
        write_json(run.path / RECEIPT, receipt)
        os.replace(run.path, out)  # noqa: PTH105
    else:
        refused = _keep_refusal(out, receipt, scratch)
    remove_tree(scratch.folder)
    return receipt, refused


def _find_suite(given: str) -> str:
    """A suite as the run will find it, which starts in another folder.

    Raises:
        UserError: There is no such suite, or its file is not valid.
    """
    open_suite(given)
    return given if given in (*list_suites(), *list_tasks()) else str(Path(given).absolute())


def _scratch(out: Path, sha256: str) -> Workplace:
    """Where a run is made: empty for every other archive, and what is in it is ours alone."""
    return Workplace(make_folder(out.with_name(f".judging-{out.name}-{sha256[:16]}")))


def _keep_refusal(out: Path, receipt: dict[str, Any], place: Workplace) -> Path:
    """Put a receipt, and what the commands and the encoder said, beside where a run would be.

    The folder carries the archive's hash: only an earlier refusal of the same bytes makes room.
    """
    folder = out.with_name(f"{out.name}.refused-{receipt['archive_sha256'][:16]}")
    if (folder / RECEIPT).is_file():
        shutil.rmtree(folder)
    make_folder(folder)
    write_json(folder / RECEIPT, receipt)
    for logs in (place.logs, place.folder / "home" / "logs"):
        if logs.is_dir():
            shutil.copytree(logs, folder / "logs", dirs_exist_ok=True)
    return folder


def _require_data(words: list[str], workplace: Workplace, progress: Progress) -> None:
    """Fetch and open everything that the run will ask, before a submission's code is tried.

    Raises:
        UserError: Something is missing, damaged, or cannot be fetched.
    """
    with progress.stage("opening all data", 1, "commands") as stage:
        outcome = run_auricle(
            ["data", "check", *words, "--json", "--quiet"],
            name="data",
            workplace=workplace,
            bounds=Bounds(math.inf),
            # Nobody's code but ours: it may have a token of the hub.
            environment=os.environ | {"AURICLE_HOME": str(data_home())},
        )
        if outcome.code != 0:
            raise UserError(error_of(outcome)[1])
        stage.advance()


def _name_after(submission: Submission, run: RunFolder, scratch: Workplace) -> None:
    """Have the run and its report speak of the team, not of folders that are gone."""
    for each in (run, *run.all_further()):
        manifest = each.read_manifest()
        names = {"name": submission.team, "text": submission.encoder}
        encoder = manifest.encoder.with_fields(**names)
        manifest.with_fields(encoder=encoder).write(each.manifest)
    outcome = run_auricle(
        ["report", str(run.path), "--share", "--json"],
        name="report",
        workplace=scratch,
        bounds=Bounds(math.inf),
    )
    if outcome.code != 0:
        raise UserError(error_of(outcome)[1])
