"""Ends its process."""

import os

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        if not audio.any():
            os._exit(3)
        return cut(audio, mask)
