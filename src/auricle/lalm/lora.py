"""Low-rank adapters: their settings, their first values, and peft's names for them.

The lean decoder keeps the adapters of neighbouring layers stacked; files hold them apart, under
the names that `peft` gives them, so that any tool that reads peft's adapters reads ours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from auricle.files import make_folder, write_bytes, write_json

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """What a recipe says about adapters."""

    rank: int
    alpha: float
    dropout: float

    @property
    def scale(self) -> float:
        """Factor of the adapters' output."""
        return self.alpha / self.rank

    def peft_config(self) -> dict[str, Any]:
        """The fields of `peft.LoraConfig` that say the same."""
        alpha = int(self.alpha) if self.alpha == int(self.alpha) else self.alpha
        return {
            "r": self.rank,
            "lora_alpha": alpha,
            "lora_dropout": self.dropout,
            "bias": "none",
            "task_type": "CAUSAL_LM",
        }


def first_down(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """First values of an A matrix: uniform in +-1 / sqrt(in), as peft draws them; B starts at 0."""
    bound = 1 / math.sqrt(columns)
    return torch.empty(rows, columns).uniform_(-bound, bound, generator=generator)


def save_adapter(folder: Path, tensors: Mapping[str, Tensor], settings: LoraSettings) -> None:
    """Write adapters as `peft.PeftModel.from_pretrained` reads them.

    Args:
        folder: Gets ``adapter_config.json`` and ``adapter_model.safetensors``.
        tensors: By peft's names, which start with ``base_model.model.``.
        settings: Rank, alpha, dropout.
    """
    make_folder(folder)
    targets = sorted({name.split(".")[-3] for name in tensors if name.startswith(PREFIX)})
    config = {
        "peft_type": "LORA",
        **settings.peft_config(),
        "target_modules": targets,
        "base_model_name_or_path": None,
        "inference_mode": True,
    }
    write_json(folder / "adapter_config.json", config)
    adapters = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if name.startswith(PREFIX)
    }
    data = safetensors.torch.save(adapters, {"format": "pt"})
    write_bytes(folder / "adapter_model.safetensors", data)


def load_adapter(folder: Path) -> dict[str, Tensor]:
    """Tensors of an adapter in peft's format, by peft's names."""
    data = (folder / "adapter_model.safetensors").read_bytes()
    tensors: dict[str, Tensor] = safetensors.torch.load(data)
    return tensors


def read_settings(folder: Path) -> LoraSettings:
    """Settings of an adapter in peft's format."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    return LoraSettings(config["r"], config["lora_alpha"], config["lora_dropout"])
