"""Needs at least half a second."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        if audio.shape[1] < 8_000:
            raise ValueError("the audio is too short")
        return cut(audio, mask)
