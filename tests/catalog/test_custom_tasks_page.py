"""Every example of docs/custom-tasks.md loads, and its tables name every field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auricle.catalog.files import load_suite_file
from auricle.catalog.spec import METRICS, Task
from auricle.data.decode import AUDIO_SUFFIXES

PAGE = (Path(__file__).parents[2] / "docs" / "custom-tasks.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_of_the_page_loads(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    loaded = load_suite_file(path)
    assert loaded.tasks
    assert sum(loaded.suite.shares.values()) == pytest.approx(1)


def test_the_page_has_an_example_of_each_form() -> None:
    assert [name for name, _ in EXAMPLES] == [
        *("birds.yaml", "mixed.yaml", "birds-dev.yaml", "hidden.yaml", "train.yaml", "eval.yaml")
    ]


def test_every_field_that_a_user_may_set_is_explained() -> None:
    for field in set(Task.model_fields) - {"name", "synthetic", "folder"}:
        assert f"`{field}`" in PAGE, field
    assert all(metric in PAGE for metric in METRICS)


def test_every_suffix_that_is_decoded_is_listed() -> None:
    shard = re.search(r"`<key>\.<([a-z0-9|]+)>`", PAGE)
    assert shard is not None
    assert set(shard[1].split("|")) == AUDIO_SUFFIXES
    kept = PAGE[PAGE.index("with its suffix (") :]
    assert set(re.findall(r"`\.([a-z0-9]+)`", kept[: kept.index(")")])) == AUDIO_SUFFIXES
