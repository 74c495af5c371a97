"""The hop is wrong by two: its frames cover the first half of each window alone."""

import torch
from frames import HOP, cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, _ = cut(audio, mask)
        lengths = -(-mask.sum(1) // (2 * HOP))
        return features, torch.arange(features.shape[1])[None] < lengths[:, None]
