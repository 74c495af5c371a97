"""Several runs side by side: one table of their scores, and a page of it.

Every run is read against the first one, by a paired test on the clips that both answered: the
intervals of two runs may overlap although one is better. Where the runs were not asked the same
clips in the same way, the row says so and nothing is tested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auricle.errors import ScoringError
from auricle.files import sha256_json, write_text
from auricle.records.manifest import DataLock
from auricle.runs.folder import RunFolder
from auricle.runs.report_facts import (
    TRACK_NAMES,
    RunFacts,
    TaskFacts,
    number,
    read_run,
    same_test,
)
from auricle.runs.report_making import flat
from auricle.runs.report_overview import Bar, Headline, headlines
from auricle.runs.report_page import render, score_text
from auricle.runs.rescore import metric_options
from auricle.scoring.compare import RunAnswers, TaskAnswers, compare_runs
from auricle.scoring.summary import ScoredClip
from auricle.scoring.tables import ResultTable, comparison_table, seeds_table, several_seeds

_MOST_DIFFERING = 3
_LONGEST_ARGUMENT = 40


@dataclass(frozen=True, slots=True)
class Finding:
    """One run against the first."""

    verdict: str
    """better, worse or cannot tell."""
    difference: float
    """This run less the first."""
    low: float
    high: float
    p: float
    """Two-sided, corrected for everything that was tested together (Holm, 1979)."""
    clips: int
    """Clips that both runs answered."""
    more_clips: int | None
    """How many besides these would tell, if the difference is what it seems."""

    @property
    def text(self) -> str:
        """In words."""
        if self.verdict == "cannot tell":
            more = f"; about {_rounded(self.more_clips)} more clips would tell"
            interval = f"{_signed(self.low)} to {_signed(self.high)}"
            told = more if self.more_clips else ""
            return f"cannot tell: {_signed(self.difference)} ({interval}){told}"
        ends = (self.low, self.high) if self.verdict == "better" else (-self.high, -self.low)
        low, high = (score_text(end) for end in ends)
        return f"{self.verdict} by {abs(self.difference):.3f} ({low} to {high})"


@dataclass(frozen=True, slots=True)
class CompareCell:
    """One run's score on one task."""

    run: str
    """The run's label."""
    score: float | None
    low: float | None
    high: float | None
    failure: str | None
    """Why there is no score, or none that counts."""
    finding: Finding | None = None
    """What the paired test says of this run against the first; None for the first itself, and
    where nothing could be tested."""


@dataclass(frozen=True, slots=True)
class CompareRow:
    """One task, or the mean of a track, over all runs."""

    name: str
    track: str
    metric: str
    """Empty for a mean."""
    chance: float | None
    comparable: bool
    """Whether every run that has the task was asked the same clips in the same way."""
    cells: list[CompareCell]
    """One a run, in the order of the runs."""

    @property
    def is_mean(self) -> bool:
        """Whether the row is the mean of its track."""
        return not self.metric


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact in which the runs differ, besides their encoders."""

    name: str
    values: list[str]


def compare_table(folders: Sequence[RunFolder]) -> list[CompareRow]:
    """Scores of several runs, task by task, tracks in order, each closed by its mean.

    Raises:
        ScoringError: Fewer than two runs were given, or a file of one cannot be read.
    """
    runs = read_runs(folders)
    return _rows(runs, labels_of(runs))


def write_comparison(
    folders: Sequence[RunFolder], path: Path, *, encoders: Mapping[str, Any] | None = None
) -> Path:
    """Write a page of several runs side by side.

    Args:
        folders: Two runs or more; the first is the one that the others are read against.
        path: The page.
        encoders: What `auricle.runs.verdicts.compare` says of encoders over their seeds.

    Raises:
        ScoringError: Fewer than two runs were given, or a file of one cannot be read.
        OutputError: The page cannot be written.
    """
    runs = read_runs(folders)
    labels = labels_of(runs)
    rows = _rows(runs, labels)
    tracks = list(dict.fromkeys(row.track for row in rows))
    page = render(
        "compare.html",
        runs=runs,
        labels=labels,
        overall=_overall(runs) if len(tracks) > 1 else [],
        tracks=[
            (TRACK_NAMES.get(t, f"Track {t}"), [r for r in rows if r.track == t]) for t in tracks
        ],
        bars={(row.track, row.name): _bars(row) for row in rows},
        differences=differences(runs, encoders),
        seeds=_seed_tables(encoders),
    )
    write_text(path, page)
    return path


def _seed_tables(encoders: Mapping[str, Any] | None) -> list[tuple[str, ResultTable]]:
    """Each encoder over its seeds and, where each has several, the pairs."""
    if encoders is None:
        return []
    tables = [("Each encoder over its seeds", seeds_table(encoders))]
    if several_seeds(encoders):
        pairs = comparison_table({"pairs": [], "encoders": encoders})
        tables.append(("Encoders compared, clips and seeds together", pairs))
    return tables


def read_runs(folders: Sequence[RunFolder]) -> list[RunFacts]:
    """The facts of runs to compare.

    Raises:
        ScoringError: Fewer than two were given, one was given twice, or one cannot be read.
    """
    if len(folders) < 2:
        raise ScoringError(
            f"{len(folders)} run was given to compare; expected two or more run folders."
        )
    places = [folder.path.resolve() for folder in folders]
    for folder, place in zip(folders, places, strict=True):
        if places.count(place) > 1:
            raise ScoringError(
                f"{folder.path} was given twice; a run cannot be compared with itself. Give each "
                "run once."
            )
    return [read_run(folder) for folder in folders]


def labels_of(runs: Sequence[RunFacts], *, of_seeds: Sequence[bool] = ()) -> list[str]:
    """Names that tell the runs apart: the encoder, and where two share it, what else differs.

    Args:
        runs: Of any encoders.
        of_seeds: Where true, the run stands for several seeds, and its own is not named.
    """
    facts: list[dict[str, str | None]] = [
        {
            **{
                name: str(value)[:_LONGEST_ARGUMENT]
                for name, value in (run.manifest.encoder.arguments or {}).items()
            },
            "seed": None if several else str(run.manifest.seed),
            "mode": run.manifest.standing_mode,
            **dict(flat(run.manifest.recipe)),
        }
        for run, several in zip(runs, of_seeds or [False] * len(runs), strict=True)
    ]
    labels = []
    for run, mine in zip(runs, facts, strict=True):
        others = [f for r, f in zip(runs, facts, strict=True) if r.encoder == run.encoder]
        differing = [name for name in mine if len({f.get(name) for f in others}) > 1]
        differing = [n for n in differing if n != "mode" or len(differing) == 1][:_MOST_DIFFERING]
        said = [f"{name} {mine[name]}" for name in differing if mine.get(name) is not None]
        labels.append(", ".join([run.encoder, *said]))
    shared = Counter(labels)
    for place, run in enumerate(runs, 1):
        label = labels[place - 1]
        if shared[label] > 1:
            labels[place - 1] = f"{label} ({place}: {run.folder.path.name})"
    return labels


def _rows(runs: Sequence[RunFacts], labels: Sequence[str]) -> list[CompareRow]:
    by_name = [{task.name: task for task in run.tasks} for run in runs]
    track_of = {
        task.name: (task.facts.track or "a") for run in reversed(runs) for task in run.tasks
    }
    order = list(dict.fromkeys(task.name for run in runs for task in run.tasks))
    rows = []
    for track in sorted(set(track_of.values())):
        names = [name for name in order if track_of[name] == track]
        rows += [
            _task_row(name, track, [tasks.get(name) for tasks in by_name], labels) for name in names
        ]
        if len(names) > 1:
            rows.append(_mean_row(track, rows[-len(names) :], runs, labels))
    return _with_findings(rows, runs, labels)


def _with_findings(
    rows: Sequence[CompareRow], runs: Sequence[RunFacts], labels: Sequence[str]
) -> list[CompareRow]:
    """Test every run against the first, where they were asked the same."""
    tested = compare_runs(
        [run_answers(run, label) for run, label in zip(runs, labels, strict=True)]
    )
    against = {p["right"]: p for p in tested["pairs"] if p["left"] == labels[0]}
    found = []
    for row in rows:
        cells = list(row.cells)
        for place, cell in enumerate(cells):
            if place and row.comparable:
                entries = against[cell.run]["tracks" if row.is_mean else "tasks"]
                entry = entries.get(row.track if row.is_mean else row.name)
                cells[place] = replace(cell, finding=_finding(entry))
        found.append(replace(row, cells=cells))
    return found


def run_answers(run: RunFacts, label: str) -> RunAnswers:
    """A run's answers as tests take them, with what the caption models said of them."""
    return RunAnswers(
        label,
        {
            task.name: TaskAnswers(
                metric=task.metric,
                track=(task.facts.track or "a"),
                clips=[ScoredClip(p.id, p.prediction, p.references) for p in task.predictions],
                options=metric_options(run.folder, task.name, task.facts),
                failure=task.failure,
            )
            for task in run.tasks
        },
    )


def _finding(entry: Mapping[str, Any] | None) -> Finding | None:
    """The test's entry, which is about the first run, turned to be about the other."""
    if entry is None or entry["difference"] is None:
        return None
    turned = {"better": "worse", "worse": "better"}
    return Finding(
        verdict=turned.get(entry["verdict"], entry["verdict"]),
        # Less zero: there is no minus zero.
        difference=0.0 - entry["difference"],
        low=0.0 - entry["high"],
        high=0.0 - entry["low"],
        p=entry["p_corrected"],
        clips=entry["clips"],
        more_clips=entry["more_clips"],
    )


def _rounded(count: int | None) -> str:
    """Two digits are all that such an estimate knows."""
    digits = 0 if not count else max(0, len(str(count)) - 2)
    return f"{round(count or 0, -digits):,}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _task_row(
    name: str, track: str, tasks: Sequence[TaskFacts | None], labels: Sequence[str]
) -> CompareRow:
    known = [task for task in tasks if task is not None]
    cells = []
    for task, label in zip(tasks, labels, strict=True):
        if task is None:
            cells.append(CompareCell(label, None, None, None, "not in this run's suite"))
            continue
        low, high = (number(task.entry.get(side)) for side in ("low", "high"))
        cells.append(CompareCell(label, task.score, low, high, task.failure))
    return CompareRow(
        name=name,
        track=track,
        metric=known[0].metric,
        chance=number(known[0].entry.get("chance")),
        comparable=all(same_test(known[0].facts, task.facts) for task in known),
        cells=cells,
    )


def _mean_row(
    track: str, rows: Sequence[CompareRow], runs: Sequence[RunFacts], labels: Sequence[str]
) -> CompareRow:
    cells = []
    for place, (run, label) in enumerate(zip(runs, labels, strict=True)):
        mean: Mapping[str, Any] = run.scores.get("tracks", {}).get(track) or {}
        missing = [row.name for row in rows if row.cells[place].failure is not None]
        cells.append(
            CompareCell(
                label,
                None if missing else number(mean.get("mean")),
                number(mean.get("low")),
                number(mean.get("high")),
                f"missing: {', '.join(missing)}" if missing else None,
            )
        )
    chances = [row.chance for row in rows if row.chance is not None]
    return CompareRow(
        name="mean",
        track=track,
        metric="",
        chance=sum(chances) / len(chances) if len(chances) == len(rows) else None,
        comparable=all(row.comparable for row in rows),
        cells=cells,
    )


def _overall(runs: Sequence[RunFacts]) -> list[Headline]:
    """The runs' means over all tasks; empty where official tracks are never averaged together."""
    heads = [headlines(run, {}) for run in runs]
    return [head[0] for head in heads] if all(len(head) == 1 for head in heads) else []


def _bars(row: CompareRow) -> list[Bar]:
    return [
        Bar(
            name=cell.run,
            value=cell.score if cell.failure is None else None,
            low=cell.low,
            high=cell.high,
            chance=row.chance,
            note="missing",
        )
        for cell in row.cells
    ]


def differences(
    runs: Sequence[RunFacts], encoders: Mapping[str, Any] | None = None
) -> list[Difference]:
    """In what the runs differ besides their encoders; the more it is, the less they compare.

    Seeds are none where every encoder has several, which are combined.
    """
    combined = encoders is not None and several_seeds(encoders)
    facts: list[dict[str, str]] = []
    for run in runs:
        manifest = run.manifest
        one = {"suite": manifest.suite, "mode": manifest.standing_mode, "seed": str(manifest.seed)}
        one |= {f"recipe: {name}": value for name, value in flat(manifest.recipe)}
        for task, trained in manifest.mixture.items():
            one[f"training data: {task}"] = _data_text(trained, trained.clips)
        for task, asked in manifest.test.items():
            one[f"test data: {task}"] = _data_text(asked, asked.clips_expected)
        one |= {f"version: {name}": text for name, text in manifest.versions.items()}
        facts.append(one)
    names = dict.fromkeys(name for one in facts for name in one)
    return [
        Difference(name, [one.get(name, "none") for one in facts])
        for name in names
        if len({one.get(name) for one in facts}) > 1 and not (combined and name == "seed")
    ]


def _data_text(lock: DataLock, clips: int | None) -> str:
    return f"{clips} clips, {sha256_json([shard.sha256 for shard in lock.shards])[:8]}"
