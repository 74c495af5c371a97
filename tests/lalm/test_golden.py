"""The whole training against a straight line written from transformers and peft alone.

Full logits, one sequence at a time, no caching, no packing, torch's plain AdamW.
"""

from __future__ import annotations

import pytest
import torch
from lalm_material import DIM

from auricle.lalm.lora import LoraSettings, save_adapter
from auricle.lalm.model import build_lalm
from auricle.lalm.pieces import values
from auricle.lalm.train import Trainer

STEPS = 20
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:peft", "ignore::FutureWarning")


def straight_line(path, adapter, projector, material, tokens):
    """Losses, adapters and projector after 20 steps of batch 4."""
    from peft import PeftModel
    from transformers import LlamaForCausalLM, get_linear_schedule_with_warmup

    model = PeftModel.from_pretrained(
        LlamaForCausalLM.from_pretrained(path), adapter, is_trainable=True
    ).eval()
    layer = torch.nn.Linear(DIM, 32)
    layer.load_state_dict(projector)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [*trained, layer.weight], "weight_decay": 0.01},
            {"params": [layer.bias], "weight_decay": 0.0},
        ],
        lr=1e-4,
        betas=(0.9, 0.999),
        eps=1e-8,
    )
    schedule = get_linear_schedule_with_warmup(optimiser, 5, STEPS)
    embed = model.get_input_embeddings()
    losses = []
    for step in range(STEPS):
        draws = [material.draw(i) for i in range(80)]
        # 80 draws are one block: from long to short, ties by number, cut into fours.
        rows = []
        for draw in draws:
            prompt, target = tokens.encode(draw.prompt), [*tokens.encode(draw.text), tokens.eos_id]
            rows.append(
                (-(len(prompt) + len(target) + draw.duration_s), draw.index, prompt, target)
            )
        rows.sort()
        total, count = torch.zeros(()), 0
        for _, index, prompt, target in rows[4 * step : 4 * step + 4]:
            audio = layer(material.read(f"clip-{index}"))
            ids = torch.tensor(prompt + target)
            inputs = torch.cat([audio, embed(ids)])[None]
            logits = model(inputs_embeds=inputs).logits[0].float()
            first = len(audio) + len(prompt)
            predicted = logits[first - 1 : -1]
            total = total + torch.nn.functional.cross_entropy(
                predicted, torch.tensor(target), reduction="sum"
            )
            count += len(target)
        loss = total / count
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*trained, *layer.parameters()], 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    found = {
        name.replace(".default.", "."): p.detach()
        for name, p in model.named_parameters()
        if p.requires_grad
    }
    return losses, found, layer


def test_twenty_steps_agree_with_a_straight_line(make_recipe, tokens, material, folder, tmp_path):
    recipe = make_recipe(train__lr=1e-4, train__steps=STEPS)
    lalm = build_lalm(recipe, tokens=tokens, feature_dim=DIM, seed=3)
    start = {name: value.clone() for name, value in values(lalm.pieces()).items()}
    save_adapter(tmp_path / "adapter", start, LoraSettings(8, 32, 0.0))
    projector = {name: start[f"projector.{name}"] for name in ("weight", "bias")}
    losses, adapters, layer = straight_line(
        recipe.decoder, tmp_path / "adapter", projector, material, tokens
    )
    trainer = Trainer(
        lalm,
        draws=material.draws,
        read=material.read,
        tokens=tokens,
        recipe=recipe,
        seed=3,
        folder=folder,
    )
    trainer.run_until(STEPS)
    assert list(trainer.losses) == pytest.approx(losses, abs=1e-5)
    assert losses[-1] != pytest.approx(losses[0], abs=1e-2)
    after = values(lalm.pieces())
    assert set(after) == {*adapters, "projector.weight", "projector.bias"}
    for name, expected in {**adapters, "projector.weight": layer.weight}.items():
        assert (after[name] - expected).abs().max() < 1e-5, name
        assert not torch.equal(after[name], start[name]), name
    assert (after["projector.bias"] - layer.bias).abs().max() < 1e-5
