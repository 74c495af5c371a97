"""The catalog as shipped: every file is valid, every name is found or nearly so."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from auricle.catalog.load import (
    base_recipe,
    get_recipe,
    get_suite,
    get_task,
    list_recipes,
    list_suites,
    list_tasks,
    resolve_weights,
)
from auricle.catalog.records import suite_record, task_record
from auricle.catalog.spec import Suite
from auricle.errors import CatalogError, UnknownNameError


@pytest.mark.parametrize("name", list_tasks())
def test_every_task_file_is_valid(name: str) -> None:
    task = get_task(name)
    assert task.metric is not None
    assert task.repository is not None
    assert not task.folder
    for shards in (task.expanded_train_shards, task.expanded_test_shards):
        assert shards
        assert len(set(shards)) == len(shards)
        assert all(shard.endswith(".tar.gz") for shard in shards)
    assert not set(task.expanded_train_shards) & set(task.expanded_test_shards)


@pytest.mark.parametrize("name", [n for n in list_tasks() if get_task(n).synthetic])
def test_a_synthetic_task_says_so_and_its_shards_hold_its_clips(name: str) -> None:
    task = get_task(name)
    assert name.startswith("synth-")
    assert task.synthetic is not None
    sizes = {side: size.clips for side, size in task.size.items()}
    assert sizes == {"train": task.synthetic.train_clips, "test": task.synthetic.test_clips}
    for shards, clips in (
        (task.expanded_train_shards, task.synthetic.train_clips),
        (task.expanded_test_shards, task.synthetic.test_clips),
    ):
        assert len(shards) == math.ceil(clips / task.synthetic.clips_per_shard)


@pytest.mark.parametrize("name", list_suites())
def test_every_suite_file_is_valid(name: str) -> None:
    suite = get_suite(name)
    assert suite.description
    assert all(get_task(task) for task in suite.tasks)
    assert sum(suite.shares.values()) == pytest.approx(1, abs=1e-12)
    assert base_recipe(suite).train.steps == (suite.steps or get_recipe(suite.recipe).train.steps)


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_file_is_valid(name: str) -> None:
    assert get_recipe(name).name == name


def test_no_name_is_both_a_task_and_a_suite() -> None:
    assert not set(list_tasks()) & set(list_suites())


def test_any_task_is_a_suite_of_its_own() -> None:
    for name in list_tasks():
        suite = get_suite(name)
        assert suite.shares == {name: 1.0}
        assert suite.recipe == ("mini" if get_task(name).synthetic else "official")


def test_unknown_names_get_the_nearest_and_the_command_that_lists() -> None:
    with pytest.raises(
        UnknownNameError, match=r"no task named 'esc50'. Nearest: esc-50.*auricle t"
    ):
        get_task("esc50")
    with pytest.raises(UnknownNameError, match=r"'track_a'. Nearest: .*track-a.*auricle suites"):
        get_suite("track_a")
    with pytest.raises(UnknownNameError, match=r"no recipe named 'Official'. Nearest: official"):
        get_recipe("Official")
    with pytest.raises(UnknownNameError, match=r"no suite or task named '../tasks/esc-50'"):
        get_suite("../tasks/esc-50")


def test_an_included_suite_brings_its_weights_and_own_ones_replace_them() -> None:
    suite = Suite(name="more", include=["track-b"], tasks={"clotho": 5, "esc-50": 0.5})
    assert resolve_weights(suite, {}).tasks == {
        **{"aishell-1": 2, "songdescriber": 1, "clotho": 5, "librispeech": 2, "mecat": 3},
        "esc-50": 0.5,
    }


def test_a_suite_without_tasks_or_with_itself_is_refused() -> None:
    with pytest.raises(CatalogError, match="Suite none has no tasks"):
        resolve_weights(Suite(name="none"), {})
    with pytest.raises(CatalogError, match="Suite me includes itself"):
        resolve_weights(Suite(name="me", include=["me"]), {})
    with pytest.raises(UnknownNameError, match="no task named 'esc'"):
        resolve_weights(Suite(name="typo", tasks={"esc": 1}), {})


def test_records_have_the_documented_fields() -> None:
    record = task_record(get_task("fsd50k"))
    assert {
        *("name", "track", "domain", "prompt", "metric", "num_classes", "repository", "revision"),
        *("train_shards", "test_shards", "train_field", "test_field"),
    } <= set(record)
    assert record["train_shards"][8] == "FSD50k/train/train_with_text_000008.tar.gz"
    suite = suite_record(get_suite("cremad"))
    assert (suite["steps"], suite["batch_size"], suite["tasks"]) == (1000, 4, {"cremad": 1.0})


def test_the_catalog_loads_neither_numpy_nor_torch() -> None:
    code = (
        "import sys; from auricle.catalog.load import get_suite; get_suite('all'); "
        "print({'numpy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_suites_are_known_by_the_names_that_xares_llm_has_for_them() -> None:
    assert get_suite("task1") == get_suite("track-a")
    assert get_suite("task2") == get_suite("track-b")
    assert not {"task1", "task2"} & {*list_suites(), *list_tasks()}
