"""`auricle verify`: the organiser's examination of a stranger's ZIP, stage by stage.

The client that packed it is never trusted: everything that `pack` checked is checked again, from
the bytes alone. A stage that cannot be reached says so; every stage that can be, is, so that a
team hears all of its problems at once.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from auricle.challenge.adopt import Repository, examine_repository
from auricle.challenge.archive import ArchiveError, Entry, Limits, extract_archive
from auricle.challenge.bundle import MANIFEST, check_manifest
from auricle.challenge.commands import Workplace
from auricle.challenge.receipt import is_accepted, make_receipt, sign_receipt
from auricle.challenge.registration import check_registered, require_table
from auricle.challenge.report import check_report, report_child_paths
from auricle.challenge.report_child import COMPUTE_S
from auricle.challenge.rules import check_rules
from auricle.challenge.stages import STAGES, Settings, Trial, in_tries
from auricle.challenge.submission import FILE_NAME, Submission, SubmissionError, read_submission
from auricle.challenge.verdicts import Problem, Stage, Verdict, judged, not_reached, shown
from auricle.errors import UserError
from auricle.files import make_folder, scratch_folder
from auricle.progress import Progress, SilentProgress
from auricle.sandbox.bubblewrap import find_bubblewrap
from auricle.sandbox.policy import Policy, own_python_paths
from auricle.sandbox.wrap import Locks, wrap, wrap_without_sandbox

if TYPE_CHECKING:
    from auricle.challenge.signing import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """How a submission is examined."""

    sandbox: bool = True
    """False is --unsafe-no-sandbox: limits, but no locks; the receipt says so."""
    teams: Path | None = None
    """The table of teams that a submission must be in; not asked when None."""
    work: Path | None = None
    """An empty folder to work in, kept afterwards; a temporary one when None."""
    key: SigningKey | None = None
    """Signs the receipt."""
    limits: Limits = field(default_factory=Limits)
    settings: Settings = field(default_factory=Settings)


@dataclass(slots=True)
class Verification:
    """What an examination found."""

    stages: list[Stage]
    receipt: dict[str, Any]
    submission: Submission | None = None
    repository: Repository | None = None
    """What a repository without a declaration has and lacks."""

    @property
    def accepted(self) -> bool:
        """Whether no stage found a problem and all were reached."""
        return is_accepted(self.stages)

    def record(self) -> dict[str, Any]:
        """The examination as ``auricle verify --json`` prints it."""
        record: dict[str, Any] = {
            "accepted": self.accepted,
            "stages": [stage.record() for stage in self.stages],
            "receipt": self.receipt,
        }
        if self.repository is not None:
            record["draft"] = self.repository.draft()
        return record


def verify(
    archive: Path, *, options: VerifyOptions | None = None, progress: Progress | None = None
) -> Verification:
    """Examine a submission's ZIP.

    Args:
        archive: The ZIP.
        options: How.
        progress: Is told which stage is made.

    Raises:
        UserError: There is no such file, no table of teams where one was named, or no sandbox here
            and none was waived.
    """
    options = options or VerifyOptions()
    with open_examination(archive, options, progress or SilentProgress()) as examination:
        examination.run(STAGES)
        return examination.result()


@contextlib.contextmanager
def open_examination(
    archive: Path, options: VerifyOptions, progress: Progress
) -> Iterator[Examination]:
    """Prepare an examination; its folder lasts as long as the block, or longer if one was named.

    Raises:
        UserError: See `verify`.
    """
    if archive.is_dir():
        raise UserError(f"{archive} is a folder; a ZIP is expected: auricle pack {archive}")
    if not archive.is_file():
        raise UserError(f"There is no file {archive}. Name the ZIP that 'auricle pack' wrote.")
    if options.key is not None and not options.sandbox:
        raise UserError(
            "A receipt of --unsafe-no-sandbox is not signed: code without locks could read the key "
            "and sign with it. Leave out one of the two."
        )
    if options.teams is not None:
        require_table(options.teams)
    if options.sandbox:
        find_bubblewrap()  # before anything else, because it says what to do
    with contextlib.ExitStack() as stack:
        if options.work is None:
            folder = stack.enter_context(scratch_folder("auricle-verify-"))
        else:
            folder = make_folder(options.work.absolute())
            if any(folder.iterdir()):
                raise UserError(
                    f"{folder} is not empty; judging starts from an empty folder. Name a new one."
                )
        workplace = Workplace(folder)
        # What is examined is what the receipt's hash is of, whatever becomes of the ZIP; one that
        # is too large is refused for that alone.
        if archive.stat().st_size <= options.limits.archive_bytes:
            archive = Path(shutil.copyfile(archive, workplace.archive))
        yield Examination(archive.absolute(), workplace, options, progress)


class Examination:
    """A submission's way through the stages."""

    def __init__(
        self, archive: Path, workplace: Workplace, options: VerifyOptions, progress: Progress
    ) -> None:
        self.archive = archive
        self.workplace = workplace
        self.options = options
        self.stages: list[Stage] = []
        self.submission: Submission | None = None
        self.repository: Repository | None = None
        self.trial: Trial | None = None
        self.locks: Locks = wrap if options.sandbox else wrap_without_sandbox
        self._progress = progress
        self._root = workplace.submission
        self._entries: list[Entry] = []
        self._locks_facts: dict[str, str] = {}

    @property
    def root(self) -> Path:
        """Folder of the unpacked submission's own files."""
        return self._root

    def run(self, names: tuple[str, ...]) -> None:
        """Make stages in their order; what needs a stage that failed is not reached."""
        with self._progress.stage("examining", len(names), "stages") as progress:
            for name in names:
                progress.note(name)
                self.stages.append(self._make(name))
                progress.advance()

    def result(self) -> Verification:
        """What was found, with a receipt."""
        receipt = make_receipt(
            self.archive,
            self.stages,
            team=self.submission.team if self.submission else None,
            locks=(self.trial.locks_facts if self.trial else {}) or self._locks_facts,
            limits=self.options.settings.record(),
            environment=self.trial.environment_facts if self.trial else {},
        )
        if self.options.key is not None:
            receipt = sign_receipt(receipt, self.options.key)
        return Verification(self.stages, receipt, self.submission, self.repository)

    def _make(self, name: str) -> Stage:
        failed = {stage.name for stage in self.stages if stage.passed is False}
        reached = {stage.name for stage in self.stages if stage.passed is not None}
        if name != "archive" and "archive" in failed:
            return not_reached(name, "the archive was refused.")
        static = ("archive", "manifest", "report", "declaration")
        if name in static:
            return {
                "archive": self._archive,
                "manifest": self._manifest,
                "report": self._report,
                "declaration": self._declaration,
            }[name]()
        # A stranger's code is only run when all that can be known without running it is good.
        bad = next((stage for stage in static if stage in failed), None)
        if bad is not None:
            return not_reached(name, f"the stage '{bad}' found a problem.")
        if name != "environment" and ("environment" in failed or "environment" not in reached):
            return not_reached(name, "there is no environment to run it in.")
        trial = self._trial()
        if name == "smoke" and "contract" in failed:
            return not_reached(name, "the encoder breaks the contract.")
        return {
            "environment": trial.build,
            "contract": trial.examine,
            "memory": trial.measure,
            "smoke": trial.smoke,
        }[name]()

    def _trial(self) -> Trial:
        if self.trial is None:
            assert self.submission is not None
            self.trial = Trial(
                self.submission, self._root, self.workplace, self.locks, self.options.settings
            )
        return self.trial

    def _archive(self) -> Stage:
        try:
            entries = extract_archive(
                self.archive, self.workplace.submission, limits=self.options.limits
            )
        except ArchiveError as error:
            return judged("archive", error.problems)
        if not entries:
            return judged("archive", [Problem(Verdict.DAMAGED, "The archive holds no file.")])
        self._root, self._entries = _find_root(self.workplace.submission, entries)
        total = sum(entry.size for entry in entries)
        return judged("archive", [], f"{len(entries)} files, {total} bytes")

    def _manifest(self) -> Stage:
        declared = (self._root / FILE_NAME).is_file()
        if not declared and not (self._root / MANIFEST).is_file():
            return judged("manifest", [self._explain_repository()])
        problems = check_manifest(self._root, self._entries)
        return judged("manifest", problems, f"{len(self._entries)} files as they were packed")

    def _explain_repository(self) -> Problem:
        """A ZIP of the challenge's 2026 form is no mistake, only too little."""
        self.repository = examine_repository(self._root)
        found = [f"the encoder {shown(name)}" for name in self.repository.encoders[:3]]
        found += [f"the report {shown(name)}" for name in self.repository.reports[:1]]
        lacks = "\n".join(f"  - {text}" for text in self.repository.missing)
        return Problem(
            Verdict.REPOSITORY_WITHOUT_DECLARATION,
            "This is a repository as the challenge took it in 2026; a submission says more about "
            f"itself. Found: {', '.join(found) or 'neither encoder nor report'}. "
            f"Missing:\n{lacks}\n"
            "'auricle new DIR --adopt' writes what can be known into the repository; fill in the "
            "rest, then 'auricle pack DIR'.",
        )

    def _report(self) -> Stage:
        name = "report.pdf"
        with contextlib.suppress(SubmissionError):
            name = read_submission(self._root).report
        if self.repository is not None and self.repository.reports:
            name = self.repository.reports[0]
        path = self._root.joinpath(*PurePosixPath(name).parts)
        readable = (*own_python_paths(), *report_child_paths(), path)
        policy = Policy(
            readable=readable, memory_bytes=3 << 30, scratch_bytes=64 << 20, cpu_time_s=COMPUTE_S
        )

        def attempt() -> Stage:
            with self.locks(policy) as lock:
                self._locks_facts = lock.description
                problems = check_report(path, prefix=lock.prefix)
                return judged("report", problems, "a PDF within its limits")

        return in_tries("report", attempt)

    def _declaration(self) -> Stage:
        try:
            submission = read_submission(self._root)
        except SubmissionError as error:
            rules = check_rules(error.partial, self._root) if error.partial else []
            return judged("declaration", [*error.problems, *rules])
        self.submission = submission
        sets = len(submission.training_data)
        problems = check_rules(submission, self._root)
        if self.options.teams is not None:
            problems += check_registered(submission, self.options.teams)
        return judged("declaration", problems, f"{sets} training sets")


def _find_root(folder: Path, entries: list[Entry]) -> tuple[Path, list[Entry]]:
    """The submission's root: the archive's, or its only folder (as hosting services pack)."""
    tops = {entry.name.partition("/")[0] for entry in entries}
    is_inner = len(tops) == 1 and all("/" in entry.name for entry in entries)
    if not is_inner:
        return folder, entries
    top = tops.pop()
    inner = [Entry(e.name[len(top) + 1 :], e.size, e.executable) for e in entries]
    return folder / top, inner
