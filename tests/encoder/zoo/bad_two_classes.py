"""Two classes, and no word which one is meant."""

import torch


class OneEncoder(torch.nn.Module):
    pass


class TwoEncoder(torch.nn.Module):
    pass
