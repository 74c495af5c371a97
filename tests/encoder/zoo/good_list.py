"""Returns a list of features and mask."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        return list(cut(audio, mask))
