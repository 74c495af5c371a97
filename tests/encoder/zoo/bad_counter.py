"""Features that grow with each call."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output_dim = 4
        self.calls = 0

    def forward(self, audio, mask):
        self.calls += 1
        features, kept = cut(audio, mask)
        return features + self.calls, kept
