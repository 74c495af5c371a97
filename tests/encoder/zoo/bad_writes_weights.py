"""Changes its weights while encoding."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output_dim = 4
        self.weight = torch.nn.Parameter(torch.zeros(3))

    def forward(self, audio, mask):
        self.weight.data += 1
        return cut(audio, mask)
