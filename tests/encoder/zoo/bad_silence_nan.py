"""Divides by the level: NaN for silence."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        return features / audio.abs().amax(1)[:, None, None], kept
