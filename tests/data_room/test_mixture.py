"""Draws: random access, uniform clips, crops on the grid, replacement of damaged clips."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.catalog.spec import Task
from auricle.data.clips import ClipTable
from auricle.data.index import open_indexes
from auricle.data.mixture import Crop, Mixture, MixturePart, prompt_at_test
from auricle.data.shards import LockedShard
from auricle.errors import DataError
from auricle.progress import SilentProgress
from making import audio_bytes, tone


def task(name: str, **changes: object) -> Task:
    fields: dict[str, object] = {
        "name": name,
        "track": "a",
        "domain": "sound",
        "prompt": "What is it?",
        "metric": "accuracy",
        "num_classes": 2,
        "train_field": "label",
        "test_field": "label",
        "licence": "CC0",
        "homepage": "https://example.org",
        "repository": "local/test",
        "train_shards": ["a.tar"],
        "test_shards": ["a.tar"],
    }
    return Task.model_validate(fields | changes)


def table(home: Path, shard: LockedShard) -> ClipTable:
    return ClipTable(
        [shard], open_indexes([shard], home=home, workers=1, progress=SilentProgress())
    )


@pytest.fixture
def two_tasks(make_shard: Callable[..., LockedShard], home: Path) -> list[MixturePart]:
    parts = []
    for name, count, share in (("one", 5, 0.25), ("two", 3, 0.75)):
        samples = [
            (f"k{j}", "flac", audio_bytes(tone(200 + j, 0.1)), {"label": [f"{name}{j}a", "b"]})
            for j in range(count)
        ]
        parts.append(
            MixturePart(task(name), table(home, make_shard(samples, f"{name}.tar")), share)
        )
    return parts


CROP = Crop(30.0, 5.0)


def test_any_range_of_draws_equals_that_part_of_all(two_tasks: list[MixturePart]) -> None:
    everything = Mixture(two_tasks, crop=CROP, seed=1).draws(0, 300)
    fresh = Mixture(two_tasks, crop=CROP, seed=1)
    assert fresh.draws(257, 300) == everything[257:]
    assert fresh.draws(0, 7) == everything[:7]
    assert [d.index for d in everything] == list(range(300))
    assert list(fresh.windows(40, 50)) == [d.window for d in everything[40:50]]


def test_another_seed_gives_other_draws(two_tasks: list[MixturePart]) -> None:
    one = Mixture(two_tasks, crop=CROP, seed=1).draws(0, 50)
    two = Mixture(two_tasks, crop=CROP, seed=2).draws(0, 50)
    assert [d.window for d in one] != [d.window for d in two]


def test_tasks_clips_and_texts_are_drawn_with_their_probabilities(
    two_tasks: list[MixturePart],
) -> None:
    draws = Mixture(two_tasks, crop=CROP, seed=3).draws(0, 8000)
    tasks = Counter(d.task for d in draws)
    assert abs(tasks["one"] / 8000 - 0.25) < 4 * (0.25 * 0.75 / 8000) ** 0.5
    clips = Counter(d.window.clip_id for d in draws if d.task == "two")
    for count in clips.values():
        assert abs(count / tasks["two"] - 1 / 3) < 4 * (2 / 9 / tasks["two"]) ** 0.5
    share_b = sum(d.text == "b" for d in draws) / 8000
    assert abs(share_b - 0.5) < 4 * (0.25 / 8000) ** 0.5


@pytest.mark.parametrize(
    ("seconds", "windows"),
    # the protocol: starts 0, 5, 10, ... with start + 30 <= duration; 30 to 35 s give one,
    # two minutes give 19
    [(2.0, 1), (30.0, 1), (31.0, 1), (34.9, 1), (35.0, 2), (44.0, 3), (120.0, 19)],
)
def test_crops_lie_on_the_grid(seconds: float, windows: int) -> None:
    rate = 22_050
    count, grid, length = CROP.starts(round(seconds * rate), rate)
    assert count == windows
    assert length == round(min(seconds, 30.0) * rate)
    assert (count - 1) * grid + length <= round(seconds * rate)
    if count > 1:
        assert grid == 5 * rate


def test_training_windows_of_long_clips_are_drawn_from_the_grid(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    audio = audio_bytes(tone(100, 46.0, 8000), 8000)
    part = MixturePart(
        task("long"), table(home, make_shard([("k", "flac", audio, {"label": "x"})])), 1.0
    )
    mixture = Mixture([part], crop=CROP, seed=0)
    firsts = Counter(d.window.first for d in mixture.draws(0, 400))
    assert set(firsts) == {0, 40_000, 80_000, 120_000}
    assert {d.duration_s for d in mixture.draws(0, 10)} == {30.0}
    assert sorted(w.first for w in mixture.all_windows(part)) == [0, 40_000, 80_000, 120_000]
    assert mixture.count_windows() == 4


def test_a_damaged_clip_is_replaced_by_the_next_decodable_one(
    two_tasks: list[MixturePart],
) -> None:
    mixture = Mixture(two_tasks, crop=CROP, seed=5)
    before = mixture.draws(0, 200)
    bad = two_tasks[1].table.window(2)
    assert mixture.mark_undecodable([bad]) == 1
    assert mixture.mark_undecodable([bad]) == 0
    after = mixture.draws(0, 200)
    for old, new in zip(before, after, strict=True):
        expected = "two/k0" if old.window == bad else old.window.clip_id
        assert new.window.clip_id == expected
    assert mixture.unreadable_clips() == {"two": 1}


def test_a_clip_without_a_readable_header_is_never_drawn(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    good = audio_bytes(tone(300, 0.1))
    samples = [("a", "flac", b"rubbish", {"label": "x"}), ("b", "flac", good, {"label": "y"})]
    part = MixturePart(task("t"), table(home, make_shard(samples)), 1.0)
    assert {d.text for d in Mixture([part], crop=CROP, seed=0).draws(0, 20)} == {"y"}


def test_a_task_without_a_decodable_clip_is_an_error(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    part = MixturePart(
        task("t"), table(home, make_shard([("a", "flac", b"rubbish", {"label": "x"})])), 1.0
    )
    with pytest.raises(DataError, match="None of the 1 training clips of task t can be decoded"):
        Mixture([part], crop=CROP, seed=0).draws(0, 1)


def test_a_missing_field_names_the_clip(make_shard: Callable[..., LockedShard], home: Path) -> None:
    audio = audio_bytes(tone(300, 0.1))
    part = MixturePart(
        task("t"), table(home, make_shard([("a", "flac", audio, {"other": "x"})])), 1.0
    )
    with pytest.raises(DataError, match="Clip shard/a of task t"):
        Mixture([part], crop=CROP, seed=0).draws(0, 1)


def test_an_empty_prompt_is_the_clips_own(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    audio = audio_bytes(tone(300, 0.1))
    fields = {"label": "x", "prompt": "Which one?"}
    part = MixturePart(
        task("t", prompt=""), table(home, make_shard([("a", "flac", audio, fields)])), 1.0
    )
    assert Mixture([part], crop=CROP, seed=0).draws(0, 1)[0].prompt == "Which one?"


@pytest.mark.parametrize(
    ("field", "asked"), [("prompt", "Which one?"), ("question", "What now?"), ("", "")]
)
def test_an_empty_prompt_is_that_of_the_field_that_a_task_names(
    make_shard: Callable[..., LockedShard], home: Path, field: str, asked: str
) -> None:
    audio = audio_bytes(tone(300, 0.5))
    fields = {"label": "x", "prompt": "Which one?", "question": "What now?"}
    clips = table(home, make_shard([("a", "flac", audio, fields)]))
    own = task("t", prompt="", prompt_field=field)
    part = MixturePart(own, clips, 1.0)
    assert Mixture([part], crop=CROP, seed=0).draws(0, 1)[0].prompt == asked
    assert prompt_at_test(own, clips, 0) == asked


def test_a_clip_without_its_own_prompt_is_named(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    audio = audio_bytes(tone(300, 0.5))
    clips = table(home, make_shard([("a", "flac", audio, {"label": "x"})]))
    with pytest.raises(DataError, match=r"field .why.; a clip has .*ask nothing"):
        prompt_at_test(task("t", prompt="", prompt_field="why"), clips, 0)


def test_a_prompt_is_drawn_from_a_list(make_shard: Callable[..., LockedShard], home: Path) -> None:
    audio = audio_bytes(tone(300, 0.1))
    part = MixturePart(
        task("t", prompt=["One?", "Two?"]),
        table(home, make_shard([("a", "flac", audio, {"label": "x"})])),
        1.0,
    )
    assert {d.prompt for d in Mixture([part], crop=CROP, seed=0).draws(0, 40)} == {"One?", "Two?"}


def test_a_draws_choices_are_independent_of_each_other(
    make_shard: Callable[..., LockedShard], home: Path
) -> None:
    """Task, clip, window, text and prompt: each pair of choices takes all four combinations."""
    parts = []
    for name in ("one", "two"):
        samples = [
            (f"k{j}", "flac", audio_bytes(tone(200 + j, 0.2)), {"label": ["first", "second"]})
            for j in range(2)
        ]
        of_task = task(name, prompt=["First?", "Second?"])
        found = table(home, make_shard(samples, f"{name}.tar"))
        parts.append(MixturePart(of_task, found, 0.5))
    draws = Mixture(parts, crop=Crop(0.1, 0.1), seed=7).draws(0, 1600)
    choices = {
        "task": [d.task == "one" for d in draws],
        "clip": [d.window.position == 0 for d in draws],
        "window": [d.window.first == 0 for d in draws],
        "text": [d.text == "first" for d in draws],
        "prompt": [d.prompt == "First?" for d in draws],
    }
    for one, other in itertools.combinations(choices, 2):
        counts = Counter(zip(choices[one], choices[other], strict=True))
        assert len(counts) == 4, (one, other)
        # 400 expected, standard deviation sqrt(1600 * 1/4 * 3/4) = 17: six of them
        assert max(abs(count - 400) for count in counts.values()) < 104, (one, other, counts)
