"""The official tasks and suites against a copy of the published tables, cell by cell."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from auricle.catalog.load import get_recipe, get_suite, get_task, list_tasks
from auricle.catalog.spec import Task

TEXT = (Path(__file__).parent.parent / "data" / "protocol_tables.md").read_text(encoding="utf-8")
REPOSITORIES = dict(re.findall(r"`?(R\d) = ([\w/-]+)`", TEXT))


def table() -> dict[str, list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|\n ").split("|")]
        for line in TEXT.splitlines()
        if line.startswith("|")
    ]
    assert rows[0][0] == "task"
    return {row[0].split(" ")[0]: row for row in rows[2:]}


ROWS = table()


def shell(patterns: list[str]) -> list[str]:
    """Expanded by bash itself."""
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {' '.join(patterns)}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [f"{line}.tar.gz" for line in done.stdout.split()]


def cell_patterns(row: list[str], side: str) -> list[str]:
    cell = row[1] if side == "train" else row[2]
    if cell.startswith("the same with"):
        cell = row[1].replace("/train_", "/test_")
    return cell.split(", ")


def listed(start: str, stop: str) -> str:
    found = re.search(re.escape(start) + r"(.*?)" + re.escape(stop), TEXT, flags=re.DOTALL)
    assert found
    return found[1].replace("\n", " ")


def weights(name: str) -> dict[str, float]:
    text = listed(f"**{name}**:", ".\n" if name == "track-a" else ". **")
    groups = [group.split() for group in text.rstrip(". ").split("·")]
    return {task: float(group[0]) for group in groups for task in group[1:]}


def test_the_catalog_has_exactly_the_published_tasks() -> None:
    official = {name for name in list_tasks() if get_task(name).synthetic is None}
    assert official == set(ROWS)
    assert len(ROWS) == 20


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_task_says_what_its_row_says(name: str) -> None:
    task, row = get_task(name), ROWS[name]
    repository = re.search(r"\((R\d)\)", row[0])
    assert task.repository == REPOSITORIES[repository[1] if repository else "R1"]
    assert task.revision == "main"
    assert list(task.expanded_train_shards) == shell(cell_patterns(row, "train"))
    assert list(task.expanded_test_shards) == shell(cell_patterns(row, "test"))
    fields = row[3].split(" / ")
    assert (task.train_field, task.test_field) == (fields[0], fields[-1])
    assert task.prompt == row[4]
    metric, _, classes = row[5].partition(", ")
    assert task.metric == metric
    if classes:
        assert classes == f"{task.num_classes} classes"


def test_shard_counts_are_the_published_ones() -> None:
    assert len(get_task("nsynth").expanded_train_shards) == 372
    assert len(get_task("mecat").expanded_train_shards) == 10
    assert sum(len(get_task(name).expanded_train_shards) for name in ROWS) == 1087


def test_tracks_follow_from_the_suites() -> None:
    for track in ("a", "b"):
        members = set(get_suite(f"track-{track}").shares)
        assert members == {name for name in ROWS if get_task(name).track == track}


def test_domains_are_the_published_ones() -> None:
    text = listed("Domains:", ". Classes")
    for group in text.split(";"):
        domain, names = group.split(" = ")
        for name in names.split(","):
            assert get_task(name.strip()).domain == domain.strip()


def test_class_counts_are_the_challenges() -> None:
    text = listed("states\nthem:", ". Test sizes")
    pairs = [pair.split() for pair in text.split(",")]
    assert {n: int(c) for n, c in pairs} == {
        name: get_task(name).num_classes for name in ROWS if get_task(name).track == "a"
    }
    assert len(pairs) == 15


def test_test_sizes_are_the_published_ones() -> None:
    pairs = [pair.split() for pair in listed("published scores:", ".\n").split(",")]
    known = {name: get_task(name).test_clips for name in ROWS if get_task(name).test_clips}
    assert known == {name: int(count) for name, count in pairs}


def test_steps_of_single_tasks_are_the_published_ones() -> None:
    text = listed("Single-task runs, steps:", " the others")
    groups = [group.split() for group in text.split("·")]
    steps = {name: int(group[0]) for group in groups for name in group[1:]}
    others = int(groups[-1][0])
    for name in ROWS:
        assert get_suite(name).steps == steps.get(name, others), name


@pytest.mark.parametrize("name", ["track-a", "track-b"])
def test_track_weights_are_the_published_ones(name: str) -> None:
    assert get_suite(name).tasks == weights(name)
    assert sum(get_suite(name).shares.values()) == pytest.approx(1, abs=1e-12)


def test_all_weighs_by_shards_where_no_weight_is_published() -> None:
    suite = get_suite("all")
    fixed = {"speechcommandsv1": 0.05, "aishell-1": 0.05, "librispeech": 0.05, "nsynth": 0.03}
    fixed |= {"clotho": 0.02, "voxlingua33": 0.2, "mecat": 0.2}
    assert set(suite.tasks) == set(ROWS)
    for name, weight in suite.tasks.items():
        shards = len(shell(cell_patterns(ROWS[name], "train")))
        assert weight == pytest.approx(fixed.get(name, shards / 1087), abs=1e-15), name
    assert sum(float(w) for w in suite.tasks.values()) == pytest.approx(0.8125, abs=5e-5)
    assert suite.shares["mecat"] == pytest.approx(0.246, abs=5e-4)


def test_tracks_and_all_run_the_official_recipe_for_100000_steps() -> None:
    for name in ("track-a", "track-b", "all"):
        suite = get_suite(name)
        assert suite.official
        assert suite.steps is None
        assert get_recipe(suite.recipe).train.steps == 100_000


def test_the_official_recipe_has_the_published_constants() -> None:
    recipe = get_recipe("official")
    assert recipe.decoder == "HuggingFaceTB/SmolLM2-135M"
    assert recipe.lora is not None
    assert (recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout) == (8, 32, 0.1)
    train = recipe.train
    assert (train.lr, train.warmup, train.weight_decay, train.max_grad_norm) == (1e-4, 200, 0.01, 1)
    assert (train.batch_size, train.train_decoder) == (4, False)
    assert (recipe.answer.max_new_tokens, recipe.answer.repetition_penalty) == (150, 1.05)
    assert (recipe.crop.length_s, recipe.crop.grid_s) == (30, 5)
    assert (recipe.features.dtype, recipe.features.concat) == (None, 1)
    assert recipe.precision == "float32"


def test_official_tasks_name_where_they_come_from() -> None:
    for name in ROWS:
        task: Task = get_task(name)
        assert task.homepage.startswith(("https://", "http://"))
        assert task.licence


def test_every_official_task_says_what_it_amounts_to() -> None:
    for name in ROWS:
        task = get_task(name)
        assert set(task.size) == {"train", "test"}, name
        if task.test_clips is not None:
            assert task.size["test"].clips == task.test_clips, name


def test_sizes_are_those_of_the_data_sets_papers() -> None:
    """By hand, from the papers: number of clips times their length, or the hours of a table."""
    sizes = {name: get_task(name).size for name in ROWS}
    for name, length_s in (
        *(("esc-50", 5), ("libricount", 5), ("gtzan", 30), ("freemusicarchive", 30)),
        *(("nsynth", 4), ("mecat", 10), ("speechcommandsv1", 1)),
    ):
        for size in sizes[name].values():
            assert size.hours == pytest.approx(size.clips * length_s / 3600, rel=0.01), name
    assert sum(size.clips for size in sizes["esc-50"].values()) == 2_000
    assert sum(size.clips for size in sizes["libricount"].values()) == 5_720
    assert sum(size.clips for size in sizes["urbansound8k"].values()) == 8_732
    assert sum(size.hours for size in sizes["urbansound8k"].values()) == pytest.approx(8.75)
    assert sum(size.hours for size in sizes["fsd50k"].values()) == pytest.approx(108.3)
    assert sizes["librispeech"]["train"].hours == 100.6
    assert sizes["fluentspeechcommands"]["train"].clips == 23_132
