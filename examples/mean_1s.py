"""The mean of log-mel energies over each second: what is left when timing within it is lost."""

import torch
from log_mel import log_mel, mel_filters


class SecondMeanEncoder(torch.nn.Module):
    """One frame per second that a window has begun."""

    output_dim = 64

    def __init__(self):
        super().__init__()
        self.register_buffer("filters", mel_filters(64))

    def forward(self, audio, mask):
        """Average the frames of each second that are the window's own."""
        mels, lengths = log_mel(audio, mask, self.filters)  # 100 frames a second
        counts = torch.arange(mels.shape[1], device=mels.device)[None] < lengths[:, None]
        padding = -mels.shape[1] % 100
        counts = torch.nn.functional.pad(counts.float(), (0, padding)).unflatten(1, (-1, 100))
        mels = torch.nn.functional.pad(mels, (0, 0, 0, padding)).unflatten(1, (-1, 100))
        total = counts.sum(2)
        features = (mels * counts[..., None]).sum(2) / total.clamp(min=1)[..., None]
        return features, total > 0
