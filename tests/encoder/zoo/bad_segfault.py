"""Reads through a null pointer."""

import ctypes

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        if len(audio) > 1:
            ctypes.string_at(0)
        return cut(audio, mask)
