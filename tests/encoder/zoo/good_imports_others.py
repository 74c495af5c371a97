"""Imports another ...Encoder class, which is not its own."""

import torch
from frames import cut
from good_list import ZooEncoder as ListEncoder

assert ListEncoder


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        return cut(audio, mask)
