"""More frames than samples."""

import torch


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        return torch.ones(len(audio), audio.shape[1] + 1, 4), None
