"""Features of another width than output_dim says."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 5

    def forward(self, audio, mask):
        return cut(audio, mask)
