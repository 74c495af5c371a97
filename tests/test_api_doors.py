"""What the Python functions say of arguments that cannot be right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import auricle
from auricle.encoder.load import parse_encoder
from auricle.errors import AuricleError, EncoderLoadError, ScoringError
from auricle.files import write_text
from report_material import make_run


@pytest.mark.parametrize("encoder", [json, None, torch.nn.Linear(1, 1), 5, b"logmel"])
def test_an_encoder_that_is_no_text_is_one_sentence(encoder: object) -> None:
    with pytest.raises(EncoderLoadError, match=r"The encoder is a .*; expected its name or path"):
        auricle.run(encoder)


def test_an_encoder_may_be_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("", encoding="utf-8")
    assert parse_encoder(path).text == str(path)  # type: ignore[arg-type]


@pytest.mark.parametrize("folder", [5, None, json])
def test_a_run_folder_that_is_no_path_is_one_sentence(folder: object) -> None:
    for work in (auricle.RunFolder, auricle.RunFolder.open, auricle.score):
        with pytest.raises(ScoringError, match=r"A run's folder is a path, e.g. .* is a "):
            work(folder)


def test_a_run_folder_may_be_text(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    text = str(run.path)
    assert auricle.RunFolder(text).manifest == run.manifest
    assert auricle.score(text)["suite"] == run.read_manifest().suite
    with pytest.raises(AuricleError, match="is no run folder"):
        auricle.score(str(tmp_path / "nowhere"))


def test_files_are_written_where_no_lock_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(stream: object, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", no_locks)
    write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
