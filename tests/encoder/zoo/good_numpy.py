"""Computes with numpy."""

import numpy as np
import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        features, kept = cut(audio, mask)
        return features.numpy() * np.float32(2), kept.numpy()
