"""Whether a task's audio and references may be handed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from auricle.catalog.files import load_suite_file
from auricle.catalog.load import get_suite, get_task, list_tasks
from auricle.catalog.records import task_record
from auricle.errors import CatalogError

TASK = """prompt: Which?
metric: accuracy
train_field: label
test_field: label
test_shards: [a.tar]
"""


@pytest.mark.parametrize("name", list_tasks())
def test_every_task_of_the_catalog_says_it_with_its_source(name: str) -> None:
    task = get_task(name)
    assert task.redistribute_source
    assert (task.redistribute == "yes") is (task.synthetic is not None)
    assert bool(task.attribution) is (task.redistribute == "attribution")
    if "NC" in task.licence or "own" in task.licence:
        assert task.redistribute == "no"
    assert task_record(task)["redistribute"] == task.redistribute


def test_all_official_tasks_are_among_them() -> None:
    official = {*get_suite("track-a").tasks, *get_suite("track-b").tasks}
    assert len(official) == 20
    assert official <= {*list_tasks()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "no"),
        ("redistribute: no", "no"),  # bare, it is a truth value for YAML
        ("redistribute: yes", "yes"),
        ("redistribute: attribution\nattribution: By me, CC0", "attribution"),
    ],
)
def test_a_tasks_author_may_say_otherwise(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "birds.yaml"
    path.write_text(TASK + line)
    (task,) = load_suite_file(path).tasks
    assert task.redistribute == expected


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("redistribute: perhaps", "'no', 'attribution' or 'yes'"),
        ("redistribute: attribution", "needs the text of the attribution"),
    ],
)
def test_what_it_cannot_say_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "birds.yaml"
    path.write_text(TASK + line)
    with pytest.raises(CatalogError, match=problem):
        load_suite_file(path)
