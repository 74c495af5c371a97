"""Every feature is the same number, whatever is heard."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        return torch.full_like(features, 0.25), kept
