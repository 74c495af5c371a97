"""What a comparison found: `auricle compare`, its page and its ``--json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeVar

Verdict = Literal["better", "worse", "cannot tell", "missing"]
_TURNED: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}


@dataclass(frozen=True, slots=True)
class SeedsPart:
    """What several seeds of two encoders add to a difference."""

    clip_error: float
    """Standard error of the difference from the clips alone."""
    seed_error: float
    """From the seeds of both encoders."""
    of_seed: tuple[list[float], list[float]]
    """The value of every seed of each side."""
    more_seeds: int | None = None
    """How many more of each encoder would tell with 80 % power; None where it tells, or where more
    clips are needed first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One task, or the mean of a track, of two sides on the clips that both answered."""

    left: float | None = None
    """Value on the shared clips, unclipped."""
    right: float | None = None
    difference: float | None = None
    """Left less right; None where nothing could be tested."""
    low: float | None = None
    """Lower end of the difference's 95 % interval, uncorrected."""
    high: float | None = None
    error: float | None = None
    """Standard error of the difference."""
    p: float | None = None
    """Two-sided."""
    test: str | None = None
    """Which test."""
    p_corrected: float | None = None
    """Corrected for everything that was tested together (Holm, 1979)."""
    verdict: Verdict = "missing"
    """On the left side."""
    clips: int | None = None
    """Shared by both."""
    more_clips: int | None = None
    """How many besides these would tell with 80 % power, if the difference is what it seems; None
    where it tells or is zero."""
    reason: str | None = None
    """Why it is missing."""
    of_seeds: bool = False
    """Whether encoders are compared over their seeds, not single runs."""
    seeds: SeedsPart | None = None
    """What the seeds add, where it could be tested."""

    @property
    def more_seeds(self) -> int | None:
        """How many more seeds of each encoder would tell."""
        return self.seeds.more_seeds if self.seeds else None

    def turned(self) -> Outcome:
        """The same, said of the right side."""
        if self.difference is None or self.low is None or self.high is None:
            return replace(self, left=self.right, right=self.left)
        return replace(
            self,
            left=self.right,
            right=self.left,
            # Less zero: there is no minus zero.
            difference=0.0 - self.difference,
            low=0.0 - self.high,
            high=0.0 - self.low,
            verdict=_TURNED.get(self.verdict, self.verdict),
        )

    @property
    def text(self) -> str:
        """The verdict on the left side in words."""
        if self.difference is None or self.low is None or self.high is None:
            return f"missing: {self.reason}"
        if self.verdict == "cannot tell":
            interval = f"{_signed(self.low)} to {_signed(self.high)}"
            said = f"cannot tell: {_signed(self.difference)} ({interval})"
            return f"{said}; {self.would_tell}" if self.would_tell else said
        ends = (self.low, self.high) if self.verdict == "better" else (-self.high, -self.low)
        low, high = (f"{end:.3f}" for end in ends)
        return f"{self.verdict} by {abs(self.difference):.3f} ({low} to {high})"

    def to_json(self) -> dict[str, Any]:
        """Flat, as ``--json`` prints it."""
        found = asdict(self)
        seeds, of_seeds = found.pop("seeds"), found.pop("of_seeds")
        if seeds is not None:
            found |= seeds | {"of_seed": [list(side) for side in seeds["of_seed"]]}
        elif of_seeds:
            found["more_seeds"] = None
        return found

    @property
    def sentence_end(self) -> str:
        """The difference with its interval, and what would tell."""
        if self.difference is None or self.low is None or self.high is None:
            return f"cannot be compared: {self.reason}"
        said = f"{self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{said}; {self.would_tell}" if self.would_tell else said

    @property
    def would_tell(self) -> str:
        """What else would tell, in words; empty where it is told."""
        if self.verdict != "cannot tell" or not self.difference:
            return ""
        if not self.of_seeds:
            return _clips_text(self.more_clips)
        if self.more_seeds is None:
            return "more clips are needed"
        if self.more_seeds > _MOST_SEEDS:
            return "no number of seeds would tell"
        seeds = "seed" if self.more_seeds == 1 else "seeds"
        return f"about {self.more_seeds} more {seeds} each would tell"


_MOST_SEEDS = 100
_MOST_CLIPS = 100_000
"""More than the largest test sets have."""


def _clips_text(more: int | None) -> str:
    if more is None:
        return ""
    if more > _MOST_CLIPS:
        return "no test set of this kind would tell"
    # Two digits are all that such an estimate knows.
    return f"about {round(more, -max(0, len(str(more)) - 2)):,} more clips would tell"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


Entry = TypeVar("Entry")


def _named(tasks: Mapping[str, Entry], tracks: Mapping[str, Entry]) -> Iterator[tuple[str, Entry]]:
    yield from tasks.items()
    yield from ((f"track {name.upper()}", entry) for name, entry in tracks.items())


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs, or two encoders."""

    left: str
    right: str
    tasks: Mapping[str, Outcome]
    tracks: Mapping[str, Outcome]

    def entries(self) -> Iterator[tuple[str, Outcome]]:
        """Tasks, then tracks, with their names."""
        return _named(self.tasks, self.tracks)

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "left": self.left,
            "right": self.right,
            "tasks": {name: entry.to_json() for name, entry in self.tasks.items()},
            "tracks": {name: entry.to_json() for name, entry in self.tracks.items()},
        }


@dataclass(frozen=True, slots=True)
class SeedsEstimate:
    """One value under several seeds."""

    value: float | None
    """The mean over seeds; None if a seed's is missing (law 7)."""
    low: float | None
    """Lower end of its 95 % interval, of clips and seeds together."""
    high: float | None
    seed_sd: float | None
    """Standard deviation over seeds; None for one seed."""
    seeds: int
    """How many."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An encoder over its seeds."""

    name: str
    seeds: int
    tasks: Mapping[str, SeedsEstimate]
    tracks: Mapping[str, SeedsEstimate]

    def entries(self) -> Iterator[tuple[str, SeedsEstimate]]:
        """Tasks, then tracks, with their names."""
        return _named(self.tasks, self.tracks)

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it; a task's value is its ``score``, a track's its ``mean``."""

        def renamed(values: Mapping[str, SeedsEstimate], name: str) -> dict[str, Any]:
            stored = {key: asdict(value) for key, value in values.items()}
            return {key: {name: value.pop("value"), **value} for key, value in stored.items()}

        return {
            "name": self.name,
            "seeds": self.seeds,
            "tasks": renamed(self.tasks, "score"),
            "tracks": renamed(self.tracks, "mean"),
        }


@dataclass(frozen=True, slots=True)
class Encoders:
    """Encoders over their seeds."""

    measured: Sequence[Measured]
    pairs: Sequence[Pair]

    @property
    def several_seeds(self) -> bool:
        """Whether each encoder has seeds enough to be compared over them."""
        return all(encoder.seeds > 1 for encoder in self.measured)

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "measured": [each.to_json() for each in self.measured],
            "pairs": [pair.to_json() for pair in self.pairs],
        }


@dataclass(frozen=True, slots=True)
class FactDifference:
    """A fact in which the runs differ, besides their encoders."""

    name: str
    values: Sequence[str]
    """One a run."""


@dataclass(frozen=True, slots=True)
class SuiteComparison:
    """Runs on one suite."""

    pairs: Sequence[Pair]
    """Every two of the runs."""
    encoders: Encoders | None
    """None where no two runs are seeds of one encoder."""
    encoder_of: Mapping[str, str] = field(default_factory=dict)
    """The encoder of each run, by their labels."""

    @property
    def shown_pairs(self) -> Sequence[Pair]:
        """What answers the question: encoders where each has several seeds, else runs.

        Seeds of one encoder are compared with each other only where there is nothing else.
        """
        if self.encoders is not None and self.encoders.several_seeds:
            return self.encoders.pairs
        name = self.encoder_of.get
        others = [p for p in self.pairs if name(p.left, p.left) != name(p.right, p.right)]
        return others or self.pairs

    @property
    def tested(self) -> bool:
        """Whether anything could be compared."""
        entries = [entry for pair in self.pairs for _, entry in pair.entries()]
        return any(entry.difference is not None for entry in entries)

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "pairs": [pair.to_json() for pair in self.pairs],
            "encoders": self.encoders.to_json() if self.encoders else None,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several runs."""

    own: SuiteComparison
    """On the suites that they were trained for."""
    differences: Sequence[FactDifference]
    """In what the runs differ besides their encoders, and their seeds where those are combined."""
    further: Mapping[str, SuiteComparison] = field(default_factory=dict)
    """On each further suite that two runs or more were asked."""
    complete: bool = True
    """Whether no task of any run is missing."""

    @property
    def suites(self) -> list[tuple[str, SuiteComparison]]:
        """All suites on which something could be compared; the runs' own has no name."""
        every = [("", self.own), *self.further.items()]
        return [(name, suite) for name, suite in every if any(p.tasks for p in suite.pairs)]

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            **self.own.to_json(),
            "differences": [asdict(each) for each in self.differences],
            "further": {name: suite.to_json() for name, suite in self.further.items()},
        }
