"""Takes the audio alone and returns features alone."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio):
        return cut(audio, torch.ones_like(audio))[0]
