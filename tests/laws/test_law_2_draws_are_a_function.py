"""Law 2: any worker count, restart point and machine see the same training data in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands import predictions


@pytest.mark.slow
def test_worker_counts_and_disk_budgets_change_nothing(
    run_json: Callable[..., dict[str, Any]], shared_home: Path, tmp_path: Path
) -> None:
    results = {}
    for name, more in {
        "two": (),
        "none": ("--workers", "0"),
        "four": ("--workers", "4"),
        "spans": ("--disk-budget", "20MB"),
    }.items():
        result = run_json("logmel", *more, "--out", tmp_path / name)
        results[name] = predictions(Path(result["run"]))
        assert results[name]
    assert len({str(r) for r in results.values()}) == 1


@pytest.mark.slow
def test_another_seed_gives_other_predictions(
    run_json: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    one = run_json("logmel", "--seed", "1")
    two = run_json("logmel", "--seed", "2")
    assert one["run"] != two["run"]
    assert predictions(Path(one["run"])) != predictions(Path(two["run"]))
