"""Turns on autocast inside."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output_dim = 4
        self.layer = torch.nn.Linear(4, 4)

    def forward(self, audio, mask):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layer(cut(audio, mask)[0]).float(), cut(audio, mask)[1]
