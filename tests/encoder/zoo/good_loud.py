"""Features of a size of ten thousand, with one dimension that is larger still."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        return features * 1e4 + torch.tensor([0.0, 0.0, 0.0, 1e6]), kept
