"""Tasks: which label a clip has, and what a task file may not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auricle.catalog.parse import read_yaml, validate
from auricle.catalog.spec import Task
from auricle.errors import CatalogError, DataError

TASK = {
    "name": "mine",
    "track": "a",
    "domain": "sound",
    "prompt": "What is it?",
    "metric": "accuracy",
    "train_field": "label;labels",
    "test_field": "tag",
    "train_shards": ["train_{0..2}.tar"],
    "test_shards": ["test.tar"],
}


def task(**changes: Any) -> Task:
    return validate(Task, {**TASK, **changes}, "mine.yaml")


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({"label": "dog", "labels": "cat"}, ["dog"]),
        ({"labels": "cat", "text": "a cat"}, ["cat"]),
        ({"text": "a cat", "caption": "c", "captions": ["x", "y"]}, ["x", "y"]),
        ({"text": "a cat", "caption": "c"}, ["c"]),
        ({"text": "a cat"}, ["a cat"]),
        ({"label": 7}, ["7"]),
        ({"label": 0}, ["0"]),
        ({"label": 2.5}, ["2.5"]),
        ({"label": 1e-7}, ["0.0000001"]),
        ({"label": ["a", 3]}, ["a", "3"]),
        ({"label": None, "labels": "cat"}, ["cat"]),
        ({"label": [], "labels": "cat"}, ["cat"]),
    ],
)
def test_the_first_field_that_is_present_wins(fields: dict[str, Any], texts: list[str]) -> None:
    assert task().texts(fields, "train") == texts


def own(**changes: Any) -> Task:
    return task(repository=None, **changes)


@pytest.mark.parametrize(
    ("metric", "value", "texts"),
    [
        ("accuracy", 1.0, ["1"]),  # as a table of numbers writes the class 1
        ("accuracy", 2.5, ["2.5"]),
        ("accuracy", ["a", "b"], ["a", "b"]),
        ("mAP", ["dog", "cat"], ["dog;cat"]),  # labels of one sample, not two references
        ("mAP", ["dog"], ["dog"]),
        ("iWER", "", [""]),  # nothing is said in the recording
    ],
)
def test_labels_of_ones_own_data_mean_what_tables_mean(
    metric: str, value: Any, texts: list[str]
) -> None:
    assert own(metric=metric, num_classes=2).texts({"label": value}, "train") == texts


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (float("nan"), r"holds a float \(nan\)"),
        (float("inf"), r"holds a float \(inf\)"),
        ("", "is blank; expected a label"),
        (" \t", "is blank; expected a label"),
        (["dog", ""], "is blank; expected a label"),
    ],
)
def test_what_is_no_label_is_refused(value: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        own().texts({"label": value}, "train")


def test_each_side_has_its_own_field() -> None:
    assert task().texts({"tag": "t", "label": "l"}, "test") == ["t"]
    assert task().texts({"tag": "t", "label": "l"}, "train") == ["l"]


def test_a_missing_label_says_what_was_seen_and_expected() -> None:
    expected = "its JSON has id, kind; expected a label in one of tag, captions, caption, text"
    with pytest.raises(DataError, match=expected):
        task().texts({"kind": 1, "id": 2}, "test")


def test_a_label_of_another_kind_is_refused() -> None:
    with pytest.raises(DataError, match=r"'label' holds a dict .*expected a text, a number"):
        task().texts({"label": {"a": 1}}, "train")
    with pytest.raises(DataError, match="'label' holds a list"):
        task().texts({"label": [["a"]]}, "train")


def test_metrics_are_spelt_in_any_case() -> None:
    assert task(metric="Accuracy").metric == "accuracy"
    assert task(metric="MAP", num_classes=3).metric == "mAP"
    assert task(metric="rouge-l").metric == "ROUGE-L"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrik": "accuracy"}, "there is no field 'metrik' \\(did you mean 'metric'\\?\\)"),
        ({"zzz": 1}, "there is no field 'zzz' \\(known: "),
        ({"metric": "acc"}, "'metric' is 'acc': expected 'accuracy', 'mAP'"),
        ({"metric": None}, "a task with test_shards needs a metric"),
        ({"metric": "mAP"}, "the metric mAP needs num_classes"),
        ({"track": "c"}, "'track' is 'c': expected 'a' or 'b'"),
        ({"name": "../up"}, "'name' is '../up'"),
        ({"prompt": []}, "'prompt' is \\[\\]: expected a text, a list of texts"),
        ({"repository": "justaname"}, "expected owner/name of a dataset repository"),
        ({"repository": "../x"}, "expected owner/name of a dataset repository"),
        ({"train_shards": [], "test_shards": []}, "give train_shards, test_shards or both"),
        ({"repository": "a/b", "test_shards": ["../x.tar"]}, "'../x.tar' does not lie inside"),
        ({"synthetic": {"train_clips": 0}}, "'synthetic.train_clips' is 0: .*greater than 0"),
    ],
)
def test_a_mistake_in_a_task_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogError, match=f"^mine.yaml: .*{message}"):
        task(**changes)


def test_all_mistakes_of_a_file_are_named_at_once() -> None:
    with pytest.raises(CatalogError, match=r"'track'.*'domain'"):
        task(track="c", domain="smell")


def test_a_missing_field_is_named() -> None:
    with pytest.raises(CatalogError, match="the field 'track' is missing"):
        validate(Task, {k: v for k, v in TASK.items() if k != "track"}, "mine.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "line 2: the key 'a' is given twice"),
        ("a: [1\n", "did not find expected"),
        ("- a\n- b\n", "holds a list at its top level"),
        ("just words\n", "holds a text at its top level"),
        ("", "holds nothing at its top level"),
        ("1: x\n", "holds keys that are no text"),
        ("a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogError, match=message):
        read_yaml(path)


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no.yaml cannot be read: No such file"):
        read_yaml(tmp_path / "no.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(CatalogError, match="it is not UTF-8 text"):
        read_yaml(tmp_path / "latin.yaml")
