"""``scores.json``: what every task and track of a run scored, each with its interval.

A task that was not measured whole keeps what was seen of it, but counts as missing (law 7):
``failure`` says why. Fields may be added; none is renamed without a new `SCHEMA_VERSION`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol, Self

from pydantic import Field, JsonValue, model_validator

from auricle.files import read_json, write_json
from auricle.records.record import Record

SCHEMA_VERSION: Literal[1] = 1

Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval, as far as each is known."""

    value: float | None = None
    """What counts, 0 to 1; None where it is missing, never zero for want of a value."""
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end."""
    centre: float | None = None
    """What the interval was built around, where it is not the value."""
    exact: Fraction | None = None
    """The value before it was rounded to a binary number."""

    @property
    def bounds(self) -> tuple[float, float, float] | None:
        """Centre of the interval, within its ends, and the ends; None where one is unknown."""
        if self.value is None or self.low is None or self.high is None:
            return None
        centre = self.value if self.centre is None else self.centre
        return min(max(centre, self.low), self.high), self.low, self.high


class _ScoresPart(Record):
    remedy: ClassVar[str] = "score the run again (auricle score RUN)."


class Mean(_ScoresPart):
    """The mean of a track's tasks; all None where one of them is missing."""

    mean: Share | None = None
    """Plain mean of the tasks' scores."""
    low: Share | None = None
    """Lower end of its 95 % interval, clipped to 0."""
    high: Share | None = None
    """Upper end, clipped to 1."""

    @property
    def estimate(self) -> Estimate:
        """The mean with its interval."""
        return Estimate(self.mean, self.low, self.high)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        require_order(self.low, self.high)
        return self


class IntervalFacts(_ScoresPart):
    """How a task's interval came about."""

    method: str = ""
    """Wilson, bootstrap, ..."""
    centre: Number | None = None
    """What it was built around: the score, or the score less its bias."""
    note: str | None = None
    """What a reader must know to trust it."""


class ChanceAnswers(_ScoresPart):
    """What answers that need no hearing would score."""

    constant: Number | None = None
    """The best score of any one constant answer."""
    answer: str | None = None
    """That answer."""
    shuffled: Number | None = None
    """This run's own answers, exchanged among the clips."""
    note: str | None = None
    """What a reader must know of it."""


class TaskScore(_ScoresPart):
    """One task of a run."""

    metric: str = ""
    """Canonical name of the metric."""
    score: Share | None = None
    """``raw`` clipped to [0, 1]; None where nothing can be scored."""
    raw: Number | None = None
    """The exact official number."""
    low: Share | None = None
    """Lower end of the score's 95 % interval, clipped to 0."""
    high: Share | None = None
    """Upper end, clipped to 1."""
    chance: Share | None = None
    """The best score of any one constant answer."""
    clips_scored: int = 0
    """Test clips that were answered."""
    clips_expected: int | None = None
    """Test clips that the task has; None where that is not known."""
    samples_scored: int = 0
    """Pairs of answer and reference."""
    failure: str | None = None
    """Why the task counts as missing."""
    reason: str | None = None
    """Why there is no raw value."""
    corrected: dict[str, Number] | None = None
    """Numbers that mend a weakness of the official one, by name; never instead of it."""
    chance_corrected: Number | None = None
    """0 at chance, 1 for a perfect score."""
    interval: IntervalFacts | None = None
    """How the interval came about."""
    chance_answers: ChanceAnswers | None = None
    """What chance is made of."""
    detail: dict[str, JsonValue] = {}
    """Diagnosis; the fields depend on the metric."""
    track: str | None = None
    """a or b, where an older auricle told it here; the manifest has it."""

    @property
    def estimate(self) -> Estimate:
        """The score with its interval; nothing where the task was not measured whole (law 7)."""
        if self.failure is not None or self.score is None:
            return Estimate()
        centre = None if self.interval is None else self.interval.centre
        return Estimate(self.score, self.low, self.high, centre)

    @property
    def interval_note(self) -> str | None:
        """What a reader must know to trust the interval."""
        return None if self.interval is None else self.interval.note

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        require_order(self.low, self.high)
        return self


def require_order(low: float | None, high: float | None) -> None:
    """Raise ValueError where an interval's ends are exchanged."""
    if low is not None and high is not None and low > high:
        raise ValueError(f"low is {low:g} and high {high:g}; an interval goes from low to high")


class Means(_ScoresPart):
    """The means over a run's tasks."""

    tracks: dict[str, Mean] = {}
    """By track: a (classification), b (transcription and captions)."""
    mean: Share | None = None
    """Of all tasks; None where one is missing, and where official tracks stand side by side."""


class Scored(Protocol):
    """Tasks with their means, of a run or of any folder of answers."""

    @property
    def tasks(self) -> Mapping[str, TaskScore]:
        """By name."""

    @property
    def tracks(self) -> Mapping[str, Mean]:
        """Means by track."""

    @property
    def mean(self) -> float | None:
        """Of all tasks."""


class Scores(_ScoresPart):
    """The content of ``scores.json``."""

    schema_version: Literal[1]
    """Version of the format."""
    suite: str
    """What was asked."""
    mode: str = ""
    """reference, fast or custom."""
    official: bool = False
    """True only for the official suites and tasks in reference or fast mode."""
    recipe: str | None = None
    """The recipe's name and version."""
    training: Literal["reuse", "apart"] | None = None
    """Of a further evaluation: answered by the run itself, or by runs of their own."""
    runs: dict[str, str] | None = None
    """Of a further evaluation: the run that answered each task."""
    tracks: dict[str, Mean] = {}
    """Means by track."""
    mean: Share | None = None
    """Of all tasks; None where one is missing, and where official tracks stand side by side."""
    tasks: dict[str, TaskScore]
    """By name."""

    @property
    def complete(self) -> bool:
        """Whether every task was measured whole."""
        return all(task.failure is None for task in self.tasks.values())

    @classmethod
    def read(cls, path: Path) -> Self:
        """The scores in a file.

        Raises:
            DamagedFileError: It is no JSON, or a field is not what it should be.
        """
        return cls.from_json(read_json(path), path)

    def write(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_json(path, self.to_json())
