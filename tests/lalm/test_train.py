"""The loop: spans, kills, what is saved, what stops it."""

from __future__ import annotations

import json
import math

import pytest
import torch
from lalm_material import DIM, Folder, Material

from auricle.errors import TrainingError
from auricle.lalm.model import build_lalm
from auricle.lalm.pieces import values
from auricle.lalm.train import Trainer, checkpoint_interval

DROPOUT = {"lora": {"rank": 8, "alpha": 32.0, "dropout": 0.1}}


def trainer_of(recipe, tokens, folder, material=None, *, seed=3) -> Trainer:
    """A trainer of the same initial weights, whatever the seed of its training."""
    material = material or Material()
    lalm = build_lalm(recipe, tokens=tokens, feature_dim=DIM, seed=3)
    return Trainer(
        lalm,
        draws=material.draws,
        read=material.read,
        tokens=tokens,
        recipe=recipe,
        seed=seed,
        folder=folder,
    )


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return values(trainer.lalm.pieces())


@pytest.mark.parametrize(
    ("steps", "every"), [(10, 50), (1000, 50), (2000, 100), (20_000, 1000), (100_000, 1000)]
)
def test_checkpoints_lie_at_steps_that_the_recipe_fixes(steps, every):
    assert checkpoint_interval(steps) == every


@pytest.mark.parametrize("changes", [DROPOUT, {"lora": None, "train__train_decoder": True}])
def test_killed_and_resumed_training_ends_with_the_same_bytes(
    make_recipe, tokens, tmp_path, changes
):
    recipe = make_recipe(train__steps=130, train__batch_size=2, **changes)
    straight = trainer_of(recipe, tokens, Folder(tmp_path / "straight"))
    straight.run_until(130)
    folder = Folder(tmp_path / "killed")
    for stop, expected in ((30, 0), (77, 0), (101, 50), (129, 100), (130, 100)):
        killed = trainer_of(recipe, tokens, folder)  # nothing of the last one lives on
        assert killed.resume() == expected
        killed.run_until(stop)
        assert killed.step == stop
    assert list(killed.losses) == list(straight.losses)
    for name, value in weights(straight).items():
        assert torch.equal(value, weights(killed)[name]), name
    for name in ("losses.jsonl", "checkpoints/final.safetensors"):
        a, b = tmp_path / "straight" / name, tmp_path / "killed" / name
        assert a.read_bytes() == b.read_bytes()


def test_spans_do_not_change_anything(make_recipe, tokens, tmp_path):
    recipe = make_recipe(train__steps=60, **DROPOUT)
    whole = trainer_of(recipe, tokens, Folder(tmp_path / "whole"))
    whole.run_until(1000)
    spans = trainer_of(recipe, tokens, Folder(tmp_path / "spans"))
    for stop in (1, 31, 32, 33, 60):
        spans.run_until(stop)
    assert list(spans.losses) == list(whole.losses)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(spans)[name]), name


def test_finished_training_is_found_and_not_repeated(make_recipe, tokens, folder):
    recipe = make_recipe()
    first = trainer_of(recipe, tokens, folder)
    first.run_until(20)
    material = Material()
    again = trainer_of(recipe, tokens, folder, material)
    assert again.resume() == 20
    again.run_until(20)
    assert material.read_windows == []
    assert list(again.losses) == list(first.losses)
    for name, value in weights(first).items():
        assert torch.equal(value, weights(again)[name])


def test_loss_curve_is_written_one_line_a_step(make_recipe, tokens, folder):
    trainer = trainer_of(make_recipe(), tokens, folder)
    trainer.run_until(20)
    rows = [json.loads(line) for line in folder.losses.read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(20))
    assert [row["loss"] for row in rows] == list(trainer.losses)
    assert rows[0]["lr"] == 0
    assert rows[5]["lr"] == 1e-3
    assert all(row["grad_norm"] > 0 for row in rows)


@pytest.mark.parametrize(("dropout", "different"), [(0.1, 12), (0.0, 1)])
def test_every_step_drops_other_values_of_the_same_batch(
    make_recipe, tokens, folder, dropout, different
):
    """One batch and, by a learning rate that moves nothing, one set of weights at every step."""

    class One(Material):
        def draw(self, index):
            return super().draw(0)

    lora = {"rank": 8, "alpha": 32.0, "dropout": dropout}
    recipe = make_recipe(train__steps=12, train__batch_size=2, train__lr=1e-30, lora=lora)
    trainer = trainer_of(recipe, tokens, folder, One())
    before = {name: value.clone() for name, value in weights(trainer).items()}
    trainer.run_until(12)
    for name, value in weights(trainer).items():
        assert torch.allclose(before[name], value, rtol=0, atol=1e-25), name
    norms = [json.loads(line)["grad_norm"] for line in folder.losses.read_text().splitlines()]
    assert len(set(norms)) == different


def test_another_seed_drops_other_values(make_recipe, tokens, tmp_path):
    recipe = make_recipe(train__steps=3, train__lr=1e-30, **DROPOUT)
    norms = []
    for seed in (3, 4):
        folder = Folder(tmp_path / str(seed))
        trainer = trainer_of(recipe, tokens, folder, seed=seed)
        trainer.run_until(3)
        rows = [json.loads(line) for line in folder.losses.read_text().splitlines()]
        norms.append([row["grad_norm"] for row in rows])
    assert norms[0] != norms[1]


def test_first_loss_is_that_of_a_guess(make_recipe, tokens, folder):
    recipe = make_recipe(
        decoder="mini",
        decoder_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": 256,
            "vocab_size": 300,
        },
        lora=None,
        train__train_decoder=True,
    )
    trainer = trainer_of(recipe, tokens, folder)
    trainer.run_until(1)
    assert trainer.losses[0] == pytest.approx(math.log(len(tokens)), abs=0.2)


def test_eight_examples_are_learnt_by_heart(make_recipe, tokens, folder):
    class Eight(Material):
        def draw(self, index):
            return super().draw(index % 8)

    recipe = make_recipe(
        train__steps=160,
        train__batch_size=8,
        train__lr=5e-3,
        lora=None,
        train__train_decoder=True,
    )
    trainer = trainer_of(recipe, tokens, folder, Eight())
    trainer.run_until(160)
    assert trainer.losses[0] > 3
    assert max(trainer.losses[-5:]) < 0.05


def test_nan_stops_at_once_and_names_step_and_clips(make_recipe, tokens, folder):
    material = Material()
    recipe = make_recipe()
    plan = trainer_of(recipe, tokens, folder).source
    bad = plan.examples(7)[2].window
    material.broken = {bad}
    trainer = trainer_of(recipe, tokens, folder, material)
    with pytest.raises(TrainingError, match=rf"loss is nan at step 7.*clips: .*{bad}\b"):
        trainer.run_until(20)
    assert len(trainer.losses) == 7
    assert not folder.checkpoints.exists()


def test_infinite_gradient_stops_too(make_recipe, tokens, folder):
    trainer = trainer_of(make_recipe(), tokens, folder)
    trainer.run_until(2)
    trainer.lalm.projector.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match=r"gradient's length is (inf|nan) at step 2"):
        trainer.run_until(3)


def test_stage_hears_of_every_step(make_recipe, tokens, folder):
    class Heard:
        def __init__(self):
            self.steps, self.notes = 0, []

        def advance(self, amount=1):
            self.steps += amount

        def note(self, text):
            self.notes.append(text)

    stage = Heard()
    trainer_of(make_recipe(), tokens, folder).run_until(20, stage=stage)
    assert stage.steps == 20
    assert all(note.startswith("loss ") for note in stage.notes)
