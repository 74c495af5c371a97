"""Adapters are peft's: its loader reads ours and computes the same."""

from __future__ import annotations

import json

import pytest
import torch
from lalm_material import DIM
from test_llama import batch_of, pair

from auricle.lalm.lora import LoraSettings, load_adapter, read_settings, save_adapter
from auricle.lalm.pieces import values

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def test_peft_loads_our_adapter_and_computes_the_same(make_recipe, tokens, material, tmp_path):
    from peft import PeftModel
    from transformers import LlamaForCausalLM

    recipe = make_recipe()
    lalm, _ = pair(recipe, tokens)
    save_adapter(tmp_path, values(lalm.pieces()), LoraSettings(8, 32, 0.0))
    model = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(recipe.decoder), tmp_path)
    batch = batch_of(material, tokens, [3])
    x = torch.zeros(sum(batch.lengths), 32)
    x[batch.audio_places] = lalm.project(batch.features).detach()
    x[batch.token_places] = model.get_input_embeddings()(batch.tokens).detach()
    logits = model(inputs_embeds=x[None]).logits[0]
    expected = torch.nn.functional.cross_entropy(logits[batch.label_places], batch.labels)
    assert lalm.loss(batch).item() == pytest.approx(expected.item(), abs=1e-5)


def test_adapter_round_trip(tmp_path, make_recipe, tokens):
    lalm, _ = pair(make_recipe(), tokens)
    tensors = values(lalm.pieces())
    settings = LoraSettings(8, 32, 0.1)
    save_adapter(tmp_path, tensors, settings)
    assert read_settings(tmp_path) == settings
    loaded = load_adapter(tmp_path)
    assert len(loaded) == 3 * 7 * 2
    for name, value in loaded.items():
        assert torch.equal(value, tensors[name])
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )
    assert tensors["projector.weight"].shape == (32, DIM)
