"""`auricle pack`: everything that an organiser would find, found at home, then the ZIP.

All problems are told at once: what can be known without running anything, then, where there is an
encoder at all, its environment, the contract, its memory and a smoke run. Only a submission
without a problem is packed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from auricle.challenge.bundle import Listing, list_folder, write_archive
from auricle.challenge.commands import Workplace
from auricle.challenge.report import check_report
from auricle.challenge.rules import check_rules
from auricle.challenge.stages import Settings, Trial, in_tries
from auricle.challenge.submission import (
    FILE_NAME,
    Submission,
    SubmissionError,
    read_submission,
)
from auricle.challenge.verdicts import Problem, Stage, judged, not_reached
from auricle.errors import UserError
from auricle.files import scratch_folder, sha256_file
from auricle.progress import Progress, SilentProgress
from auricle.sandbox.wrap import no_locks

STAGES = ("files", "declaration", "report", "environment", "contract", "memory", "smoke")


@dataclass(frozen=True, slots=True)
class Packed:
    """What `pack` found, and what it wrote."""

    stages: tuple[Stage, ...]
    archive: Path | None
    """The ZIP, None where a problem was found."""
    sha256: str | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """Files of the folder that are not in the ZIP: caches, secrets, version control."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that has to be mended."""
        return tuple(problem for stage in self.stages for problem in stage.problems)

    def record(self) -> dict[str, Any]:
        """The outcome as ``auricle pack --json`` prints it."""
        return {
            "packed": self.archive is not None,
            "archive": str(self.archive) if self.archive else None,
            "sha256": self.sha256,
            "files": len(self.manifest.get("files", {})),
            "left_out": list(self.left_out),
            "stages": [stage.record() for stage in self.stages],
        }


def pack(
    folder: Path,
    *,
    out: Path | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Packed:
    """Examine a submission and pack it.

    Args:
        folder: The submission.
        out: The ZIP; ``<folder's name>.zip`` beside the folder when None.
        settings: How the encoder is tried.
        progress: Is told which stage is made.

    Returns:
        The stages, and the archive where all of them are good.

    Raises:
        UserError: There is no such folder.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder. Name the submission's folder.")
    target = (out or folder.parent / f"{folder.resolve().name}.zip").absolute()
    if target.is_dir():
        raise UserError(f"{target} is a folder; --out names the ZIP to write.")
    listing = list_folder(folder, without=(target,))
    stages: list[Stage] = []
    progress = progress or SilentProgress()
    with (
        scratch_folder("auricle-pack-") as work,
        progress.stage("packing", len(STAGES), "stages") as shown_stage,
    ):
        for stage in _examine(folder, listing, work, settings or Settings()):
            stages.append(stage)
            shown_stage.note(stage.name)
            shown_stage.advance()
    if any(stage.problems for stage in stages):
        return Packed(tuple(stages), None, left_out=listing.left_out)
    manifest = write_archive(folder, listing.files, target)
    return Packed(tuple(stages), target, sha256_file(target), manifest, listing.left_out)


def _examine(
    folder: Path,
    listing: Listing,
    work: Path,
    settings: Settings,
) -> Iterator[Stage]:
    yield judged("files", list(listing.problems), f"{len(listing.files)} files")
    submission: Submission | None = None
    problems: list[Problem] = []
    try:
        submission = read_submission(folder)
        problems = check_rules(submission, folder)
    except SubmissionError as error:
        problems = error.problems
        if error.partial is not None:
            problems = [*problems, *check_rules(error.partial, folder)]
            submission = error.partial
    yield judged("declaration", problems, "complete")
    name = submission.report if submission else "report.pdf"
    report = folder.joinpath(*PurePosixPath(name).parts)
    yield in_tries("report", lambda: judged("report", check_report(report), "a good PDF"))
    encoder = getattr(submission, "encoder", "").partition(":")[0]
    if submission is None or encoder not in listing.files:
        for stage in ("environment", "contract", "memory", "smoke"):
            yield not_reached(stage, f"{FILE_NAME} names no encoder that is there.")
        return
    # What is tried is what will be unpacked: the listed files and nothing else of the folder.
    copy = work / "submission"
    _copy_files(folder, listing.files, copy)
    trial = Trial(submission, copy, Workplace(work), no_locks, settings)
    environment = trial.build()
    yield environment
    if not environment.passed:
        for stage in ("contract", "memory", "smoke"):
            yield not_reached(stage, "there is no environment to run the encoder in.")
        return
    contract = trial.examine()
    yield contract
    yield trial.measure()
    if contract.passed:
        yield trial.smoke()
    else:
        yield not_reached("smoke", "the encoder breaks the contract.")


def _copy_files(folder: Path, files: tuple[str, ...], into: Path) -> None:
    for name in files:
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target)
        target.chmod((folder / name).stat().st_mode & 0o777)
