"""Returns a dictionary."""

import torch
from frames import cut


class ZooEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        return {"last_hidden_state": cut(audio, mask)[0]}
