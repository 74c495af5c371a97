"""Features of a frame's place alone, as of a model whose audio was never connected."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        place = torch.arange(features.shape[1], dtype=torch.float32)[None, :, None]
        return torch.sin(place * torch.tensor([1.0, 0.1, 0.01, 0.001])).expand_as(features), kept
