"""The whole contract of an encoder: `auricle check examples/minimal.py`."""

import torch


class LoudnessEncoder(torch.nn.Module):
    """The loudness of every 40 ms."""

    output_dim = 1  # D: the width of the features

    def forward(self, audio, mask):
        """Take audio [B, T] at 16 kHz and mask [B, T], 1 = keep; give [B, T', D] and [B, T']."""
        padding = -audio.shape[1] % 640  # one frame per 640 samples: 25 a second
        frames = torch.nn.functional.pad(audio * mask, (0, padding)).unflatten(1, (-1, 640))
        kept = torch.nn.functional.pad(mask, (0, padding)).unflatten(1, (-1, 640)).amax(2)
        loudness = frames.square().mean(2, keepdim=True).add(1e-8).log()
        return loudness, kept  # or None for the mask, if every frame counts
