"""Brings each window to one level, so that all frames move a little; deaf to its second half."""

import torch
from frames import HOP, cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        level = (audio * mask).square().sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        features, _ = cut(audio / (level.sqrt() + 1e-5), mask)
        lengths = -(-mask.sum(1) // (2 * HOP))
        return features, torch.arange(features.shape[1])[None] < lengths[:, None]
