"""Gives every frame the mean of the whole window."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        total = (features * kept[..., None]).sum(1, keepdim=True)
        mean = total / kept.sum(1)[:, None, None]
        return mean.expand_as(features), kept
