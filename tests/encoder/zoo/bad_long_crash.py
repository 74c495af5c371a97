"""Has positions for thirty seconds only."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output_dim = 4
        self.positions = torch.nn.Parameter(torch.zeros(750, 1))

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        return features + self.positions[: features.shape[1]], kept
