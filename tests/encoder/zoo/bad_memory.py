"""Normalises by the loudest window that it has ever heard."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output_dim = 4
        self.loudest = 0.0
        self.heard = []

    def forward(self, audio, mask):
        self.loudest = max(self.loudest, float(audio.abs().max()))
        features, kept = cut(audio, mask)
        return features / max(self.loudest, 1e-3) + len(self.heard), kept
