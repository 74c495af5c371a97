"""No output_dim."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.width = 4

    def forward(self, audio, mask):
        return cut(audio, mask)
