"""The opening check: problems of every kind are listed together, before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from auricle import RunOptions, run
from auricle.errors import EncoderError, UserError
from commands import auricle
from making import audio_bytes, tone, write_tar

SHORT_CRASH = """
import torch

class ShortEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, attention_mask=None):
        if audio.shape[1] < 4000:
            raise ValueError("cannot hear so little")
        return audio[:, :320 * (audio.shape[1] // 320)].reshape(len(audio), -1, 320)[..., :4]
"""
TINY = (
    *("train.steps=8", "train.batch_size=8", "train.warmup=2", "answer.max_new_tokens=4"),
    *("decoder_config.hidden_size=32", "decoder_config.intermediate_size=64"),
    "decoder_config.vocab_size=280",
)


def shard(path: Path, seconds: list[float], *, damaged: bool = False) -> None:
    members = []
    for j, length in enumerate(seconds):
        audio = b"no audio" if damaged else audio_bytes(tone(300 + 30 * j, length))
        members += [(f"{path.stem}{j:02d}.flac", audio)]
        members += [(f"{path.stem}{j:02d}.json", json.dumps({"label": "x"}).encode())]
    write_tar(path, members)


def suite(folder: Path, **more: Any) -> Path:
    task = {"track": "a", "prompt": "Which?", "metric": "accuracy", "train_field": "label"}
    task |= {"test_field": "label", "train_shards": ["train.tar"], "test_shards": ["test.tar"]}
    path = folder / "mine.yaml"
    tasks = {"mine": {**task, "weight": 1, **more}}
    path.write_text(yaml.safe_dump({"name": "mine", "recipe": "mini", "tasks": tasks}))
    return path


def test_problems_of_every_kind_are_listed_together(tmp_path: Path) -> None:
    shard(tmp_path / "train.tar", [0.5] * 8)
    shard(tmp_path / "test.tar", [0.5] * 3, damaged=True)
    (tmp_path / "short.py").write_text(SHORT_CRASH)
    shard(tmp_path / "train.tar", [0.1, *[0.5] * 7])
    path = suite(tmp_path, metric="FENSE")
    done = auricle(
        *("run", tmp_path / "short.py", "--suite", path, "--out", tmp_path / "runs", "--quiet"),
        *("--sentence-model", tmp_path / "none"),
        home=tmp_path / "home",
        expect=2,
    )
    for part in (
        "mine, test: 3 of 3 clips that were tried cannot be decoded (test/test00",
        "cannot hear so little",
        "The sentence model",
    ):
        assert part in done.stderr, done.stderr
    assert "Traceback" not in done.stderr.split("cannot hear so little")[0][:200]
    assert not (tmp_path / "runs").exists()


def test_the_shortest_clip_passes_through_the_encoder_first(tmp_path: Path, home: Path) -> None:
    shard(tmp_path / "train.tar", [0.5] * 8)
    shard(tmp_path / "test.tar", [0.5, 0.1, 0.5])
    (tmp_path / "short.py").write_text(SHORT_CRASH)
    options = RunOptions(out=tmp_path / "runs", settings=TINY)
    with pytest.raises(EncoderError, match="test/test01"):
        run(str(tmp_path / "short.py"), str(suite(tmp_path)), options=options)
    assert not (tmp_path / "runs").exists()


def test_features_that_do_not_fit_on_the_disk_are_refused(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard(tmp_path / "train.tar", [0.5] * 8)
    shard(tmp_path / "test.tar", [0.5] * 3)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    options = RunOptions(out=tmp_path / "runs", settings=TINY)
    with pytest.raises(UserError, match=r"The features take about .* --disk-budget"):
        run("logmel", str(suite(tmp_path)), options=options)


def test_checkpoints_that_have_no_room_beside_the_features_are_refused(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard(tmp_path / "train.tar", [0.5] * 8)
    shard(tmp_path / "test.tar", [0.5] * 3)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**6}))
    long = RunOptions(out=tmp_path / "runs", settings=(*TINY, "train.steps=400"), disk_budget=1.0)
    with pytest.raises(UserError, match=r"the checkpoints 2\.\d MB below .*runs, but 1\.0 MB are"):
        run("logmel", str(suite(tmp_path)), options=long)
    assert not (tmp_path / "runs").exists()


def test_clips_beyond_the_decoders_positions_are_noted(tmp_path: Path, home: Path) -> None:
    shard(tmp_path / "train.tar", [0.5] * 8)
    shard(tmp_path / "test.tar", [0.5, 30.0, 0.5])
    few = (*TINY, "decoder_config.max_position_embeddings=64")
    options = RunOptions(out=tmp_path / "runs", settings=few)
    result = run("logmel", str(suite(tmp_path)), options=options)
    (note,) = result.folder.read_manifest().notes
    assert "mine: 1 of 3 test clips take more positions" in note
    assert "(64); the longest is test/test01" in note
    assert result.scores["tasks"]["mine"]["failure"] is None


def test_two_faults_of_one_encoder_are_still_the_encoders(tmp_path: Path) -> None:
    """`auricle challenge judge` tells by the kind whose fault it was."""
    shard(tmp_path / "train.tar", [0.5] * 8)
    shard(tmp_path / "test.tar", [0.1, 0.5, 12.0])
    code = SHORT_CRASH.replace("< 4000", "not in range(4000, 170000)")
    (tmp_path / "short.py").write_text(code)
    done = auricle(
        *("run", tmp_path / "short.py", "--suite", suite(tmp_path), "--json"),
        home=tmp_path / "home",
        expect=2,
    )
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "EncoderCrashError"
    assert "test/test00" in error["message"]
    assert "test/test02" in error["message"]


def test_data_can_be_checked_without_an_encoder(tmp_path: Path) -> None:
    shard(tmp_path / "train.tar", [0.5] * 8)
    shard(tmp_path / "test.tar", [0.5] * 3)
    words = ("data", "check", suite(tmp_path), "--json")
    done = auricle(*words, home=tmp_path / "home")
    assert json.loads(done.stdout) == {
        "tasks": {"mine": {"train": 8, "test": 3}},
        "warnings": [
            "mine: there is one label alone, 'x'.",
            "mine: 3 test clips have the same audio as training clips, so that the test side is "
            "not unheard (test/test00, test/test01, test/test02).",
        ],
    }
    (tmp_path / "test.tar").write_text("no tar")
    done = auricle(*words, home=tmp_path / "home", expect=2)
    assert json.loads(done.stdout)["error"]["type"] == "DataError"
    assert "test.tar" in done.stderr
