"""An encoder of a usual size: 12 transformer layers, 768 wide, 25 Hz, random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

HOP = 640


class PatchEncoder(nn.Module):
    """Each 40 ms of audio is a frame; the mask keeps frames from seeing padding."""

    def __init__(self) -> None:
        super().__init__()
        self.output_dim = 768
        torch.manual_seed(0)
        self.patch = nn.Linear(HOP, 768)
        layer = nn.TransformerEncoderLayer(
            768, 12, 3072, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)

    def forward(self, audio: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Audio and mask [B, samples] to features [B, T', 768] and their mask [B, T']."""
        audio = nn.functional.pad(audio, (0, -audio.shape[1] % HOP))
        frames = self.patch(audio.unflatten(1, (-1, HOP)))
        kept = -(-mask.sum(1) // HOP)
        keep = torch.arange(frames.shape[1], device=audio.device)[None] < kept[:, None]
        return self.layers(frames, src_key_padding_mask=~keep), keep
