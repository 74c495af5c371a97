"""Law 2: any worker count, restart point and machine see the same training data in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auricle.catalog.load import get_task
from auricle.data.mixture import Crop, Mixture, MixturePart
from auricle.data.tables import open_tables
from auricle.progress import SilentProgress
from commands import predictions


def test_any_draw_is_computed_without_the_draws_before_it(shared_home: Path) -> None:
    task = get_task("synth-keyword")
    tables = open_tables([task], "train", home=shared_home, workers=1, progress=SilentProgress())
    part = MixturePart(task, tables[task.name], 1.0)

    def mixture() -> Mixture:
        return Mixture([part], crop=Crop(30.0, 5.0), seed=3)

    everything = mixture().draws(0, 700)
    assert len({draw.window for draw in everything}) > 300
    for first, stop in ((699, 700), (128, 256), (500, 700), (0, 1)):
        assert mixture().draws(first, stop) == everything[first:stop]
    backwards = mixture()
    assert [backwards.draws(i, i + 1)[0] for i in (600, 5, 317)] == [
        everything[i] for i in (600, 5, 317)
    ]


@pytest.mark.slow
def test_worker_counts_and_disk_budgets_change_nothing(
    run_json: Callable[..., dict[str, Any]], shared_home: Path, tmp_path: Path
) -> None:
    one_window_a_batch = ("--encode-budget", "0.1")  # so that a block of draws needs few bytes
    results = {}
    for name, more in {
        "one": ("--workers", "1"),
        "none": ("--workers", "0"),
        "four": ("--workers", "4"),
        "spans": ("--disk-budget", "9MB"),
    }.items():
        result = run_json("logmel", *one_window_a_batch, *more, "--out", tmp_path / name)
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
