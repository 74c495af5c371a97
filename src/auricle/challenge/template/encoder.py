"""The encoder of this submission. Replace the log-mel energies below by your model.

The contract, all of it:
  1. The encoder is a torch.nn.Module whose class name ends in Encoder; ``submission.yaml`` names
     this file, the class and its arguments.
  2. ``self.output_dim`` is the width D of what it returns.
  3. ``forward(audio, mask)``: audio is float32 [B, T], mono, 16 kHz, padded with zeros at the end;
     mask is int32 [B, T], 1 where a sample counts.
  4. It returns ``(features, mask)``: features [B, T', D], finite floats, T' from 1 to T; the mask
     [B, T'] has a 1 for every frame that counts, or is None when all do.
  5. Any length from 0.1 s on must work, and 24 GB of GPU memory must suffice.
  6. It is frozen: called in eval mode, without gradients, and the same audio must give the same
     features whatever else is in the batch.
  7. Weights lie beside this file (find them by ``Path(__file__).parent``) or are fetched by this
     code in ``__init__``; while it is judged there is no network, only what was fetched before.

Try it:  auricle check .      Pack it:  auricle pack .
"""

from __future__ import annotations

import torch

HOP = 640
"""Samples per frame: 25 frames a second."""
WINDOW = 1024
BANDS = 80


class MyEncoder(torch.nn.Module):
    """Log-mel energies: 80 bands, 25 frames a second."""

    filters: torch.Tensor
    window: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.output_dim = BANDS
        self.register_buffer("filters", _mel_filters())
        self.register_buffer("window", torch.hann_window(WINDOW))

    def forward(self, audio: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Audio [B, T] and its mask to features [B, T', D] and theirs."""
        frames = -(-audio.shape[1] // HOP)
        audio = audio * mask  # nothing of the padding may be heard
        padded = torch.nn.functional.pad(audio, (0, (frames - 1) * HOP + WINDOW - audio.shape[1]))
        pieces = padded.unfold(1, WINDOW, HOP) * self.window
        power = torch.fft.rfft(pieces).abs().square()
        features = (power @ self.filters).clamp(min=1e-8).log10()
        lengths = (mask.sum(1) + HOP - 1) // HOP  # frames that count, per window
        kept = torch.arange(frames, device=audio.device)[None] < lengths[:, None]
        return features, kept


def _mel_filters() -> torch.Tensor:
    """Triangles evenly spaced on the mel scale, [WINDOW // 2 + 1, BANDS]."""
    top = 2595 * torch.log10(torch.tensor(1 + 8000 / 700))
    edges = 700 * (10 ** (torch.linspace(0, float(top), BANDS + 2) / 2595) - 1)
    bins = torch.linspace(0, 8000, WINDOW // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles / triangles.sum(1, keepdim=True).clamp(min=1e-6)).T.contiguous()
