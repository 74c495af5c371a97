"""Dropout that does not look at eval mode."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        return torch.nn.functional.dropout(features, 0.5, training=True), kept
