"""Gives no frame below half a second."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, _kept = cut(audio, mask)
        count = audio.shape[1] // 640 if audio.shape[1] >= 8_000 else 0
        return features[:, :count], None
