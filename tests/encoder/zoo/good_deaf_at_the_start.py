"""Skips the first second of whatever is longer than that."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        heard = (
            torch.arange(audio.shape[1])[None]
            >= torch.where(mask.sum(1) > 16_000, 16_000, 0)[:, None]
        )
        return cut(audio * heard, mask)
