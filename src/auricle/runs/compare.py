"""Which of several runs is better, and which encoder: ``auricle compare``.

Runs that differ in nothing but their seed are one encoder's measurement. Two runs are compared on
the luck of the clips; two encoders, where each has several seeds, on clips and seeds. Every suite
that two runs or more were asked is compared: their own, and further evaluations of one name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auricle.errors import ScoringError
from auricle.files import sha256_json
from auricle.records.comparison import Comparison, FactDifference, SuiteComparison
from auricle.records.manifest import DataLock
from auricle.runs.folder import RunFolder
from auricle.runs.report_facts import RunFacts, read_run
from auricle.runs.report_making import flat
from auricle.runs.rescore import metric_options
from auricle.scoring.compare import RunAnswers, TaskAnswers, compare_runs
from auricle.scoring.encoders import Encoder, compare_encoders
from auricle.scoring.summary import ScoredClip

_MOST_DIFFERING = 3
_LONGEST_ARGUMENT = 40
_MOST_REASONS = 4
_NAMED_BY_SEED = ("seed", "suite", "recipe: name")


def compare(runs: Sequence[RunFolder | Path | str]) -> dict[str, Any]:
    """Compare runs, and encoders where several runs are seeds of one.

    Args:
        runs: Two or more run folders.

    Returns:
        `auricle.records.comparison.Comparison` as JSON: ``{"pairs", "encoders", "differences",
        "further"}``. ``pairs`` are every two runs; ``encoders`` are encoders over their seeds, None
        where no two runs are seeds of one; ``differences`` are the facts in which the runs differ
        besides their encoders; ``further`` holds pairs and encoders of each further suite that two
        runs or more were asked.

    Raises:
        ScoringError: Fewer than two runs were given, one was given twice, a file of one cannot be
            read, or nothing of them could be compared.
    """
    folders = [run if isinstance(run, RunFolder) else RunFolder.open(run) for run in runs]
    return compare_read(read_all(folders)).to_json()


@dataclass(frozen=True, slots=True)
class ReadRuns:
    """Runs to compare, read once."""

    own: list[RunFacts]
    """On the suites that they were trained for."""
    further: dict[str, dict[int, RunFacts]]
    """On each further suite that two runs or more were asked: by suite, by the run's place."""
    labels: list[str]
    """Names that tell them apart."""


def read_all(folders: Sequence[RunFolder]) -> ReadRuns:
    """Read runs to compare, their further evaluations included.

    Raises:
        ScoringError: Fewer than two were given, one was given twice, or one cannot be read.
    """
    own = read_runs(folders)
    asked: dict[str, dict[int, RunFacts]] = {}
    for place, run in enumerate(own):
        for folder in run.folder.all_further():
            asked.setdefault(folder.path.name, {})[place] = read_run(folder)
    further = {name: of for name, of in sorted(asked.items()) if len(of) > 1}
    return ReadRuns(own, further, labels_of(own))


def compare_read(runs: ReadRuns) -> Comparison:
    """Compare runs on every suite that they share.

    Raises:
        ScoringError: Nothing of them could be compared.
    """
    found = compared(runs)
    if not any(suite.tested for _, suite in found.suites):
        raise ScoringError(_nothing_text(runs.own, found))
    return found


def compared(runs: ReadRuns) -> Comparison:
    """The same, though there may be nothing that could be compared."""
    groups = seeds_of_encoders(runs.own)
    own = _on_one_suite(dict(enumerate(runs.own)), runs.labels, groups)
    further = {name: _on_one_suite(of, runs.labels, groups) for name, of in runs.further.items()}
    everywhere = [*runs.own, *(run for of in runs.further.values() for run in of.values())]
    complete = not any(task.failure for run in everywhere for task in run.tasks)
    combined = own.encoders is not None and own.encoders.several_seeds
    return Comparison(own, differences(runs.own, combined=combined), further, complete=complete)


def _on_one_suite(
    runs: Mapping[int, RunFacts], labels: Sequence[str], groups: Mapping[str, Sequence[int]]
) -> SuiteComparison:
    """Compare runs on one suite.

    Args:
        runs: What they were asked there, by their place among all runs.
        labels: Of all runs.
        groups: Places of all runs by encoder.
    """
    answers = {place: run_answers(run, labels[place]) for place, run in runs.items()}
    encoders = [
        Encoder(name, [answers[p] for p in here], [runs[p].scores for p in here])
        for name, group in groups.items()
        if (here := [p for p in group if p in answers])
    ]
    several = any(len(encoder.runs) > 1 for encoder in encoders)
    over_seeds = compare_encoders(encoders) if several else None
    named = {labels[p]: name for name, group in groups.items() for p in group if p in answers}
    return SuiteComparison(compare_runs(list(answers.values())), over_seeds, named)


def _nothing_text(runs: Sequence[RunFacts], found: Comparison) -> str:
    """Why nothing could be compared, and what to do."""
    reasons = Counter(
        f"{name}: {entry.reason}"
        for _, suite in found.suites
        for pair in suite.pairs
        for name, entry in pair.tasks.items()
    )
    if not reasons:
        asked = [", ".join([run.suite, *further_names(run)]) for run in runs]
        return (
            "Nothing could be compared: these runs share no task that both answered (their suites: "
            f"{'; '.join(asked)}). Ask them the same, e.g. with 'auricle run ... --eval FILE'."
        )
    shown = [text for text, _ in reasons.most_common(_MOST_REASONS)]
    more = len(reasons) - len(shown)
    rest = [f"and {more} more"] if more > 0 else []
    return (
        f"Nothing could be compared: {'; '.join([*shown, *rest])}. Let unfinished runs finish: "
        "give their 'auricle run' again."
    )


def further_names(run: RunFacts) -> list[str]:
    """The further suites that a run was asked."""
    return [folder.path.name for folder in run.folder.all_further()]


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


def seeds_of_encoders(runs: Sequence[RunFacts]) -> dict[str, list[int]]:
    """Places of the runs that differ in nothing but their seed, by the encoder's label.

    Two runs of one seed are no two seeds: the later one makes a group of its own.
    """
    groups: dict[str, list[int]] = {}
    for place, run in enumerate(runs):
        facts = run.manifest
        same = {name: facts.to_json().get(name) for name in ("mixture", "test")}
        # A file may name the seed, and then a recipe is named after the file.
        same["recipe"] = {key: value for key, value in facts.recipe.items() if key != "name"}
        key = sha256_json({**same, "encoder": [run.encoder, facts.encoder.content_hash]})
        seeds = {runs[other].manifest.seed for other in groups.get(key, [])}
        if facts.seed in seeds:
            key = f"{key} {place}"
        groups.setdefault(key, []).append(place)
    found = list(groups.values())
    names = labels_of([runs[g[0]] for g in found], of_seeds=[len(g) > 1 for g in found])
    return dict(zip(names, found, strict=True))


def differences(runs: Sequence[RunFacts], *, combined: bool = False) -> list[FactDifference]:
    """In what the runs differ besides their encoders; the more it is, the less they compare.

    Args:
        runs: What was read of them.
        combined: Whether every encoder has several seeds, so that a seed is no difference.
    """
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
        FactDifference(name, [one.get(name, "none") for one in facts])
        for name in names
        if len({one.get(name) for one in facts}) > 1 and not (combined and name in _NAMED_BY_SEED)
    ]


def _data_text(lock: DataLock, clips: int | None) -> str:
    return f"{clips} clips, {sha256_json([shard.sha256 for shard in lock.shards])[:8]}"
