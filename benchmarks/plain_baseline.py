"""The obvious way to do the work, from `transformers` and `peft` alone, to measure ours against.

Encoder inside the step, padding mask, full logits, adapters beside the weights, batch 4, eager;
answers by `generate`, once for each reference of a clip. Nothing here imports auricle.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WIDTH = 768
FRAME_RATE = 25
HIDDEN = 576


@dataclass(frozen=True)
class Sample:
    """One training example: audio (as frames for the encoder), prompt, target with EOS."""

    name: str
    frames: Tensor
    prompt: tuple[int, ...]
    target: tuple[int, ...]


def make_encoder() -> nn.Module:
    """A transformer of 12 layers, 768 wide, as base-sized audio encoders are; eval, frozen."""
    layer = nn.TransformerEncoderLayer(
        WIDTH, 12, 3072, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.TransformerEncoder(layer, 12).eval().requires_grad_(requires_grad=False)


def save_decoder(folder: Path, *, layers: int = 30, positions: int = 8192) -> None:
    """SmolLM2-135M's shape with random weights, in transformers' format."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=HIDDEN,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        bos_token_id=0,
        eos_token_id=0,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
    )
    LlamaForCausalLM(config).save_pretrained(folder)


class PlainLALM:
    """Projector and decoder, trained and asked in the obvious way."""

    def __init__(
        self, decoder: Path, *, dropout: float, adapter: Path | None = None, width: int = WIDTH
    ) -> None:
        """Load the decoder and add adapters, with the values of a saved adapter if one is given."""
        from peft import LoraConfig, PeftModel, get_peft_model
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(decoder, dtype=torch.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if adapter is not None:
                self.model: Any = PeftModel.from_pretrained(model, adapter, is_trainable=True)
            else:
                self.model = get_peft_model(
                    model,
                    LoraConfig(
                        r=8, lora_alpha=32, lora_dropout=dropout, target_modules="all-linear"
                    ),
                )
        self.model.train()
        hidden = model.config.hidden_size
        self.projector = nn.Linear(width, hidden)
        matrices = [p for p in self.model.parameters() if p.requires_grad]
        groups = [
            {"params": [*matrices, self.projector.weight], "weight_decay": 0.01},
            {"params": [self.projector.bias], "weight_decay": 0.0},
        ]
        self.trained = [p for group in groups for p in group["params"]]
        self.optimiser = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.999), eps=1e-8)

    def step(self, batch: Sequence[Sample], encoder: nn.Module | None, *, rate: float) -> float:
        """One training step; without an encoder the frames are taken as features."""
        embed = self.model.get_input_embeddings()
        frames = nn.utils.rnn.pad_sequence([s.frames for s in batch], batch_first=True)
        if encoder is not None:
            with torch.no_grad():
                frames = encoder(frames)
        audio = self.projector(frames)
        rows, labels = [], []
        for sample, item in zip(batch, audio, strict=True):
            ids = torch.tensor(sample.prompt + sample.target)
            length = len(sample.frames)
            rows.append(torch.cat([item[:length], embed(ids)]))
            unlabelled = [-100] * (length + len(sample.prompt))
            labels.append(torch.tensor([*unlabelled, *sample.target]))
        inputs = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        mask = nn.utils.rnn.pad_sequence([torch.ones(len(r)) for r in rows], batch_first=True)
        targets = nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)
        loss = self.model(
            inputs_embeds=inputs, attention_mask=mask.long(), labels=targets, use_cache=False
        ).loss
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(loss.item())

    @torch.no_grad()
    def answer(
        self,
        frames: Sequence[Tensor],
        prompts: Sequence[tuple[int, ...]],
        limits: Sequence[int],
        encoder: nn.Module | None,
    ) -> list[list[int]]:
        """Answer a batch with `generate`, padded on the left; row j is ended at ``limits[j]``."""
        from transformers import StoppingCriteria, StoppingCriteriaList

        class Ended(StoppingCriteria):
            """Each row ends at its own length, as if it had said EOS there."""

            def __call__(self, ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
                return torch.tensor(limits) <= ids.shape[1]

        self.model.eval()
        embed = self.model.get_input_embeddings()
        padded = nn.utils.rnn.pad_sequence(list(frames), batch_first=True)
        if encoder is not None:
            padded = encoder(padded)
        audio = self.projector(padded)
        rows = [
            torch.cat([item[: len(f)], embed(torch.tensor(p))])
            for item, f, p in zip(audio, frames, prompts, strict=True)
        ]
        width = max(len(row) for row in rows)
        inputs = torch.stack([nn.functional.pad(r, (0, 0, width - len(r), 0)) for r in rows])
        mask = torch.stack(
            [nn.functional.pad(torch.ones(len(r)), (width - len(r), 0)) for r in rows]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ids = self.model.generate(
                inputs_embeds=inputs,
                attention_mask=mask.long(),
                do_sample=False,
                max_new_tokens=max(limits),
                repetition_penalty=1.05,
                pad_token_id=0,
                eos_token_id=-1,
                stopping_criteria=StoppingCriteriaList([Ended()]),
            )
        return [row[:limit] for row, limit in zip(ids.tolist(), limits, strict=True)]
