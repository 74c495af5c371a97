"""A transformer over 40-ms pieces of audio, base-sized unless told otherwise; random weights.

Stands for a real encoder where only its cost counts: 12 layers, 768 wide, 25 frames a second.
"""

import torch
from torch import nn

HOP = 640


class BaseEncoder(nn.Module):
    """A linear layer on each piece, then a transformer."""

    def __init__(self, layers=12, width=768):
        super().__init__()
        self.output_dim = width
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.first = nn.Linear(HOP, width)
            layer = nn.TransformerEncoderLayer(
                width, width // 64, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, audio, mask):
        """Pieces that hold any audio are kept."""
        audio = nn.functional.pad(audio * mask, (0, -audio.shape[1] % HOP))
        mask = nn.functional.pad(mask, (0, -mask.shape[1] % HOP))
        kept = mask.unflatten(1, (-1, HOP)).amax(2).bool()
        x = self.first(audio.unflatten(1, (-1, HOP)))
        return self.layers(x, src_key_padding_mask=~kept), kept
