"""Random numbers from a generator of its own, seeded by the clock."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output_dim = 4
        self.generator = torch.Generator()
        self.generator.seed()

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        return features + torch.rand(features.shape, generator=self.generator), kept
