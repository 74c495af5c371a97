"""`auricle suites` and `auricle tasks`: the documented JSON and nothing else on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import auricle


def test_suites_json_has_shares_that_sum_to_one(tmp_path: Path) -> None:
    done = auricle("suites", "--json", home=tmp_path)
    suites = {s["name"]: s for s in json.loads(done.stdout)["suites"]}
    assert {"smoke", "track-a", "track-b", "all"} <= set(suites)
    for suite in suites.values():
        assert sum(suite["tasks"].values()) == pytest.approx(1.0, abs=1e-12)
    assert suites["track-a"]["steps"] == 100_000
    assert suites["track-a"]["batch_size"] == 4
    assert len(suites["all"]["tasks"]) == 20


def test_tasks_json_has_the_documented_fields(tmp_path: Path) -> None:
    done = auricle("tasks", "esc-50", "--json", home=tmp_path)
    (task,) = json.loads(done.stdout)["tasks"]
    assert task["prompt"] == "Classify the environmental sound."
    assert task["metric"] == "accuracy"
    assert task["num_classes"] == 50
    assert task["train_shards"][0] == "ESC-50/train/esc50_fold_1_0000000.tar.gz"
    assert {"name", "track", "domain", "repository", "revision"} <= set(task)
    assert {"test_shards", "train_field", "test_field"} <= set(task)


def test_an_unknown_task_gets_the_nearest_names(tmp_path: Path) -> None:
    done = auricle("tasks", "esc50", home=tmp_path, expect=2)
    assert "esc-50" in done.stderr
    assert done.stdout == ""


def test_help_teaches_and_version_is_printed(tmp_path: Path) -> None:
    assert "auricle run logmel --suite smoke" in auricle("--help", home=tmp_path).stdout
    for name in ("run", "score", "suites", "tasks", "data"):
        assert "Usage" in auricle(name, "--help", home=tmp_path).stdout
    assert auricle("--version", home=tmp_path).stdout.startswith("auricle 0.")


def test_an_unknown_command_is_refused(tmp_path: Path) -> None:
    done = auricle("runn", home=tmp_path, expect=2)
    assert "runn" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_score_of_something_that_is_no_run_is_refused(tmp_path: Path) -> None:
    done = auricle("score", tmp_path, home=tmp_path, expect=2)
    assert "no run folder" in done.stderr
