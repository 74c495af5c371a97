"""The class has another name."""

import torch


class Model(torch.nn.Module):
    output_dim = 4
