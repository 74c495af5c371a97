"""The whole job on a small suite of the test's own: damaged clips, spans, another interpreter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from auricle import RunOptions, run
from auricle.benchmark import check_data
from auricle.errors import DeviceMemoryError
from auricle.progress import SilentProgress
from making import CRAMPED_ENCODER, PITCH, audio_bytes, tone, write_suite, write_tar

TINY = (
    *("train.steps=12", "train.batch_size=8", "train.warmup=2", "answer.max_new_tokens=4"),
    *("decoder_config.hidden_size=32", "decoder_config.intermediate_size=64"),
    "decoder_config.vocab_size=280",
)


def clip(number: int, key: str, *, damage: str = "") -> list[tuple[str, bytes]]:
    """A low or a high tone with its label."""
    high = number % 2
    audio = audio_bytes(tone(600 if high else 300, 0.6))
    label = "high" if high else "low"
    if damage == "cut":  # noise takes the same bytes everywhere
        audio = audio_bytes(np.random.default_rng(0).normal(0, 0.1, 32_000).astype("f4"))
        audio = audio[: len(audio) // 2]
    if damage == "opposite":
        audio = audio_bytes(np.stack([tone(300, 0.6), -tone(300, 0.6)], 1))
    if damage == "body":  # the header is whole, so only decoding finds it
        audio = audio[:200] + bytes(len(audio) - 200)
    if damage == "header":
        audio = b"nothing of the kind"
    return [(f"{key}.flac", audio), (f"{key}.json", json.dumps({"label": label}).encode())]


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Path]:
    """Write shards and a suite file; damage by clip number."""

    def make(*, train: dict[int, str] | None = None, test: dict[int, str] | None = None) -> Path:
        train, test = train or {}, test or {}
        members = [clip(j, f"k{j:02d}", damage=train.get(j, "")) for j in range(24)]
        write_tar(tmp_path / "train.tar", [m for pair in members for m in pair])
        members = [clip(j, f"t{j:02d}", damage=test.get(j, "")) for j in range(10)]
        write_tar(tmp_path / "test.tar", [m for pair in members for m in pair])
        shards = {"train_shards": ["train.tar"], "test_shards": ["test.tar"], "weight": 1.0}
        return write_suite(tmp_path, "pitch", {"pitch": {**PITCH, **shards}})

    return make


def measured(suite: Path, **options: Any) -> Any:
    chosen = RunOptions(out=suite.parent / "runs", settings=TINY, **options)
    return run("logmel", str(suite), options=chosen)


def test_a_suite_of_ones_own_is_measured(suite: Callable[..., Path], home: Path) -> None:
    result = measured(suite())
    task = result.scores["tasks"]["pitch"]
    assert (task["clips_scored"], task["clips_expected"]) == (10, 10)
    assert task["failure"] is None
    assert result.scores["mode"] == "custom"
    assert not result.scores["official"]
    assert result.folder.report.stat().st_size > 10_000
    page = result.folder.report.read_text("utf-8")
    assert "<audio" in page
    assert "not at hand" not in page
    lines = result.folder.predictions("pitch").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"test/t{j:02d}" for j in range(10)]


class Warnings(SilentProgress):
    """Keeps what the user should not miss."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, text: str) -> None:
        self.said.append(text)


class NoGraphs:
    """A device whose work cannot be captured."""

    def warm_up(self, work: Callable[[], object]) -> None:
        work()

    def capture(self, work: Callable[[], object], generator: object) -> Callable[[], object]:
        raise RuntimeError("operation not permitted when stream is capturing")


def test_a_gpu_that_captures_nothing_is_named_once_and_gives_the_same_answers(
    suite: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, warnings = suite(), Warnings()
    plain = measured(path).folder
    for room in ("gradients", "decode"):
        monkeypatch.setattr(f"auricle.lalm.{room}.capturer_of", lambda device: NoGraphs())
    options = RunOptions(out=path.parent / "gpu", settings=TINY, disk_budget=600_000)
    slow = run("logmel", str(path), options=options, progress=warnings).folder
    (said,) = [text for text in warnings.said if "captured" in text]
    assert "not permitted when stream is capturing" in said
    assert slow.predictions("pitch").read_bytes() == plain.predictions("pitch").read_bytes()


@pytest.mark.parametrize(
    ("place", "error", "doing"),
    [
        ("train.Trainer.run_until", RuntimeError, "training the steps from 0 on"),
        ("answer.Answerer.answer", RuntimeError, "answering 10 clips of pitch"),
        ("answer.Answerer.answer", MemoryError, "answering 10 clips of pitch"),
    ],
)
def test_memory_that_runs_out_is_named_and_the_run_goes_on_later(
    suite: Callable[..., Path],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    error: type[Exception],
    doing: str,
) -> None:
    path = suite()

    def full(*_: object, **__: object) -> None:
        raise error("CUDA out of memory. Tried to allocate 2 GiB.\nGPU 0 has a capacity of ...")

    with monkeypatch.context() as patch:
        patch.setattr(f"auricle.lalm.{place}", full)
        with pytest.raises(DeviceMemoryError) as caught:
            measured(path)
    said = str(caught.value)
    assert said.startswith(f"Memory ran out on the device 'cpu' while {doing} (CUDA out of memory.")
    assert "capacity" not in said
    assert "--precision bf16" in said
    assert measured(path).scores["tasks"]["pitch"]["clips_scored"] == 10


def test_other_errors_of_training_stay_what_they_are(
    suite: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("auricle.lalm.train.Trainer.run_until", wrong)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        measured(suite())


@pytest.mark.parametrize("damage", ["header", "body"])
def test_a_damaged_training_clip_is_replaced_and_shown(
    suite: Callable[..., Path], home: Path, damage: str
) -> None:
    result = measured(suite(train={3: damage, 4: damage}))
    assert result.scores["tasks"]["pitch"]["failure"] is None
    (note,) = result.folder.read_manifest().notes
    assert "2 training clips cannot be decoded" in note


@pytest.mark.parametrize("damage", ["header", "body"])
def test_a_damaged_test_clip_makes_the_task_incomplete(
    suite: Callable[..., Path], home: Path, damage: str
) -> None:
    result = measured(suite(test={7: damage}))
    task = result.scores["tasks"]["pitch"]
    assert task["clips_scored"] == 9
    assert "1 of 10 test clips cannot be decoded (test/t07)" in task["failure"]
    assert result.scores["tracks"]["a"]["mean"] is None
    assert result.scores["mean"] is None


@pytest.mark.parametrize(("version", "value"), [("INDEX_VERSION", 9), ("DECODER_VERSION", "9")])
def test_a_run_is_not_continued_on_clips_that_are_read_otherwise(
    suite: Callable[..., Path],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    value: object,
) -> None:
    path = suite()
    before = measured(path).folder.path
    monkeypatch.setattr(f"auricle.data.clips.{version}", value)
    progress = Warnings()
    options = RunOptions(out=path.parent / "runs", settings=TINY)
    after = run("logmel", str(path), options=options, progress=progress).folder.path
    assert after != before
    (said,) = (text for text in progress.said if "the same audio" not in text)
    assert said == (
        f"{before} was begun by a version of auricle that reads clips, or puts them into order, in "
        f"another way, so it is not continued: this run begins anew in {after}."
    )
    progress.said.clear()
    run("logmel", str(path), options=options, progress=progress)
    assert not any("begun" in text for text in progress.said)  # the new one is continued


def test_clips_that_are_cut_or_made_silent_are_used_and_shown(
    suite: Callable[..., Path], home: Path
) -> None:
    path = suite(train={3: "cut", 4: "opposite"}, test={5: "cut", 6: "opposite", 7: "opposite"})
    progress = Warnings()
    check_data(str(path), progress=progress)
    noted = measured(path).folder.read_manifest().notes
    silenced = "made silent by the mean of their channels or the division by their peak"
    shorter = "shorter than their headers say and are used as far as they go"
    said = [text for text in progress.said if "the same audio" not in text]
    assert said == [
        f"pitch: 1 of 24 train clips are {shorter} (train/k03).",
        f"pitch: 1 of 10 test clips are {shorter} (test/t05).",
        f"pitch: 1 of 24 train clips are {silenced} (train/k04).",
        f"pitch: 2 of 10 test clips are {silenced} (test/t06, test/t07).",
    ]
    assert noted == [
        *said[:2],
        f"training: 1 clips are {silenced} (train/k04).",
        f"pitch: 2 clips are {silenced} (test/t06, test/t07).",
    ]
    again = measured(path, seed=7).folder.read_manifest().notes
    assert again == noted  # features that are found stored tell of their audio too


def test_spans_under_a_tight_disk_budget_change_nothing(
    suite: Callable[..., Path], home: Path
) -> None:
    path = suite()
    whole = measured(path, encode_budget_s=2.0)
    expected = whole.folder.predictions("pitch").read_bytes()
    again = RunOptions(
        out=path.parent / "spans", settings=TINY, encode_budget_s=2.0, disk_budget=600_000
    )
    assert (
        run("logmel", str(path), options=again).folder.predictions("pitch").read_bytes() == expected
    )


def test_a_finished_run_is_found_again(suite: Callable[..., Path], home: Path) -> None:
    path = suite()
    first = measured(path)
    checkpoints = {p: p.stat().st_mtime_ns for p in first.folder.checkpoints.iterdir()}
    second = measured(path)
    assert second.folder.path == first.folder.path
    assert {p: p.stat().st_mtime_ns for p in second.folder.checkpoints.iterdir()} == checkpoints
    assert second.scores == first.scores


def test_held_out_clips_are_asked_and_an_official_kind_of_run_draws_all(
    suite: Callable[..., Path], home: Path
) -> None:
    path = suite()
    whole = measured(path)
    text = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(text | {"held_out": {"share": 0.25}}))
    (path.parent / "test.tar").unlink()
    held = measured(path)
    manifest = held.folder.read_manifest()
    assert held.folder.path != whole.folder.path
    assert (manifest.mode, manifest.official) == ("custom", False)
    assert manifest.mixture["pitch"].clips == 18
    assert whole.folder.read_manifest().mixture["pitch"].clips == 24
    task = held.scores["tasks"]["pitch"]
    assert (task["clips_scored"], task["clips_expected"], task["failure"]) == (6, 6, None)
    lines = held.folder.predictions("pitch").read_text().splitlines()
    assert all(json.loads(line)["id"].startswith("train/k") for line in lines)


@pytest.mark.slow
def test_a_run_records_the_batches_that_did_not_fit_and_makes_the_same_parts_again(
    suite: Callable[..., Path], home: Path, tmp_path: Path
) -> None:
    (tmp_path / "cramped.py").write_text(CRAMPED_ENCODER)
    path = suite()

    def state() -> tuple[dict[str, list[int]], dict[str, bytes]]:
        options = RunOptions(out=tmp_path / "runs", settings=TINY, workers=1)
        folder = run(str(tmp_path / "cramped.py"), str(path), options=options).folder
        shutil.rmtree(folder.path / "predictions")
        files = {p.name: p.read_bytes() for p in home.glob("features/*/*/*/*.bin")}
        return folder.read_manifest().batches.splits, files

    splits, files = state()
    assert sorted(splits.values()) == [[2, 3, 2, 3], [3] * 8]
    shutil.rmtree(home / "features")  # the manifest alone remembers
    again, files_again = state()
    assert again == splits
    assert files_again
    assert files_again.items() <= files.items()


def test_a_task_may_ask_nothing_and_is_another_run_than_one_that_asks(
    suite: Callable[..., Path], home: Path
) -> None:
    path = suite()
    text = yaml.safe_load(path.read_text())
    text["tasks"]["pitch"] |= {"prompt": "", "prompt_field": ""}
    path.write_text(yaml.safe_dump(text))
    silent = measured(path)
    assert silent.scores["tasks"]["pitch"]["failure"] is None
    manifest = silent.folder.read_manifest()
    asked = manifest.test["pitch"]
    assert (asked.prompt, asked.prompt_field, manifest.mixture["pitch"].prompt_field) == (
        "",
        "",
        "",
    )
    other = asked.with_fields(prompt_field=None)  # a field of each clip's own
    assert other.asked != asked.asked
    mixture = {"pitch": manifest.mixture["pitch"].with_fields(prompt_field="question")}
    assert manifest.with_fields(mixture=mixture).identity != manifest.identity
