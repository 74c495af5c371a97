"""Puts itself into training mode."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        self.train()
        return cut(audio, mask)
