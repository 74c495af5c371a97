"""A fixed number of frames per window, however long it is."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        features = features * kept[..., None]
        total = features.sum(1, keepdim=True) / kept.sum(1)[:, None, None]
        return total.expand(-1, 32, -1), None
