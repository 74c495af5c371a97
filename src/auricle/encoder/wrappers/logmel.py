"""The built-in `logmel`: 64 mel bands every 10 ms, four stacked: 25 frames a second, D 256.

Nothing is learned: it is what an encoder has to beat. It is reached by path like a user's file and
imports nothing of auricle. Padding cannot leak into a frame that counts, because a frame reads
samples only after the mask has zeroed them, and a window alone is followed by zeros as well.
"""

from __future__ import annotations

import math

import torch

HOP = 160
WINDOW = 400
BANDS = 64
STACK = 4
_CHUNK = 1_024  # frames at a time: what they pass through stays in the processor's cache


def mel_filters(num_bands: int, num_bins: int, sample_rate: float) -> torch.Tensor:
    """Triangles of area 1 on Slaney's mel scale, as `librosa.filters.mel` makes them.

    Linear below 1 kHz (200/3 Hz a mel), logarithmic above (27 mel for a factor 6.4).

    Returns:
        float32 ``[num_bands, num_bins]``.
    """
    top = 15 + 27 * math.log(sample_rate / 2 / 1000) / math.log(6.4)
    mels = torch.linspace(0, top, num_bands + 2, dtype=torch.float64)
    edges = torch.where(
        mels < 15, mels * 200 / 3, 1000 * torch.exp((mels - 15) * math.log(6.4) / 27)
    )
    bins = torch.linspace(0, sample_rate / 2, num_bins, dtype=torch.float64)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).float()


class LogMelEncoder(torch.nn.Module):
    """Log-mel energies, mapped to about -1 to 1 by fixed numbers."""

    output_dim = BANDS * STACK
    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        window = torch.hann_window(WINDOW, dtype=torch.float64)
        self.register_buffer("window", (window / window.sum()).float(), persistent=False)
        filters = mel_filters(BANDS, WINDOW // 2 + 1, 16_000)
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)

    def forward(self, audio: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode a batch.

        Args:
            audio: float32 ``[B, T]`` at 16 kHz.
            mask: int32 ``[B, T]``, 1 where a sample counts.

        Returns:
            float32 ``[B, T', 256]`` and the frames' mask, bool ``[B, T']``; a frame counts when it
            starts before its window's end.
        """
        num_frames = -(-audio.shape[1] // (HOP * STACK))
        fine = num_frames * STACK
        needed = (fine - 1) * HOP + WINDOW
        counts = mask.to(audio.dtype)  # float arithmetic is many times faster than int32's
        audio = torch.nn.functional.pad(audio * counts, (0, needed - audio.shape[1]))
        mels = audio.new_empty((len(audio), fine, BANDS))
        for start in range(0, fine, _CHUNK):
            stop = min(start + _CHUNK, fine)
            part = audio[:, start * HOP : (stop - 1) * HOP + WINDOW]
            for row in range(len(audio)):
                mels[row, start:stop] = self._energies(part[row])
        lengths = counts.sum(1).long()
        frames = (lengths + HOP * STACK - 1) // (HOP * STACK)
        kept = torch.arange(num_frames, device=audio.device)[None] < frames[:, None]
        return mels.view(len(audio), num_frames, BANDS * STACK), kept

    def _energies(self, samples: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(samples.unfold(0, WINDOW, HOP) * self.window)
        power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
        energies: torch.Tensor = power @ self.filters
        return energies.clamp_(min=1e-11).log10_().add_(7).mul_(0.4)
