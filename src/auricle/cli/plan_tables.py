"""A plan as tables on standard output; what nobody knows is called unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from auricle.cli.tables import print_rows
from auricle.progress import bytes_text, duration_text
from auricle.records.plan import Plan, PlannedSide

UNKNOWN = "unknown"
_TONIGHT = ("track-a", "track-b")
"""Suites that have a small one of the same tasks."""
_A_NIGHT_S = 12 * 3600


def print_plan(plan: Plan) -> None:
    """Print tasks, amounts and stages; below them what is asked further, and the sum."""
    plans = [plan, *plan.further]
    print_rows(
        ["task", "side", "clips", "hours", "shards", "on disk"],
        [_task_row(record) for each in plans for record in each.tasks],
        title=f"{plan.encoder} on {plan.suite}, {plan.device}",
    )
    print_rows(["", "", ""], [list(row) for row in _amount_rows(plan)])
    print_rows(
        ["stage", "time (estimate)", "processor time (estimate)", "measured"],
        list(_stage_rows(plan)),
    )
    if plan.further:
        print_rows(
            ["asked further", "LALM", "test windows", "to encode", "encode", "train", "answer"],
            [*map(_further_row, plan.further), ["with the run itself", "", *_sums(plans)]],
        )
    if plan.problem:
        print(f"What a run will cost is unknown: {plan.problem}")
    if any((each.features_bytes or 0) > each.free_bytes for each in plans):
        print("The features need more disk than is free: bound them with --disk-budget.")
    for sentence in _in_short(plans):
        print(sentence)


def _in_short(plans: Sequence[Plan]) -> Iterator[str]:
    """Download, hours and memory in a sentence each, and what is to be done."""
    plan = plans[0]
    yield ""
    if plan.interrupted:
        yield "Stopped early: what was not measured yet is unknown."
    if plan.download_bytes:
        told = "as the hub says" if plan.download_from == "hub" else "an estimate of the catalog"
        yield f"Download: {bytes_text(plan.download_bytes)}, {told}."
    wall_s = _sum(s for each in plans for k, s in each.stages_s.items() if _counts(each, k))
    if wall_s is not None:
        yield f"Time: about {duration_text(wall_s)} on this machine, {plan.device}."
    elif least := sum(s or 0.0 for s in (plan.at_least_s | _known(plan)).values()):
        yield f"Time: at least {duration_text(least)} on this machine, {plan.device}."
    memory = plan.memory
    most = max((each.memory.most_bytes or 0 for each in plans), default=0)
    if most and memory.machine_bytes:
        verdict = "it should fit" if most < memory.machine_bytes else "it does not fit"
        where = "this machine has" if plan.device == "cpu" else "its GPU has"
        room = f"{where} {bytes_text(memory.machine_bytes)}: {verdict} (an estimate)"
        yield f"Memory: {bytes_text(most)} at most; {room}."
    if plan.suite in _TONIGHT and (plan.missing_shards or (wall_s or 0) > _A_NIGHT_S):
        yield (
            f"For tonight: --suite {plan.suite}-dev asks held-out training clips and trains 5,000 "
            f"steps instead of {plan.steps:,}."
        )
    if missing := sum(each.missing_shards for each in plans):
        again = ", and again for each --eval," if plan.further else ""
        yield (
            f"{missing} shards are not on this machine; 'auricle data fetch {plan.suite}' "
            f"(synthetic ones: 'auricle data make'){again} brings them. Give this command again "
            "then."
        )


def _known(plan: Plan) -> dict[str, int | float | None]:
    return {stage: s for stage, s in plan.stages_s.items() if s is not None}


def _counts(plan: Plan, stage: str) -> bool:
    """Whether a stage is work of a plan."""
    return stage in ("encode", "answer") or (stage == "train" and plan.steps > 0)


def _further_row(plan: Plan) -> list[str]:
    reused = plan.training == "reuse"
    name = plan.suite if reused else f"{plan.evaluation}: {plan.suite}"
    return [name, "the run's" if reused else f"{plan.steps:,} steps of its own", *_sums([plan])]


def _sums(plans: Sequence[Plan]) -> list[str]:
    """Windows of the tests, audio to encode and each stage's time, of all these plans together."""
    windows, hours = (
        _sum(getattr(each, name) for each in plans) for name in ("test_windows", "encode_hours")
    )
    trained = [each for each in plans if each.steps]
    encode = _sum(each.stages_s["encode"] for each in plans)
    train = _sum(each.stages_s["train"] for each in trained)
    answer = _sum(each.stages_s["answer"] for each in plans)
    return [_count(windows), _hours(hours), _time(encode), _time(train), _time(answer)]


def _sum(values: Iterable[Any]) -> Any:
    """None where one of them is unknown."""
    known = list(values)
    return None if None in known else sum(known)


def _task_row(record: PlannedSide) -> list[str]:
    clips = UNKNOWN if record.clips is None else f"{record.clips:,}"
    if record.clips_from == "catalog":
        clips += " (catalog)"
    hours = UNKNOWN if record.hours is None else f"{record.hours:.2f}"
    shards = f"{record.present}/{record.shards}"
    return [record.task, record.side, clips, hours, shards, bytes_text(record.bytes)]


def _amount_rows(plan: Plan) -> Iterator[tuple[str, str, str]]:
    yield "training", f"{plan.steps:,} steps", f"{plan.draws:,} draws"
    yield "windows of all draws", _count(plan.train_windows), "distinct"
    yield "windows of the tests", _count(plan.test_windows), "distinct"
    yield "to encode", _hours(plan.encode_hours), "of audio"
    yield "encoded by earlier runs", _hours(plan.stored_hours), "of audio"
    missing = sum(each.missing_shards for each in [plan, *plan.further])
    shards = f"{missing} shards" if missing else ""
    told = {"hub": ", as the hub says", "catalog": ", an estimate", None: ""}
    source = shards + (told[plan.download_from] if plan.download_bytes else "")
    yield "download", bytes_text(plan.download_bytes), source
    yield "shards on disk", bytes_text(plan.shards_bytes), ""
    budget = plan.disk_budget
    within = "all at once" if budget is None else f"of a budget of {bytes_text(budget)}"
    yield "features on disk", bytes_text(plan.features_bytes), f"estimate, {within}"
    yield "checkpoints on disk", bytes_text(plan.checkpoints_bytes), "in the run's folder"
    yield "free in the data home", bytes_text(plan.free_bytes), ""
    yield "spans of the training", _count(plan.spans), ""
    memory, on_gpu = plan.memory, plan.on_gpu
    name = "GPU memory" if on_gpu else "memory"
    most = memory.card_bytes if on_gpu else memory.machine_bytes
    for stage in ("encoder", "train", "answer"):
        needed = bytes_text(getattr(memory, f"{stage}_bytes"))
        yield f"{name}: {stage}", needed, f"estimate, of {bytes_text(most)}"


def _stage_rows(plan: Plan) -> Iterator[list[str]]:
    measured = plan.calibration.measured if plan.calibration else {}
    units = {"encode": "batches", "train": "steps", "answer": "chunks of questions"}
    for name, wall_s in plan.stages_s.items():
        done, of = measured.get(name, (None, None))
        shown = "" if done is None else f"{done} of {of:,} {units[name]}"
        yield [name, _time(wall_s), _time(plan.stages_cpu_s[name]), shown]
    if plan.answer_at_most_s is not None:
        longest = _time(plan.answer_at_most_s), _time(plan.answer_at_most_cpu_s)
        yield ["answer, at most", *longest, "every answer as long as it may be"]


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _hours(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f} h"


def _time(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else duration_text(seconds)
