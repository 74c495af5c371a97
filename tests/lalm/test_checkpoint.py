"""Checkpoints are whole or not there."""

from __future__ import annotations

import logging

import pytest
import torch

from auricle.lalm.checkpoint import (
    FINAL,
    Checkpoint,
    load_newest,
    read_checkpoint,
    save_checkpoint,
    save_final,
)
from auricle.lalm.train import checkpoint_interval, checkpoints_bytes


def checkpoint(step: int, steps: int = 100) -> Checkpoint:
    return Checkpoint(
        step, steps, {"value/a": torch.arange(4.0) + step, "losses": torch.ones(step)}
    )


def test_newest_comes_back_and_two_are_kept(tmp_path):
    assert load_newest(tmp_path, steps=100) is None
    for step in (10, 20, 30):
        save_checkpoint(tmp_path, checkpoint(step))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step-0000020.safetensors", "step-0000030.safetensors"]
    found = load_newest(tmp_path, steps=100)
    assert found is not None
    assert (found.step, found.steps) == (30, 100)
    assert torch.equal(found.tensors["value/a"], torch.arange(4.0) + 30)


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "text"])
def test_damaged_one_is_reported_and_the_older_one_taken(tmp_path, caplog, damage):
    save_checkpoint(tmp_path, checkpoint(10))
    path = save_checkpoint(tmp_path, checkpoint(20))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    wrong = {"cut": data[:-7], "flipped": data, "emptied": b"", "text": b"not a checkpoint"}
    path.write_bytes(wrong[damage])
    with caplog.at_level(logging.WARNING):
        found = load_newest(tmp_path, steps=100)
    assert found is not None
    assert found.step == 10
    assert "step-0000020.safetensors cannot be used" in caplog.text


def test_final_wins_and_says_that_training_is_finished(tmp_path):
    save_checkpoint(tmp_path, checkpoint(90))
    save_final(tmp_path, checkpoint(100))
    found = load_newest(tmp_path, steps=100)
    assert found is not None
    assert found.step == 100


def test_a_file_named_final_that_ends_early_is_not_believed(tmp_path, caplog):
    save_checkpoint(tmp_path, checkpoint(50))
    save_final(tmp_path, checkpoint(60))
    found = load_newest(tmp_path, steps=100)
    assert found is not None
    assert found.step == 50
    assert "it ends after 60 of 100 steps" in caplog.text


def test_checkpoint_of_another_length_is_no_use(tmp_path, caplog):
    save_checkpoint(tmp_path, checkpoint(50, steps=200))
    assert load_newest(tmp_path, steps=100) is None
    assert "a training of 200 steps" in caplog.text


def test_rest_of_a_killed_writer_is_removed(tmp_path):
    (tmp_path / ".tmp-abc-step-0000010.safetensors").write_bytes(b"half")
    assert load_newest(tmp_path, steps=100) is None
    assert list(tmp_path.iterdir()) == []


def test_other_schema_version_is_refused(tmp_path):
    path = save_final(tmp_path, checkpoint(100))
    assert path.name == FINAL
    changed = path.read_bytes().replace(b'schema_version\\": 1', b'schema_version\\": 9')
    path.write_bytes(changed)
    with pytest.raises(ValueError, match="schema version 9 is not 1"):
        read_checkpoint(path)


@pytest.mark.parametrize("steps", [20, 60, 120, 1000])
def test_checkpoints_take_as_much_as_was_foreseen(tmp_path, steps):
    numbers, most = 50_000, 0
    state = {f"{kind}/w": torch.zeros(numbers) for kind in ("value", "first", "second")}
    every = checkpoint_interval(steps)
    for step in [*range(every, steps, every), steps]:
        before = sum(path.stat().st_size for path in tmp_path.iterdir())
        if step < steps:
            path = save_checkpoint(tmp_path, Checkpoint(step, steps, state))
        else:
            path = save_final(tmp_path, Checkpoint(step, steps, {"value/w": state["value/w"]}))
        most = max(most, before + path.stat().st_size)
    assert most == pytest.approx(checkpoints_bytes(numbers, steps=steps), rel=0.01)
