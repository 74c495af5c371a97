"""Never ends for silence."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        while not audio.any():
            pass
        return cut(audio, mask)
