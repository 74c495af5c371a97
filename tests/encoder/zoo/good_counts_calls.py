"""Counts its calls in a buffer without letting the features depend on it."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output_dim = 4
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, audio, mask):
        self.calls += 1
        return cut(audio, mask)
