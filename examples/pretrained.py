"""A model of your own with weights from a file: arguments, layers, and a mask from a stride.

Run it with `--encoder-args '{"weights": "mine.safetensors"}'`; without, its weights are random.
"""

import torch

STRIDE = 4 * 160  # samples per frame: 25 frames a second


class ConvolutionEncoder(torch.nn.Module):
    """Two strided convolutions over the samples."""

    def __init__(self, weights=None, width=128):
        super().__init__()
        self.first = torch.nn.Conv1d(1, width, kernel_size=160, stride=160)
        self.second = torch.nn.Conv1d(width, width, kernel_size=4, stride=4)
        self.output_dim = width
        if weights is not None:
            from safetensors.torch import load_file

            self.load_state_dict(load_file(weights))

    def forward(self, audio, mask):
        """Pad to whole frames, so that no sample is lost, and mark those that begin in time."""
        audio = torch.nn.functional.pad(audio * mask, (0, -audio.shape[1] % STRIDE))
        hidden = torch.nn.functional.gelu(self.first(audio[:, None]))
        features = self.second(hidden).transpose(1, 2)  # [B, D, T'] becomes [B, T', D]
        frames = -(-mask.sum(1) // STRIDE)
        kept = torch.arange(features.shape[1], device=audio.device)[None] < frames[:, None]
        return features, kept
