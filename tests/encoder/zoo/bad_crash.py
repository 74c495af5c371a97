"""Always raises."""

import torch


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        raise RuntimeError("I never work")
