"""Writes to every descriptor that it can find."""

import contextlib
import os

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        for descriptor in range(3, 1024):
            with contextlib.suppress(OSError):
                os.write(descriptor, b"boo" * 10)
        return cut(audio, mask)
