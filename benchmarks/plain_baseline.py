"""The obvious way to do the work, from `transformers` and `peft` alone, to measure ours against.

Encoder inside the step, padding mask, full logits, adapters beside the weights, batch 4, eager;
answers by `generate`, once for each reference of a clip. Nothing here imports auricle.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
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


SMOLLM2_135M: dict[str, Any] = {
    "vocab_size": 49152,
    "hidden_size": HIDDEN,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
}


def save_decoder(
    folder: Path,
    *,
    shape: Mapping[str, Any] = SMOLLM2_135M,
    values: Mapping[str, Tensor] | None = None,
) -> None:
    """A Llama in transformers' format, with random weights where no values are given."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**shape, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0)
    model = LlamaForCausalLM(config)
    if values is not None:
        own = model.state_dict()
        own.update({name: value for name, value in values.items() if name in own})
        own["lm_head.weight"] = own["model.embed_tokens.weight"]
        model.load_state_dict(own)
    model.save_pretrained(folder)


class PlainLALM:
    """Encoder, projector and decoder, trained and asked in the obvious way."""

    def __init__(  # noqa: PLR0913
        self,
        decoder: Path,
        *,
        encoder: nn.Module | None = None,
        dropout: float = 0.0,
        adapter: Path | None = None,
        lora: bool = True,
        concat: int = 1,
        width: int = WIDTH,
        device: str = "cpu",
    ) -> None:
        """Load the decoder and add adapters, with the values of a saved adapter if one is given.

        Without `lora` all of the decoder trains. `concat` frames make one position. Without an
        encoder frames are taken as features.
        """
        from peft import LoraConfig, PeftModel, get_peft_model
        from transformers import AutoModelForCausalLM

        self.device = torch.device(device)
        self.encoder = None if encoder is None else encoder.to(device)
        self.concat = concat
        model = AutoModelForCausalLM.from_pretrained(decoder, dtype=torch.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not lora:
                self.model: Any = model
            elif adapter is not None:
                self.model = PeftModel.from_pretrained(model, adapter, is_trainable=True)
            else:
                self.model = get_peft_model(
                    model,
                    LoraConfig(
                        r=8, lora_alpha=32, lora_dropout=dropout, target_modules="all-linear"
                    ),
                )
        self.model.train().to(device)
        self.projector = nn.Linear(width * concat, model.config.hidden_size).to(device)
        trained = [*self.projector.parameters(), *self.model.parameters()]
        self.trained = [p for p in trained if p.requires_grad]
        groups = [
            {"params": [p for p in self.trained if p.dim() > 1], "weight_decay": 0.01},
            {"params": [p for p in self.trained if p.dim() == 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.999), eps=1e-8)

    @torch.no_grad()
    def set_projector(self, weight: Tensor, bias: Tensor) -> None:
        """Overwrite the projector."""
        self.projector.weight.copy_(weight)
        self.projector.bias.copy_(bias)

    def hear(self, frames: Sequence[Tensor]) -> list[Tensor]:
        """Each clip's projected positions."""
        padded = nn.utils.rnn.pad_sequence(list(frames), batch_first=True).to(self.device)
        if self.encoder is not None:
            with torch.no_grad():
                padded = self.encoder(padded)
        padded = nn.functional.pad(padded, (0, 0, 0, -padded.shape[1] % self.concat))
        audio = self.projector(padded.unflatten(1, (-1, self.concat)).flatten(2))
        return [row[: -(-len(f) // self.concat)] for row, f in zip(audio, frames, strict=True)]

    def step(self, batch: Sequence[Sample], *, rate: float) -> float:
        """One training step."""
        embed = self.model.get_input_embeddings()
        rows, labels = [], []
        for sample, audio in zip(batch, self.hear([s.frames for s in batch]), strict=True):
            ids = torch.tensor(sample.prompt + sample.target, device=self.device)
            rows.append(torch.cat([audio, embed(ids)]))
            unlabelled = [-100] * (len(audio) + len(sample.prompt))
            labels.append(torch.tensor([*unlabelled, *sample.target], device=self.device))
        inputs = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        mask = nn.utils.rnn.pad_sequence([torch.ones(len(r)) for r in rows], batch_first=True)
        targets = nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)
        loss = self.model(
            inputs_embeds=inputs,
            attention_mask=mask.long().to(self.device),
            labels=targets,
            use_cache=False,
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
        *,
        eos_id: int,
        penalty: float,
    ) -> list[list[int]]:
        """Answer a batch with `generate`, padded on the left; row j is ended at ``limits[j]``."""
        from transformers import StoppingCriteria, StoppingCriteriaList

        class Ended(StoppingCriteria):
            """Each row ends at its own length, as if it had said EOS there."""

            def __call__(self, ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
                return torch.tensor(limits, device=ids.device) <= ids.shape[1]

        self.model.eval()
        embed = self.model.get_input_embeddings()
        rows = [
            torch.cat([audio, embed(torch.tensor(prompt, device=self.device))])
            for audio, prompt in zip(self.hear(frames), prompts, strict=True)
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
                attention_mask=mask.long().to(self.device),
                do_sample=False,
                max_new_tokens=max(limits),
                repetition_penalty=penalty,
                pad_token_id=eos_id,
                eos_token_id=eos_id,
                stopping_criteria=StoppingCriteriaList([Ended()]),
            )
        answers = [row[:limit] for row, limit in zip(ids.tolist(), limits, strict=True)]
        return [a[: a.index(eos_id)] if eos_id in a else a for a in answers]
