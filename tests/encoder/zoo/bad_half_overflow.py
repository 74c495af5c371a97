"""Overflows half precision for loud audio."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        return (features[:, :, 2:3] * 100_000).half().expand(-1, -1, 4), kept
