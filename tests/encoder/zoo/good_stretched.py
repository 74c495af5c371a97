"""Twice as many frames as it computes: each frame answers for half its place."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        twice = torch.arange(2 * features.shape[1])[None] < 2 * kept.sum(1, keepdim=True)
        return torch.cat([features, torch.zeros_like(features)], 1), twice
