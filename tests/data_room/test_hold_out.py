"""Held-out training clips: chosen by their ids alone, and never drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from auricle.catalog.files import load_suite_file, open_suite
from auricle.catalog.load import get_suite
from auricle.catalog.spec import Task
from auricle.data.clips import ClipTable
from auricle.data.index import open_indexes
from auricle.data.mixture import Crop, Mixture, MixturePart
from auricle.data.shards import LockedShard
from auricle.data.tables import hold_out
from auricle.errors import CatalogError, DataError
from auricle.progress import SilentProgress
from making import audio_bytes, tone

TASK = Task(
    name="pitch", track="a", domain="sound", prompt="?", metric="accuracy", train_shards=["x.tar"]
)


@pytest.fixture
def table(make_shard: Callable[..., LockedShard], tmp_path) -> Callable[..., ClipTable]:
    def make(order: list[int] | None = None) -> ClipTable:
        shards = []
        for number in order or [0, 1, 2]:
            samples = [
                (f"k{number}{j:02d}", "flac", audio_bytes(tone(300, 0.05)), {"label": "x"})
                for j in range(20)
            ]
            shards.append(make_shard(samples, f"s{number}.tar"))
        indexes = open_indexes(shards, home=tmp_path, workers=1, progress=SilentProgress())
        return ClipTable(shards, indexes)

    return make


def ids(table: ClipTable, clips: list[int]) -> set[str]:
    return {table.clip_id(clip) for clip in clips}


def test_the_smallest_hashes_of_the_ids_are_held_out(table: Callable[..., ClipTable]) -> None:
    whole = table()
    expected = sorted(
        (f"s{n}/k{n}{j:02d}" for n in range(3) for j in range(20)),
        key=lambda clip: sha256(clip.encode()).hexdigest(),
    )
    assert ids(whole, hold_out(TASK, whole, share=0.1, most=500)) == set(expected[:6])
    assert ids(whole, hold_out(TASK, whole, share=0.5, most=4)) == set(expected[:4])


def test_the_choice_does_not_depend_on_the_order_of_the_shards(
    table: Callable[..., ClipTable],
) -> None:
    one, other = table(), table([2, 0, 1])
    assert one.clip_id(0) != other.clip_id(0)
    assert ids(one, hold_out(TASK, one, share=0.2, most=500)) == ids(
        other, hold_out(TASK, other, share=0.2, most=500)
    )


def test_no_held_out_clip_is_ever_drawn_nor_planned(table: Callable[..., ClipTable]) -> None:
    whole = table()
    out = hold_out(TASK, whole, share=0.2, most=500)
    kept = whole.select(sorted({*range(len(whole))} - {*out}))
    assert (len(out), len(kept)) == (12, 48)
    mixture = Mixture([MixturePart(TASK, kept, 1.0)], crop=Crop(30, 5), seed=3)
    # Also where damaged clips are replaced by the next ones.
    mixture.mark_undecodable([kept.window(clip) for clip in range(0, 48, 3)])
    drawn = {w.clip_id for w in mixture.windows(0, 4000)}
    assert len(drawn) == 32
    assert not drawn & ids(whole, out)
    planned = {w.clip_id for w in mixture.all_windows(mixture.parts[0])}
    assert planned == ids(kept, list(range(48)))


def test_too_few_clips_are_refused(table: Callable[..., ClipTable]) -> None:
    with pytest.raises(DataError, match="has 1 training clips, of which 1 would be held out"):
        hold_out(TASK, table().select([0]), share=0.1, most=500)


@pytest.mark.parametrize("track", ["a", "b"])
def test_the_dev_suites_are_the_tracks_without_their_test_clips(track: str) -> None:
    dev, official = open_suite(f"track-{track}-dev"), get_suite(f"track-{track}")
    assert dev.suite.tasks == official.tasks
    assert dev.recipe.train.steps == 5000
    assert not dev.suite.official
    assert not any(task.test_shards for task in dev.tasks)
    assert official.held_out is None


def test_a_task_that_cannot_be_held_out_is_named(tmp_path) -> None:
    path = tmp_path / "dev.yaml"
    path.write_text("held_out: {share: 0.2}\ntasks:\n  mine: {prompt: hm, train_shards: [a.tar]}\n")
    with pytest.raises(CatalogError, match="its task mine has no metric"):
        load_suite_file(path)
    with pytest.raises(ValueError, match="cannot be official"):
        replace(open_suite("track-a-dev")).suite.model_copy().model_validate(
            {"name": "x", "official": True, "held_out": {}, "tasks": {"esc-50": 1}}
        )
