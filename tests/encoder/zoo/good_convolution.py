"""Its convolutions let padding leak, so it is not padding-invariant."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output_dim = 4
        self.convolution = torch.nn.Conv1d(4, 4, 9, padding=4)

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        return self.convolution(features.transpose(1, 2) + 1).transpose(1, 2), kept
