"""Its mask counts frames twice as short as its features'."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        lengths = mask.sum(1) // 320
        return features, torch.arange(kept.shape[1])[None] < lengths[:, None].clamp(min=1)
