"""Its train() does nothing, so eval mode never comes."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output_dim = 4
        self.dropout = torch.nn.Dropout(0.5)

    def train(self, mode=True):
        return self

    def forward(self, audio, mask):
        return self.dropout(cut(audio, mask)[0]), None
