"""Suites from files: own tasks, XARES-LLM's YAML, and what a file may not claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from auricle.catalog.files import load_suite_file, open_suite
from auricle.catalog.join import join_suites
from auricle.catalog.load import get_recipe, get_suite, get_task
from auricle.catalog.recipe import is_official, mode_of
from auricle.errors import CatalogError, OutputError, UnknownNameError, UserError

OWN = """
name: birds
description: Birds beside ESC-50
recipe: mini
steps: 300
training: apart
tasks:
  esc-50: 0.5
  my-birds:
    weight: 2
    prompt: [Which bird sings?, Name the bird.]
    metric: accuracy
    num_classes: 12
    train_field: species
    test_field: species
    train_shards: ["shards/train_{0..3}.tar"]
    test_shards: [shards/test_*.tar.gz, "https://example.org/birds/test_{8..9}.tar"]
"""

TRAIN = """
max_steps: 5000
seed: 7
learning_rate: 1e-4
warmup_steps: 50
per_device_train_batch_size: 8
decoder_model_name: some/decoder
crop_audio_length: 20
weight_decay: 0.1
max_grad_norm: 2
num_training_workers: 3
optimizer: adamw_torch
sort_by_length: 256
torch_num_threads: 1
save_steps: 1000
save_total_limit: 4
logging_dir: log
logging_steps: 100
output_dir: experiments/
train_data:
  ESC-50:
    prompt: Classify the environmental sound.
    data:
      - ESC-50/train/esc50_fold_{1..4}_0000000.tar.gz
    key: label;labels
    repo_id: mispeech/xares_llm_data
    prob: 2
  My sounds:
    prompt: ["What is it?", "Which sound?"]
    data: local/train_{0..2}.tar
  gtzan:
    prompt: ""
    data: ["https://example.org/{a,b}.tar"]
    key: genre
  never:
    data: x.tar
    prob: 0
"""

EVAL = """
eval_fsd50k:
  data:
    data:
    - FSD50k/test/eval_with_text_0000{00..31}.tar.gz
    key: label;labels
    prompt: Multi-label classification for FSD50k
    repo_id: mispeech/xares_llm_data
  batch_size: 4
  num_workers: 2
  metric: mAP
  metric_args:
    num_classes: 200
    separator: ","
eval_clotho:
  data: {data: "clotho/test.tar", key: caption;captions, prompt: Describe it.}
  metric: FENSE
  weight: 3
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_an_own_suite_mixes_the_catalogs_tasks_with_its_own(tmp_path: Path) -> None:
    loaded = load_suite_file(write(tmp_path / "any.yaml", OWN))
    assert loaded.suite.name == "birds"
    assert loaded.suite.shares == {"esc-50": 0.2, "my-birds": 0.8}
    assert loaded.suite.training == "apart"
    assert [task.name for task in loaded.tasks] == ["esc-50", "my-birds"]
    assert loaded.tasks[0] == get_task("esc-50")
    birds = loaded.tasks[1]
    assert (birds.track, birds.domain, birds.repository) == ("a", "general", None)
    assert birds.folder == str(tmp_path)
    assert birds.expanded_train_shards[3] == "shards/train_3.tar"
    assert birds.expanded_test_shards[1:] == (
        "https://example.org/birds/test_8.tar",
        "https://example.org/birds/test_9.tar",
    )
    assert loaded.recipe == loaded.base
    assert (loaded.base.name, loaded.base.train.steps) == ("mini", 300)
    assert not is_official(loaded.suite, mode_of(loaded.recipe, loaded.base))


def test_a_task_file_is_a_suite_of_its_own(tmp_path: Path) -> None:
    text = "prompt: Say it.\nmetric: iWER\nsteps: 70\ntest_shards: [t.tar]\ntrain_shards: [u.tar]\n"
    loaded = load_suite_file(write(tmp_path / "my words.yaml", text))
    assert loaded.suite.shares == {"my-words": 1}
    assert (loaded.tasks[0].track, loaded.recipe.train.steps) == ("b", 70)


def test_a_repository_of_the_hub_needs_no_folder(tmp_path: Path) -> None:
    text = "prompt: x\nmetric: iWER\ntest_shards: [t.tar]\nrepository: me/data\nrevision: v2\n"
    (task,) = load_suite_file(write(tmp_path / "t.yaml", text)).tasks
    assert (task.repository, task.revision, task.folder) == ("me/data", "v2", "")


def test_a_name_a_path_and_a_task_are_all_opened(tmp_path: Path) -> None:
    assert open_suite("track-a").suite == get_suite("track-a")
    assert open_suite("cremad").recipe.train.steps == 1000
    assert open_suite(str(write(tmp_path / "any.yaml", OWN))).suite.name == "birds"
    with pytest.raises(
        UnknownNameError, match=r"no suite or task named 'trak-a'. Nearest: .*track"
    ):
        open_suite("trak-a")
    with pytest.raises(UnknownNameError, match=r"named 'nosuch'. List them"):
        open_suite("nosuch")
    with pytest.raises(CatalogError, match=r"nowhere.yaml cannot be read: No such file"):
        open_suite("nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n", "is no suite: it has a. Expected 'tasks:' or 'include:'"),
        ("tasks: [esc-50]\n", "'tasks' is a list; expected 'name: weight'"),
        (
            "tasks: {esc-50: 0}\n",
            r"yaml: 'tasks.esc-50' is 0: expected a number above 0, or 'shards'.$",
        ),
        ("tasks: {esc-50: .inf}\n", r"'tasks.esc-50' is inf: expected a number above 0"),
        ("tasks: {esc-50: shard}\n", r"'tasks.esc-50' is 'shard': expected a number above 0"),
        ("tasks: {esc-50: !x 1}\n", r"the tag '!x'. Tags are not read here: remove it, or put"),
        ("tasks: {smoke: {prompt: x}}\n", "the name 'smoke' belongs to the catalog"),
        ("tasks: {esc-50: 1}\nofficial: true\n", "says 'official', which only the catalog can"),
        ("tasks: {esc-50: 1}\nname: track-a\n", "the name 'track-a' belongs to the catalog"),
        ("tasks: {esc-50: {prompt: x}}\n", "the name 'esc-50' belongs to the catalog"),
        ("tasks: {mine: {metric: iWER}}\n", "task mine: the field 'prompt' is missing"),
        ("tasks: {mine: {prompt: x, folder: /}}\n", "'folder' cannot be set in a file"),
        ("tasks: {mine: {prompt: x, shards: []}}\n", "there is no field 'shards'"),
        ("tasks: {esc-50: 1}\nrecipes: x\n", r"no field 'recipes' \(did you mean 'recipe'"),
        ("tasks: {}\n", "has no tasks"),
    ],
)
def test_a_mistake_in_a_suite_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        load_suite_file(write(tmp_path / "s.yaml", text))


def test_unknown_names_in_a_suite_file_get_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no task named 'esc50'. Nearest: esc-50"):
        load_suite_file(write(tmp_path / "s.yaml", "tasks: {esc50: 1}\n"))
    with pytest.raises(UnknownNameError, match=r"no recipe named 'minni'. Nearest: mini"):
        load_suite_file(write(tmp_path / "s.yaml", "tasks: {esc-50: 1}\nrecipe: minni\n"))


def test_a_train_file_of_xares_llm_keeps_its_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load_suite_file(write(tmp_path / "train.yaml", TRAIN))
    assert [task.name for task in loaded.tasks] == ["ESC-50", "My-sounds", "gtzan-custom"]
    esc, mine, gtzan = loaded.tasks
    official = get_task("esc-50")
    assert esc.expanded_train_shards == official.expanded_train_shards
    assert (esc.repository, esc.prompt) == (official.repository, official.prompt)
    assert esc.label_fields("train") == official.label_fields("train")
    assert (mine.prompt, mine.folder) == (["What is it?", "Which sound?"], str(tmp_path))
    assert (gtzan.prompt, gtzan.prompt_field) == ("", "")  # asked nothing
    # 4 + 3 + 2 shards; where prob is missing, the weight is the share of shards
    assert loaded.suite.tasks == {"ESC-50": 2, "My-sounds": 3 / 9, "gtzan-custom": 2 / 9}
    recipe = loaded.recipe
    assert (recipe.train.steps, recipe.train.lr, recipe.train.warmup) == (5000, 1e-4, 50)
    assert (recipe.train.batch_size, recipe.train.weight_decay) == (8, 0.1)
    assert (recipe.train.max_grad_norm, recipe.crop.length_s) == (2, 20)
    assert recipe.decoder == "some/decoder"
    assert recipe.lora == get_recipe("official").lora
    assert (loaded.seed, loaded.workers) == (7, 3)
    assert mode_of(loaded.recipe, loaded.base) == "custom"
    assert {line.split(":")[0] for line in loaded.ignored} == {
        *("torch_num_threads", "save_steps", "save_total_limit", "logging_dir", "logging_steps"),
        *("output_dir", "sort_by_length 256", "train_data.never"),
    }


def test_a_train_file_with_the_references_own_values_changes_nothing(tmp_path: Path) -> None:
    text = (
        "max_steps: 100000\nlearning_rate: 1e-4\nwarmup_steps: 200\nsort_by_length: 128\n"
        "decoder_model_name: HuggingFaceTB/SmolLM2-135M\nper_device_train_batch_size: 4\n"
        "crop_audio_length: 30\ntrain_data: {x: {data: a.tar, prompt: p, repo_id: o/r}}\n"
    )
    loaded = load_suite_file(write(tmp_path / "train.yaml", text))
    assert loaded.recipe == get_recipe("official")
    assert mode_of(loaded.recipe, loaded.base) == "reference"
    assert not is_official(loaded.suite, "reference")
    assert loaded.ignored == ()


def test_an_evaluation_file_of_xares_llm_is_answered_by_the_run(tmp_path: Path) -> None:
    loaded = load_suite_file(write(tmp_path / "eval.yaml", EVAL))
    fsd, clotho = loaded.tasks
    assert (fsd.metric, fsd.num_classes, fsd.separator) == ("mAP", 200, ",")
    assert fsd.expanded_test_shards == get_task("fsd50k").expanded_test_shards
    assert fsd.train_shards == []
    assert (clotho.metric, clotho.track, clotho.test_field) == ("FENSE", "b", "caption;captions")
    assert loaded.suite.training == "reuse"
    assert {line.split(":")[0] for line in loaded.ignored} == {
        *("batch_size", "num_workers", "weight")
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_data: []\n", "train_data holds a list; expected 'name: value' lines"),
        ("train_data:\n", "train_data holds nothing; expected 'name: value' lines"),
        ("train_data: {1: {data: a}}\n", r"holds keys that are no text.* Put the name 1 in quotes"),
        ("train_data: {x: {data: a, prob: 0}}\n", "every prob is 0, so nothing would be drawn"),
        (
            "train_data: {x: {data: a}}\nseed: -3\n",
            "seed is -3; expected a whole number, 0 or more",
        ),
        ("train_data: {}\nmax_step: 3\n", r"no field 'max_step' \(did you mean 'max_steps'"),
        ("train_data: {x: {keys: a}}\n", r"train_data.x: XARES-LLM has no field 'keys'"),
        ("train_data: {x: {prompt: a}}\n", "train_data.x.data is None; expected shard patterns"),
        ("train_data: {x: {data: a, prob: -1}}\n", "x.prob is -1; expected a number above 0"),
        ("train_data: {x: {data: a, prompt: [{a: b}]}}\n", "expected a text or a list of texts"),
        ("train_data: {x: {data: a}}\nmax_steps: many\n", "max_steps is 'many'; expected a whole"),
        ("e: {data: {data: a}, batch: 3}\n", "e: XARES-LLM has no field 'batch'"),
        ("e: {data: {data: a}}\n", "e: the field 'metric' is missing; accuracy, mAP"),
        ("e: {data: {data: a}, metric: BLEU}\n", "'metric' is 'BLEU': expected 'accuracy'"),
        ("e: {data: {data: a}, metric: mAP}\n", "the metric mAP needs num_classes"),
    ],
)
def test_a_mistake_in_a_file_of_xares_llm_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        load_suite_file(write(tmp_path / "x.yaml", text))


def test_yamls_own_readings_of_numbers_are_understood(tmp_path: Path) -> None:
    both = "train_data: {x: {data: a.tar, prob: 1e-3}, y: {data: a.tar, prob: 3e-3}}\n"
    loaded = load_suite_file(write(tmp_path / "x.yaml", f"{both}learning_rate: null\n"))
    assert loaded.suite.shares == pytest.approx({"x": 0.25, "y": 0.75})
    assert loaded.recipe == loaded.base


def test_an_impossible_recipe_in_a_file_names_the_file(tmp_path: Path) -> None:
    text = "per_device_train_batch_size: 6\ntrain_data: {x: {data: a.tar}}\n"
    with pytest.raises(UserError, match=r"x.yaml: train.batch_size is '6': expected a divisor"):
        load_suite_file(write(tmp_path / "x.yaml", text))


def test_globs_count_as_the_shards_that_they_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for j in range(3):
        (tmp_path / f"a_{j}.tar").touch()
    text = "train_data: {x: {data: 'a_*.tar'}, y: {data: 'b.tar'}}\n"
    loaded = load_suite_file(write(tmp_path / "x.yaml", text))
    assert loaded.suite.shares == {"x": 0.75, "y": 0.25}


@pytest.mark.parametrize("prompt", ["", "prompt: ''", "prompt:", "prompt: ['']"])
def test_a_file_of_xares_without_a_prompt_asks_nothing(tmp_path: Path, prompt: str) -> None:
    train = write(tmp_path / "train.yaml", f"train_data:\n  x:\n    data: a.tar\n    {prompt}\n")
    test = write(
        tmp_path / "eval.yaml",
        f"x:\n  metric: accuracy\n  data:\n    data: a.tar\n    {prompt}\n",
    )
    for path in (train, test):
        (task,) = load_suite_file(path).tasks
        assert (task.prompt, task.prompt_field) == ("", "")


def write_own(folder: Path, name: str, **more: Any) -> Path:
    """A task's file as 'auricle data import' writes it, in a folder of its own."""
    (folder / name).mkdir(parents=True)
    facts = {"name": name, "prompt": f"Which {name}?", "metric": "accuracy", **more}
    facts |= {"train_shards": ["train_0000.tar.gz"], "test_shards": ["test_0000.tar.gz"]}
    return write(folder / name / f"{name}.yaml", yaml.safe_dump(facts))


@pytest.mark.parametrize(
    "text",
    [
        "prompt: x\nmetric: iWER\ntrain_shards: [u.tar]\n",
        "tasks: {esc-50: 1}\n",
        "include: [smoke]\n",
        "train_data: {x: {data: a.tar, prompt: p}}\n",
        "x: {metric: accuracy, data: {data: a.tar, prompt: p}}\n",
    ],
)
def test_every_form_of_file_may_name_its_recipe(tmp_path: Path, text: str) -> None:
    for recipe in ("mini", "official"):
        loaded = load_suite_file(write(tmp_path / "any.yaml", f"{text}recipe: {recipe}\n"))
        assert (loaded.recipe.name, loaded.base.name) == (recipe, recipe)
    with pytest.raises(UnknownNameError, match=r"no recipe named 'minni'.*mini"):
        load_suite_file(write(tmp_path / "any.yaml", f"{text}recipe: minni\n"))
    with pytest.raises(CatalogError, match="recipe"):
        load_suite_file(write(tmp_path / "any.yaml", f"{text}recipe: [mini]\n"))


def test_the_command_line_replaces_the_recipe_and_the_run_is_custom(tmp_path: Path) -> None:
    loaded = open_suite(str(write_own(tmp_path, "birds", steps=70)), recipe="mini")
    assert loaded.recipe.name == "mini"
    assert loaded.recipe.train.steps == 70
    assert mode_of(loaded.recipe, loaded.base) == "custom"
    same = open_suite("smoke", recipe="mini")
    assert mode_of(same.recipe, same.base) == "reference"
    train = write(tmp_path / "train.yaml", TRAIN)
    loaded = open_suite(str(train), recipe="mini")
    assert loaded.recipe.decoder == "mini"
    assert "decoder_model_name: --recipe chooses the decoder" in loaded.ignored
    with pytest.raises(UnknownNameError, match="no recipe named 'big'"):
        open_suite("smoke", recipe="big")


def test_files_are_included_by_their_paths(tmp_path: Path) -> None:
    write_own(tmp_path, "birds", recipe="mini")
    write_own(tmp_path, "frogs")
    write(tmp_path / "inner.yaml", "include: [frogs/frogs.yaml]\ntasks: {frogs: 3}\nsteps: 9\n")
    text = "include: [birds/birds.yaml, inner.yaml, cremad]\ntasks: {birds: 2}\nrecipe: mini\n"
    loaded = load_suite_file(write(tmp_path / "all of it.yaml", text))
    assert loaded.suite.tasks == {"birds": 2, "frogs": 3, "cremad": 1}
    birds, frogs, cremad = loaded.tasks
    assert (birds.prompt, birds.folder) == ("Which birds?", str(tmp_path / "birds"))
    assert (frogs.prompt, frogs.folder) == ("Which frogs?", str(tmp_path / "frogs"))
    assert cremad == get_task("cremad")
    assert loaded.ignored == (
        "include birds/birds.yaml: its recipe; this file's own count",
        "include inner.yaml: its steps; this file's own count",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("include: [a.yaml]\n", r"a.yaml includes a.yaml, which includes it in turn"),
        ("include: [b.yaml]\n", r"b.yaml includes a.yaml, which includes it in turn"),
        ("include: [nowhere.yaml]\n", r"nowhere.yaml"),
        ("include: [birds]\n", "no suite or task named 'birds'"),
        (
            "include: [birds/birds.yaml, other/birds.yaml]\n",
            "the task 'birds' is defined twice, the second time by other/birds.yaml",
        ),
        (
            "include: [birds/birds.yaml]\ntasks: {birds: {prompt: x, train_shards: [a.tar]}}\n",
            r"the task 'birds' is defined twice, the second time by .*a.yaml",
        ),
        ("include: birds/birds.yaml\n", "'include' is 'birds/birds.yaml'"),
    ],
)
def test_an_include_that_cannot_be_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    birds = write_own(tmp_path, "birds")
    (tmp_path / "other").mkdir()
    write(tmp_path / "other" / "birds.yaml", birds.read_text())
    write(tmp_path / "b.yaml", "include: [a.yaml]\n")
    with pytest.raises((CatalogError, UnknownNameError), match=message):
        load_suite_file(write(tmp_path / "a.yaml", text))


def test_files_are_joined_into_a_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_own(tmp_path / "data", "birds")
    write_own(tmp_path / "data", "frogs")
    monkeypatch.chdir(tmp_path / "data")
    (tmp_path / "suites").mkdir()
    out = tmp_path / "suites" / "both.yaml"
    made = join_suites(["birds/birds.yaml", "frogs/frogs.yaml", "smoke"], out=out, recipe="mini")
    monkeypatch.chdir(tmp_path)
    loaded = load_suite_file(out)
    assert made == {"file": str(out), "tasks": [task.name for task in loaded.tasks]}
    assert [task.name for task in loaded.tasks[:2]] == ["birds", "frogs"]
    assert len(loaded.tasks) == 2 + len(get_suite("smoke").tasks)
    assert loaded.recipe.name == "mini"
    with pytest.raises(OutputError, match="is there already"):
        join_suites(["smoke"], out=out)
    with pytest.raises(CatalogError, match=r"different recipes \(smoke mini, cremad official\)"):
        join_suites(["smoke", "cremad"], out=tmp_path / "new.yaml")
    with pytest.raises(CatalogError, match="expected the name of a YAML file"):
        join_suites(["smoke"], out=tmp_path / "new")
    assert not (tmp_path / "new.yaml").exists()
