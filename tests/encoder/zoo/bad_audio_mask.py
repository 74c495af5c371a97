"""Returns the mask that it was given, in samples."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        return cut(audio, mask)[0], mask
