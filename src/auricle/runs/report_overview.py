"""The first screen of a report: the headline, a bar per task, domains and skills, what stands out.

Scores of different metrics are never averaged across domains or skills as they are: each is first
put on the way from chance (0) to perfect (1), so that a task of two classes weighs as it should.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auricle.records.scores import Estimate
from auricle.runs.report_facts import TRACK_NAMES, RunFacts, TaskFacts, number
from auricle.scoring.tracks import mean_interval

SATURATED = 0.97
OUTSIDE_LABELS = 0.05
_DOMAINS = ("speech", "sound", "music", "general", "other")
_SKILLS = ("what", "who", "when", "how many")


@dataclass(frozen=True, slots=True)
class Bar:
    """A value between 0 and 1 with everything that it is read against."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    floor: float | None = None
    """What the encoder that hears nothing scored."""
    note: str = ""
    """Stands where the value would, if there is none."""
    anchor: str = ""
    """Where in the page more is said."""
    detail: str = ""
    """A second line under the name."""


@dataclass(frozen=True, slots=True)
class TrackBars:
    """The tasks of a track."""

    title: str
    mean: Bar
    tasks: list[Bar]


@dataclass(frozen=True, slots=True)
class Headline:
    """A number that stands for several tasks."""

    label: str
    mean: float | None
    low: float | None
    high: float | None
    tasks: int
    missing: list[str]
    chance: float | None
    """Mean of the tasks' chance."""
    floor: float | None

    @property
    def bar(self) -> Bar:
        """The number as a bar."""
        return Bar(self.label, self.mean, self.low, self.high, self.chance, self.floor)


def headlines(run: RunFacts, floor: Mapping[str, float]) -> list[Headline]:
    """One number where the suite has a mean over all tasks, else one per track."""
    whole = _headline("mean of all tasks", run.tasks, floor)
    if len(run.tracks) == 1 or not run.manifest.official_tasks:
        return [whole]
    return [
        _headline(f"mean of track {track.upper()}", tasks, floor)
        for track, tasks in run.tracks.items()
    ]


def _headline(label: str, tasks: Sequence[TaskFacts], floor: Mapping[str, float]) -> Headline:
    found = mean_interval([task.entry.estimate for task in tasks])
    missing = [task.name for task in tasks if not task.counted]
    return Headline(
        label=tasks[0].name if len(tasks) == 1 else label,
        mean=found.value,
        low=found.low,
        high=found.high,
        tasks=len(tasks),
        missing=missing,
        chance=_mean([task.entry.chance for task in tasks]),
        floor=_mean([floor.get(task.name) for task in tasks]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, or None where a value is missing."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def track_bars(
    run: RunFacts, floor: Mapping[str, float], anchors: Mapping[str, str]
) -> list[TrackBars]:
    """A bar per task, grouped by track, each track with its mean."""
    found = []
    for track, tasks in run.tracks.items():
        head = _headline("mean", tasks, floor)
        mean = Bar(
            name="mean",
            value=head.mean,
            low=head.low,
            high=head.high,
            chance=head.chance,
            floor=head.floor,
            note=f"no mean: {plural(len(head.missing), 'task')} missing" if head.missing else "",
        )
        bars = [task_bar(task, floor.get(task.name), anchors.get(task.name, "")) for task in tasks]
        found.append(TrackBars(TRACK_NAMES.get(track, f"Track {track}"), mean, bars))
    return found


def task_bar(task: TaskFacts, floor: float | None, anchor: str) -> Bar:
    """A task's score against chance and the floor."""
    found = task.entry.estimate
    words = [task.domain, *([task.skill] if task.skill else []), task.metric]
    return Bar(
        name=task.name,
        value=found.value,
        low=found.low,
        high=found.high,
        chance=task.entry.chance,
        floor=floor,
        note="" if task.counted else "missing",
        anchor=anchor,
        detail=" · ".join(words),
    )


def above_chance(task: TaskFacts) -> Estimate | None:
    """A task's score and interval on the way from chance to perfect; None where that is unknown."""
    chance, found = task.entry.chance, task.entry.estimate
    if found.value is None or chance is None or chance >= 1:
        return None

    def moved(value: float | None) -> float | None:
        return None if value is None else (value - chance) / (1 - chance)

    return Estimate(moved(found.value), moved(found.low), moved(found.high))


def groups(run: RunFacts, kind: str) -> list[Bar]:
    """Bars of the domains or of the skills.

    Args:
        run: The run.
        kind: ``domain`` or ``skill``.
    """
    order = _DOMAINS if kind == "domain" else _SKILLS
    of_group: dict[str, list[TaskFacts]] = {}
    for task in run.tasks:
        name = task.domain if kind == "domain" else task.skill
        if name is not None:
            of_group.setdefault(name, []).append(task)
    names = [*(n for n in order if n in of_group), *sorted(set(of_group) - set(order))]
    return [_group_bar(name, of_group[name]) for name in names]


def _group_bar(name: str, tasks: Sequence[TaskFacts]) -> Bar:
    usable = [(task, moved) for task in tasks if (moved := above_chance(task)) is not None]
    listed = ", ".join(task.name for task, _ in usable)
    left_out = len(tasks) - len(usable)
    if left_out:
        listed = f"{listed} · {left_out} missing".removeprefix(" · ")
    if not usable:
        return Bar(name, None, note="missing", detail=listed)
    mean = mean_interval([moved for _, moved in usable])
    return Bar(name, mean.value, mean.low, mean.high, chance=0.0, detail=listed)


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence about tasks that a reader should not have to find alone."""

    text: str
    tasks: list[str]


def remarks(run: RunFacts) -> list[Remark]:
    """Where the run is strong and weak, and which numbers need care."""
    moved = {t.name: m.value or 0.0 for t in run.tasks if (m := above_chance(t)) is not None}
    ranked = sorted(moved, key=lambda name: (-moved[name], name))
    found = []
    if len(ranked) >= 4:
        found.append(Remark("Strongest, furthest above chance:", ranked[:2]))
        found.append(Remark("Weakest, nearest to chance or below:", ranked[:-3:-1]))
    return found + _cautions(run.tasks)


def _cautions(tasks: Iterable[TaskFacts]) -> list[Remark]:
    deaf, full, strange, clipped = [], [], [], []
    for task in tasks:
        if not task.counted:
            continue
        low, chance, detail = task.entry.low, task.entry.chance, task.entry.detail
        if low is not None and chance is not None and low <= chance:
            deaf.append(task.name)
        if (task.score or 0) > SATURATED:
            full.append(task.name)
        if (number(detail.get("outside_labels")) or 0) > OUTSIDE_LABELS:
            strange.append(task.name)
        if (number(detail.get("hidden_by_clipping")) or 0) > 0:
            clipped.append(task.name)
    said = [
        ("Not shown to be above chance (the interval reaches it):", deaf),
        (f"Saturated, so better encoders will look the same (above {SATURATED}):", full),
        ("Over 5 % of the answers are no label of the task:", strange),
        ("More errors than reference words, shown as 0:", clipped),
    ]
    return [Remark(text, names) for text, names in said if names]


def plural(count: int, noun: str) -> str:
    """``1 task``, ``2 tasks``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
