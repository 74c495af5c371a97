"""Plans of small suites: what they say, what they leave alone, and what a run takes of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from auricle import RunOptions, run
from auricle.catalog.files import open_suite
from auricle.catalog.load import get_task
from auricle.cli.app import execute
from auricle.errors import ScoringError
from auricle.job import resolve
from auricle.plan.make import WORTH_STEPS
from auricle.plan.make import make_plan as plan_of
from auricle.plan.speed import first_look
from auricle.plan.tasks import audio_at_least_s, describe_tasks
from auricle.progress import SilentProgress
from auricle.runs.folder import RunFolder
from commands import auricle
from local_hub import LocalHub
from making import audio_bytes, pitch_suite, tone, write_tar


def make_plan(*arguments: Any, **options: Any) -> dict[str, Any]:
    """A plan as it is stored."""
    return plan_of(*arguments, **options).to_json()


DECODER = (
    "{hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 1, "
    "intermediate_size: 64, max_position_embeddings: 512, vocab_size: 280}"
)
SMALL = (
    *("decoder=mini", f"decoder_config={DECODER}", "train.steps=40", "train.batch_size=8"),
    "answer.max_new_tokens=4",
)
TINY = (
    *("train.batch_size=8", "train.warmup=2", "answer.max_new_tokens=4"),
    *("decoder_config.hidden_size=32", "decoder_config.intermediate_size=64"),
    "decoder_config.vocab_size=280",
)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """24 training clips of 0.5 s and 10 test clips of 0.9 s."""
    return pitch_suite(
        tmp_path,
        **{
            side: [
                (f"k{j:02d}", audio_bytes(tone(300 + 10 * j, seconds)), "low" if j % 2 else "high")
                for j in range(count)
            ]
            for side, count, seconds in (("train", 24, 0.5), ("test", 10, 0.9))
        },
    )


def options(suite: Path, steps: int, **more: Any) -> RunOptions:
    settings = (f"train.steps={steps}", *TINY)
    return RunOptions(out=suite.parent / "runs", settings=settings, **more)


def test_a_plan_counts_what_the_run_will_do_and_starts_nothing(suite: Path, home: Path) -> None:
    plan = make_plan("logmel", str(suite), options=options(suite, 60))
    rows = {record["side"]: record for record in plan["tasks"]}
    assert [(rows[s]["clips"], rows[s]["clips_from"]) for s in rows] == [(24, "data"), (10, "data")]
    assert rows["train"]["hours"] == pytest.approx(24 * 0.5 / 3600)
    assert rows["test"]["hours"] == pytest.approx(10 * 0.9 / 3600)
    assert (plan["draws"], plan["train_windows"], plan["test_windows"]) == (480, 24, 10)
    assert plan["encode_hours"] == pytest.approx((24 * 0.5 + 10 * 0.9) / 3600)
    assert (plan["spans"], plan["download_bytes"], plan["memory"]["fits"]) == (1, 0, None)
    for name in ("encode", "train", "answer"):
        assert plan["stages_s"][name] > 0
        assert plan["stages_cpu_s"][name] > 0
    assert not (suite.parent / "runs").exists()
    assert not list(home.glob("features/**/*.bin"))


def test_a_run_takes_the_plan_that_was_made_of_it(suite: Path, home: Path) -> None:
    plan = make_plan("logmel", str(suite), options=options(suite, 6))
    folder = run("logmel", str(suite), options=options(suite, 6)).folder
    assert json.loads(folder.plan.read_text()) == plan
    (checkpoint,) = folder.checkpoints.iterdir()
    assert plan["checkpoints_bytes"] == pytest.approx(checkpoint.stat().st_size, rel=0.05)
    again = make_plan("logmel", str(suite), options=options(suite, 6))
    assert (again["encode_hours"], again["stages_cpu_s"]["encode"]) == (0, 0)
    assert again["stored_hours"] == pytest.approx((24 * 0.5 + 10 * 0.9) / 3600)


def test_a_long_run_that_was_not_planned_measures_a_little_of_itself(
    suite: Path, home: Path
) -> None:
    settings = [x for setting in options(suite, WORTH_STEPS).settings for x in ("--set", setting)]
    arguments = ("run", "logmel", "--suite", suite, "--out", suite.parent / "runs", "--json")
    done = auricle(*arguments, *settings, home=home)
    folder = RunFolder.open(json.loads(done.stdout)["run"])
    plan = json.loads(folder.plan.read_text())
    assert plan["calibration"]["measured"]["train"] == [WORTH_STEPS // 50, WORTH_STEPS]
    assert plan["stages_cpu_s"]["train"] > 0
    taken = folder.read_manifest().stages_cpu_s
    assert all(taken[name] > 0 for name in ("encode", "train", "answer"))


def test_a_short_run_that_was_not_planned_only_counts(suite: Path, home: Path) -> None:
    folder: RunFolder = run("logmel", str(suite), options=options(suite, 6)).folder
    plan = json.loads(folder.plan.read_text())
    assert (plan["train_windows"], plan["stages_s"]["train"]) == (20, None)


def test_a_disk_budget_makes_spans_and_bounds_the_features(suite: Path, home: Path) -> None:
    whole = make_plan("logmel", str(suite), options=options(suite, 60, encode_budget_s=2.0))
    budget = 0.7 * whole["features_bytes"]
    chosen = options(suite, 60, encode_budget_s=2.0, disk_budget=budget)
    plan = make_plan("logmel", str(suite), options=chosen)
    assert plan["features_bytes"] <= budget < whole["features_bytes"]


def test_further_evaluations_are_planned_as_they_will_be_done(suite: Path, home: Path) -> None:
    task = {**yaml.safe_load(suite.read_text())["tasks"]["pitch"], "test_shards": ["secret.tar"]}
    clips = [(f"s{number}", audio_bytes(tone(500 + number, 0.7))) for number in range(5)]
    members = [(f"{key}.flac", audio) for key, audio in clips]
    members += [(f"{key}.json", b'{"label": "low"}') for key, _ in clips]
    write_tar(suite.parent / "secret.tar", sorted(members))
    files = []
    for name, training in (("hidden-b", "reuse"), ("hidden-a", "apart")):
        tasks = {"name": name, "recipe": "mini", "training": training, "tasks": {f"x-{name}": task}}
        files.append(suite.parent / f"{name}.yaml")
        files[-1].write_text(yaml.safe_dump(tasks))
    chosen = options(suite, 6, evaluations=tuple(map(str, files)))
    plan = make_plan("logmel", str(suite), options=chosen, calibration_s=0.0)
    reused, apart = plan["further"]
    assert [(one["evaluation"], one["training"]) for one in (reused, apart)] == [
        ("hidden-b", "reuse"),
        ("hidden-a", "apart"),
    ]
    assert [record["clips"] for one in (reused, apart) for record in one["tasks"]] == [5, 24, 5]
    assert [(one["steps"], one["test_windows"]) for one in (reused, apart)] == [(0, 5), (6, 5)]
    assert (reused["stages_s"]["train"], reused["train_windows"]) == (None, 0)
    assert reused["stages_s"]["answer"] > 0
    assert apart["stages_s"]["train"] > 0
    # What the run has encoded before is there: the training clips, and then the secret ones too.
    assert reused["encode_hours"] == pytest.approx(5 * 0.7 / 3600)
    assert (apart["encode_hours"], apart["stages_s"]["encode"]) == (0, 0)

    result = run("logmel", str(suite), options=chosen)
    batches = sum(one["calibration"]["measured"]["encode"][1] for one in (plan, reused, apart))
    assert len(list(home.glob("features/**/*.bin"))) == batches
    (own,) = (suite.parent / "runs" / "x-hidden-a").iterdir()
    for folder, expected in (
        (result.folder, plan),
        (result.folder.further("hidden-b"), reused),
        (RunFolder(own), apart),
    ):
        assert json.loads(folder.plan.read_text()) == expected


def test_without_the_data_a_plan_goes_the_same_walk_over_stand_ins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = [word for setting in SMALL for word in ("--set", setting)]
    chosen = ("plan", "logmel", "--suite", "esc-50", "--device", "cpu", *words)
    plan = json.loads(auricle(*chosen, "--time-limit", 0, "--json", home=home).stdout)
    rows = {record["side"]: record for record in plan["tasks"]}
    # ESC-50 has 2,000 clips of 5 s in five folds, of which the fifth is asked.
    assert [(rows[s]["clips"], rows[s]["clips_from"]) for s in rows] == [
        (1600, "catalog"),
        (400, "catalog"),
    ]
    assert rows["train"]["hours"] + rows["test"]["hours"] == pytest.approx(
        2000 * 5 / 3600, rel=0.01
    )
    assert (plan["missing_shards"], plan["download_from"]) == (5, "catalog")
    sizes = get_task("esc-50").size
    assert plan["download_bytes"] == sizes["train"].bytes + sizes["test"].bytes
    # 320 draws of 1,600 clips are 1600 * (1 - (1 - 1 / 1600) ** 320) = 290 clips on average.
    assert plan["train_windows"] == pytest.approx(290, abs=15)
    assert plan["test_windows"] == 400
    hours = (plan["train_windows"] + 400) * 5 / 3600
    assert plan["encode_hours"] == pytest.approx(hours, rel=0.01)
    for name in ("encode", "train", "answer"):
        assert plan["stages_s"][name] > 0
    assert 0 < plan["at_least_s"]["encode"] <= plan["stages_s"]["encode"]
    assert (plan["on_gpu"], plan["interrupted"]) == (False, False)
    assert not home.exists()


def test_a_plan_names_the_fields_that_have_no_effect(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = "x: {data: a.tar, prompt: p, repo_id: o/r}"
    (tmp_path / "train.yaml").write_text(f"save_steps: 7\ntrain_data: {{{data}}}\n")
    assert execute(["plan", "logmel", "--suite", str(tmp_path / "train.yaml"), "--quiet"]) == 0
    assert "save_steps: checkpoints are written by time" in capsys.readouterr().err


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    """A suite of one task, of whose shards nobody knows what they amount to."""
    file = tmp_path / "unknown.yaml"
    task = {"prompt": "?", "metric": "accuracy", "repository": "nobody/nothing"}
    task |= {"train_shards": ["train.tar"], "test_shards": ["test.tar"]}  # type: ignore[dict-item]
    file.write_text(yaml.safe_dump({"name": "unknown", "recipe": "mini", "tasks": {"x": task}}))
    return file


def test_what_nobody_knows_is_called_unknown(
    unknown: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    plan = make_plan("logmel", str(unknown))
    assert [record["clips"] for record in plan["tasks"]] == [None, None]
    assert (plan["missing_shards"], plan["download_bytes"], plan["download_from"]) == (
        2,
        None,
        None,
    )
    assert plan["stages_s"] == {"fetch": None, "encode": None, "train": None, "answer": None}
    text = auricle("plan", "logmel", "--suite", unknown, "--device", "cpu", home=home).stdout
    assert "unknown" in text
    assert "2 shards are not on this machine" in text
    assert "GPU" not in text


class _Impatient(SilentProgress):
    """A user who presses Ctrl-C after some units of the calibration."""

    def __init__(self, units: int) -> None:
        self.units = units

    @contextlib.contextmanager
    def stage(self, name: str, total: float, unit: str, *, done: float = 0) -> Iterator[Any]:
        yield self if name == "calibrate" else SimpleNamespace(advance=_nothing, note=_nothing)

    def advance(self, amount: float = 1) -> None:
        self.units -= 1
        if not self.units:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        """Say nothing."""


def _nothing(*_: object) -> None:
    """Say nothing."""


def test_a_plan_that_is_stopped_says_what_is_known_by_then(suite: Path, home: Path) -> None:
    plan = make_plan("logmel", str(suite), options=options(suite, 60), progress=_Impatient(2))
    assert plan["interrupted"]
    assert [plan["stages_s"][name] is None for name in ("encode", "train", "answer")] == [
        False,
        False,
        True,
    ]
    assert plan["train_windows"] == 24
    assert not list(home.glob("plans/*"))  # a run takes no plan that was stopped


def test_a_plan_that_is_stopped_ends_as_other_commands_do(
    suite: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("auricle.plan.make._work_out", stopped)
    assert execute(["plan", "logmel", "--suite", str(suite), "--quiet"]) == 130
    assert "Stopped early: what was not measured yet is unknown." in capsys.readouterr().out


def test_the_dev_suite_is_offered_for_tonight(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("auricle.plan.make._calibrate", lambda *_: None)
    assert execute(["plan", "logmel", "--suite", "cremad", "--quiet"]) == 0
    assert "tonight" not in capsys.readouterr().out
    monkeypatch.setattr("auricle.plan.make.open_with_stand_ins", lambda *_: None)
    assert execute(["plan", "logmel", "--suite", "track-a", "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "For tonight: --suite track-a-dev" in text
    assert "Download: 128.3 GB, an estimate of the catalog." in text


def test_a_first_look_is_the_least_that_a_second_of_audio_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]

    def encode(audio: list[Any], *, labels: list[str]) -> None:
        now[0] += 2.0 + len(audio[0]) / 16_000 * 0.25  # two seconds for any call

    monkeypatch.setattr("auricle.plan.speed.time.monotonic", lambda: now[0])
    process: Any = SimpleNamespace(encode=encode)
    assert first_look(process, [1.0, 10.0]) == pytest.approx(0.25)
    assert first_look(process, [5.0, 5.0]) == pytest.approx(0.25)
    assert first_look(process, [1.0]) == pytest.approx(2.25)  # half a second may be too short
    # On a GPU windows go through together: ten of 10 s in one call here.
    assert first_look(process, [10.0], batch_s=100.0) == pytest.approx((2.0 + 2.5) / 100)


def test_audio_to_be_encoded_is_foreseen_from_the_catalog(home: Path) -> None:
    job = resolve("logmel", "esc-50", RunOptions(settings=("train.steps=40", "train.batch_size=8")))
    # 320 draws of 1,600 clips of 5 s hit 1600 * (1 - (1599 / 1600) ** 320) = 290.0 of them.
    expected_s = (290.0 + 400) * 5
    assert audio_at_least_s(job, describe_tasks(job)) == pytest.approx(expected_s, rel=0.005)


@pytest.mark.parametrize("suite", ["mini", "track-a", "track-b"])
def test_what_check_says_of_a_suite_is_what_a_plan_says(suite: str, home: Path) -> None:
    job = resolve("logmel", suite, RunOptions())
    planned_h = audio_at_least_s(job, describe_tasks(job)) / 3600
    assert open_suite(suite).audio_h == pytest.approx(planned_h)


def test_without_the_decoder_a_plan_says_what_the_data_tell(suite: Path, home: Path) -> None:
    suite.write_text(suite.read_text().replace("recipe: mini", "recipe: official"))
    chosen = ("plan", "logmel", "--suite", suite, "--set", "decoder=/nowhere/decoder")
    plan = json.loads(auricle(*chosen, "--json", home=home).stdout)
    rows = {record["side"]: record for record in plan["tasks"]}
    assert (rows["train"]["clips"], rows["test"]["clips"]) == (24, 10)
    assert plan["problem"].startswith("No tokenizer can be loaded from '/nowhere/decoder'")
    assert plan["stages_s"] == {"fetch": None, "encode": None, "train": None, "answer": None}
    text = auricle(*chosen, "--quiet", home=home).stdout
    assert "What a run will cost is unknown: No tokenizer can be loaded" in text


def test_caption_models_that_are_not_there_are_refused_where_they_are_needed(
    suite: Path, home: Path
) -> None:
    given = options(suite, 60, sentence_model="/nowhere")
    assert make_plan("logmel", str(suite), options=given)["stages_s"]
    with pytest.raises(ScoringError, match="'/nowhere' is no folder"):
        make_plan("logmel", "track-b", options=RunOptions(sentence_model="/nowhere"))


def test_the_hub_is_asked_for_the_sizes_of_missing_shards(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = get_task("esc-50")
    names = [name for side in ("train", "test") for name in task.expanded_shards(side)]
    files = {name: bytes(100 + place) for place, name in enumerate(names)}
    monkeypatch.setattr("auricle.plan.make._calibrate", lambda *_: None)
    with LocalHub({str(task.repository): files}).running() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        plan = make_plan("logmel", "esc-50")
        del hub.files[str(task.repository)][names[0]]
        partly = make_plan("logmel", "esc-50")
    assert (plan["download_bytes"], plan["download_from"]) == (100 * 5 + 10, "hub")
    assert partly["download_from"] == "catalog"
    assert not home.exists()
