"""Calls sys.exit."""

import sys

import torch


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        sys.exit(3)
