"""Every path and name inside a run folder, once.

A run is found by a hash of what decides its predictions: encoder, training mixture with its data
lock, recipe, seed (law 5). The folder's name also says the encoder and the suite, for people.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from auricle.errors import ScoringError
from auricle.records.manifest import Manifest
from auricle.records.scores import Scores


class RunFolder:
    """A run on disk."""

    def __init__(self, path: Path | str) -> None:
        """Name a folder, which need not be there yet.

        Raises:
            ScoringError: It is no path.
        """
        if not isinstance(path, str | os.PathLike):
            raise ScoringError(
                f"A run's folder is a path, e.g. 'runs/smoke/logmel-0123456789ab'; {path!r:.80} is "
                f"a {type(path).__name__}."
            )
        self.path = Path(path)

    @classmethod
    def of(cls, runs: Path, *, suite: str, encoder: str, identity: str) -> RunFolder:
        """The folder of a run below the folder of all runs."""
        return cls(runs / safe_name(suite) / f"{safe_name(encoder)}-{identity}")

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """A run folder that exists.

        Raises:
            ScoringError: There is none.
        """
        folder = cls(path)
        if not folder.manifest.is_file():
            raise ScoringError(
                f"{path} is no run folder: it has no manifest.json. Give the folder that "
                "'auricle run' printed, e.g. runs/smoke/logmel-0123456789ab."
            )
        return folder

    @property
    def manifest(self) -> Path:
        """What the run is; written first."""
        return self.path / "manifest.json"

    @property
    def checkpoints(self) -> Path:
        """Training state."""
        return self.path / "checkpoints"

    @property
    def losses(self) -> Path:
        """The loss curve, one JSON object per line."""
        return self.path / "losses.jsonl"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer that the recipe made, where it makes one."""
        return self.path / "tokenizer"

    @property
    def predictions_folder(self) -> Path:
        """One file of predictions per task."""
        return self.path / "predictions"

    def predictions(self, task: str) -> Path:
        """Predictions of a task, in the order of its test clips."""
        return self.predictions_folder / f"{safe_name(task)}.jsonl"

    def prediction_parts(self, task: str) -> Path:
        """Finished chunks of a task that is still being answered."""
        return self.predictions_folder / f"{safe_name(task)}.parts"

    def evidence(self, task: str) -> Path:
        """What the caption models said about a task's answers."""
        return self.predictions_folder / f"{safe_name(task)}.evidence.json"

    @property
    def scores(self) -> Path:
        """Scores of the run's own suite."""
        return self.path / "scores.json"

    def further_scores(self, suite: str) -> Path:
        """Scores of a further evaluation of the same run."""
        return self.path / "scores" / f"{safe_name(suite)}.json"

    def further(self, suite: str) -> FurtherFolder:
        """Where a further evaluation of this run lies."""
        return FurtherFolder(self, safe_name(suite))

    def all_further(self) -> list[FurtherFolder]:
        """The further evaluations that were begun, by name."""
        found = sorted((self.path / "further").glob("*/manifest.json"))
        return [FurtherFolder(self, path.parent.name) for path in found]

    @property
    def plan(self) -> Path:
        """What the run was expected to cost."""
        return self.path / "plan.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    @property
    def excerpts_folder(self) -> Path:
        """What the page plays."""
        return self.path / "excerpts"

    def excerpts(self, task: str) -> Path:
        """Excerpts of a task's clips, as the page plays and draws them."""
        return self.excerpts_folder / f"{safe_name(task)}.json"

    @property
    def floor(self) -> Path:
        """What an encoder that hears nothing scores on the same clips, as the page shows it."""
        return self.path / "floor.json"

    @property
    def log(self) -> Path:
        """What happened when."""
        return self.path / "log.txt"

    @property
    def encoder_log(self) -> Path:
        """What the encoder's process printed."""
        return self.path / "encoder.log"

    def read_manifest(self) -> Manifest:
        """What the run is.

        Raises:
            UserError: Its manifest is of another schema, or is damaged.
        """
        return Manifest.read(self.manifest)

    def read_scores(self) -> Scores | None:
        """The scores of the run's own suite; None where it has not been scored.

        Raises:
            DamagedFileError: A field is not what it should be.
        """
        return Scores.read(self.scores) if self.scores.is_file() else None


class FurtherFolder(RunFolder):
    """A further evaluation of a run, ``further/<suite>/``: a run folder without a training.

    Its scores lie with those of the run, in ``scores/<suite>.json``.
    """

    def __init__(self, run: RunFolder, name: str) -> None:
        super().__init__(run.path / "further" / name)
        self.run = run

    @property
    def scores(self) -> Path:
        """Scores of this evaluation."""
        return self.run.further_scores(self.path.name)


def safe_name(name: str) -> str:
    """A name as a file name: letters, digits, dot, dash and underscore."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "unnamed"
