"""The lean decoder computes what transformers computes."""

from __future__ import annotations

import shutil

import pytest
import torch
from lalm_material import DIM, Material
from safetensors.torch import load_file, save_file

from auricle.errors import CatalogError
from auricle.lalm.batch import block_batches, pack
from auricle.lalm.model import LALM, build_lalm
from auricle.lalm.pieces import assign, values

WHOLE = {"lora": None, "train__train_decoder": True}


def batch_of(material: Material, tokens, numbers, *, concat=1):
    examples = [block_batches([material.draw(i)], tokens, 4)[0][0] for i in numbers]
    return pack(examples, [material.read(e.window) for e in examples], concat=concat)


def build(recipe, tokens, engine) -> LALM:
    return build_lalm(recipe, tokens=tokens, feature_dim=DIM, seed=3, engine=engine)


def pair(recipe, tokens) -> tuple[LALM, LALM]:
    """The same weights in both engines, adapters not at zero."""
    lean, plain = build(recipe, tokens, "lean"), build(recipe, tokens, "transformers")
    generator = torch.Generator().manual_seed(7)
    for piece in lean.pieces():
        if "lora_B" in piece.name:
            part = piece.of(piece.parameter.detach())
            part.copy_(torch.randn(part.shape, generator=generator) * 0.1)
    names = {piece.name for piece in plain.pieces()}
    assert names == {piece.name for piece in lean.pieces()}
    assign(plain.pieces(), values(lean.pieces()))
    return lean, plain


def gradients(lalm: LALM, batch) -> tuple[float, dict[str, torch.Tensor]]:
    loss = lalm.loss(batch)
    loss.backward()
    return loss.item(), {p.name: p.of(p.parameter.grad) for p in lalm.pieces()}


CASES = {
    "few sequences": [0, 1, 2, 3],
    "one sequence": [5],
    "equal lengths": [4, 4, 4],
    "many sequences": list(range(20, 33)),
}


@pytest.mark.parametrize("numbers", CASES.values(), ids=CASES)
@pytest.mark.parametrize("changes", [{}, WHOLE], ids=["adapters", "whole"])
@pytest.mark.parametrize("concat", [1, 3])
def test_lean_and_transformers_agree_on_loss_and_gradients(
    make_recipe, tokens, material, changes, numbers, concat
):
    recipe = make_recipe(features__concat=concat, **changes)
    lean, plain = pair(recipe, tokens)
    batch = batch_of(material, tokens, numbers, concat=concat)
    loss, found = gradients(lean, batch)
    expected_loss, expected = gradients(plain, batch)
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    for name, gradient in expected.items():
        # A projector's bias and an embedding that no token used may have no gradient at all.
        assert torch.allclose(found[name], gradient, atol=1e-5, rtol=1e-4), name


def test_lean_and_transformers_agree_more_closely_in_float64(make_recipe, tokens, material):
    lean, plain = pair(make_recipe(), tokens)
    for lalm in (lean, plain):
        lalm.set_precision(torch.float64)
    # The norms of transformers stay in float32, so more digits cannot be asked for.
    batch = batch_of(material, tokens, [0, 1, 2, 3])
    loss, found = gradients(lean, batch)
    expected_loss, expected = gradients(plain, batch)
    assert loss == pytest.approx(expected_loss, abs=1e-7)
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-6, rtol=1e-5), name


def test_bf16_stays_near_float32(make_recipe, tokens, material):
    batch = batch_of(material, tokens, [0, 1, 2, 3])
    exact, _ = gradients(build(make_recipe(), tokens, "lean"), batch)
    loss, found = gradients(build(make_recipe(precision="bf16"), tokens, "lean"), batch)
    assert loss == pytest.approx(exact, rel=0.01)
    assert all(gradient.dtype is torch.float32 for gradient in found.values())


def test_loss_of_a_batch_is_the_mean_over_its_labels_one_sequence_at_a_time(
    make_recipe, tokens, material
):
    lalm = build(make_recipe(), tokens, "lean")
    together = batch_of(material, tokens, [0, 1, 2, 3])
    alone = [batch_of(material, tokens, [i]) for i in range(4)]
    total = sum(lalm.loss(b).item() * len(b.labels) for b in alone)
    assert lalm.loss(together).item() == pytest.approx(total / len(together.labels), abs=1e-5)


def test_dropout_depends_on_its_seed_alone(make_recipe, tokens, material):
    recipe = make_recipe(lora={"rank": 8, "alpha": 32.0, "dropout": 0.5})
    lean, plain = pair(recipe, tokens)
    batch = batch_of(material, tokens, [0, 1])
    for lalm in (lean, plain):
        first, again, other, none = (
            lalm.loss(batch, dropout_seed=seed).item() for seed in (1, 1, 2, None)
        )
        assert first == again
        assert len({first, other, none}) == 3


def test_same_seed_same_weights_and_another_seed_others(make_recipe, tokens):
    recipe = make_recipe()
    one, same = build(recipe, tokens, "lean"), build(recipe, tokens, "lean")
    other = build_lalm(recipe, tokens=tokens, feature_dim=DIM, seed=4)
    for name, value in values(one.pieces()).items():
        assert torch.equal(value, values(same.pieces())[name])
        if not name.endswith("lora_B.weight"):
            assert not torch.equal(value, values(other.pieces())[name])


def test_official_recipe_trains_as_many_numbers_as_the_protocol_says(tokens, make_recipe, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=2,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "shape")
    lalm = build(make_recipe(decoder=str(tmp_path / "shape")), tokens, "lean")
    adapters = [p for name, p in values(lalm.pieces()).items() if "lora" in name]
    # PROTOCOL: 2,442,240 parameters over 30 blocks of SmolLM2-135M's shape.
    assert sum(p.numel() for p in adapters) * 15 == 2_442_240


def test_decoder_that_cannot_be_loaded_is_one_sentence(make_recipe, tokens, tmp_path):
    with pytest.raises(CatalogError, match=r"cannot be loaded.*transformers' format"):
        build(make_recipe(decoder=str(tmp_path / "nothing")), tokens, "auto")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda w: {k: v for k, v in w.items() if "layers.1." not in k},
            r"lacks weights .*: model\.layers\.1\.input_layernorm\.weight, .* and 6 more\. They",
        ),
        (
            lambda w: {**w, "model.norm.weight": torch.ones(3)},
            r"in another shape, weights .*: model\.norm\.weight\. They would be random",
        ),
    ],
)
def test_decoder_that_would_be_random_in_part_is_refused(
    make_recipe, tokens, tiny_llama, tmp_path, change, told
):
    folder = tmp_path / "cut"
    shutil.copytree(tiny_llama, folder)
    weights = change(load_file(folder / "model.safetensors"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CatalogError, match=told):
        build(make_recipe(decoder=str(folder)), tokens, "auto")


def test_decoder_whose_file_is_damaged_is_one_sentence(make_recipe, tokens, tiny_llama, tmp_path):
    folder = tmp_path / "cut"
    shutil.copytree(tiny_llama, folder)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:100])
    with pytest.raises(CatalogError, match=r"cannot be loaded \(.*\)\. Expected a folder"):
        build(make_recipe(decoder=str(folder)), tokens, "auto")


def test_another_architecture_runs_through_transformers(make_recipe, tokens, material, tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(tokens),
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=128,
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    recipe = make_recipe(decoder=str(tmp_path / "gpt2"))
    lalm = build(recipe, tokens, "auto")
    together = batch_of(material, tokens, [0, 1, 2])
    total = sum(
        lalm.loss(b).item() * len(b.labels)
        for b in (batch_of(material, tokens, [i]) for i in range(3))
    )
    loss, found = gradients(lalm, together)
    assert loss == pytest.approx(total / len(together.labels), abs=1e-5)
    assert found["projector.weight"].abs().sum() > 0
    with pytest.raises(CatalogError, match="lean engine runs Llama decoders, not GPT2LMHeadModel"):
        build(recipe, tokens, "lean")
