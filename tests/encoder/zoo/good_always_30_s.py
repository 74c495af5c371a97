"""Computes and keeps 30 s for every window up to that."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        short = max(0, 480_000 - audio.shape[1])
        features, _ = cut(
            torch.nn.functional.pad(audio * mask, (0, short)),
            torch.nn.functional.pad(mask, (0, short), value=1),
        )
        return features, None
