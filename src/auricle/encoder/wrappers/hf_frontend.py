"""The preprocessing that Hugging Face models were trained with, in torch on the model's device.

Each function does what the feature extractor named in its docstring does, for windows that are
padded with zeros; the tests compare them. A window's padding never reaches its features.
"""

from __future__ import annotations

import torch
from logmel import mel_filters  # type: ignore[import-not-found]  # the file beside this one

_KALDI_FLOOR = 1.192092955078125e-07  # float32's epsilon


def normalised_wave(audio: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Zero mean and unit variance per window, as `Wav2Vec2FeatureExtractor` with do_normalize.

    Args:
        audio: float32 ``[N, S]``, zeros after each window's end.
        lengths: int64 ``[N]``, samples per window.

    Returns:
        float32 ``[N, S]``, zeros after each window's end.
    """
    counts = _within(audio.shape[1], lengths).to(audio.dtype)
    sizes = lengths[:, None].to(audio.dtype)
    centred = (audio - audio.sum(1, keepdim=True) / sizes) * counts
    variance = centred.square().sum(1, keepdim=True) / sizes
    return centred / (variance + 1e-7).sqrt()


class WhisperMel(torch.nn.Module):
    """Log-mel energies scaled by each window's own maximum, as `WhisperFeatureExtractor`."""

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, num_bands: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(400), persistent=False)
        self.register_buffer("filters", mel_filters(num_bands, 201, 16_000), persistent=False)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Give float32 ``[N, bands, S / 160]`` of ``[N, S]``, S a multiple of 160."""
        spectrum = torch.stft(audio, 400, 160, window=self.window, return_complex=True)
        power = spectrum[..., :-1].abs().square()
        mel = (self.filters @ power).clamp(min=1e-10).log10()
        loudest = mel.amax((1, 2), keepdim=True)
        return (torch.maximum(mel, loudest - 8) + 4) / 4


class KaldiBanks(torch.nn.Module):
    """80 Kaldi filter banks per window, two frames stacked, as `SeamlessM4TFeatureExtractor`.

    Povey window of 25 ms every 10 ms, no frame beyond the edges, mean removed, pre-emphasis 0.97.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        hann = torch.hann_window(400, periodic=False, dtype=torch.float64)
        self.register_buffer("window", hann.pow(0.85).float(), persistent=False)
        self.register_buffer("filters", _kaldi_filters(80), persistent=False)

    @staticmethod
    def frames(lengths: torch.Tensor) -> torch.Tensor:
        """Stacked frames of windows of these lengths, of at least 560 samples each."""
        return ((lengths - 400) // 160 + 1) // 2

    def forward(self, audio: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Give float32 ``[N, frames, 160]`` of ``[N, S]``, zeros after each window's end."""
        pieces = (audio * 2**15).unfold(1, 400, 160)
        pieces = pieces - pieces.mean(2, keepdim=True)
        before = torch.cat([pieces[..., :1], pieces[..., :-1]], 2)
        spectrum = torch.fft.rfft((pieces - 0.97 * before) * self.window, n=512)
        banks = (spectrum.abs().square() @ self.filters).clamp(min=_KALDI_FLOOR).log()
        fine = (lengths - 400) // 160 + 1
        counts = _within(banks.shape[1], fine).to(banks.dtype)[..., None]
        sizes = fine[:, None, None].to(banks.dtype)
        centred = (banks - (banks * counts).sum(1, keepdim=True) / sizes) * counts
        # Divided by one less, as the extractor does.
        variance = centred.square().sum(1, keepdim=True) / (sizes - 1)
        normed = centred / (variance + 1e-7).sqrt()
        even: torch.Tensor = normed[:, : banks.shape[1] // 2 * 2]
        return even.reshape(len(audio), -1, 160)


def _kaldi_filters(num_bands: int) -> torch.Tensor:
    """Triangles in Kaldi's mel scale 1127 ln(1 + f / 700) from 20 Hz: ``[257, bands]``."""
    bins = 1127 * torch.log1p(torch.linspace(0, 8_000, 257, dtype=torch.float64) / 700)
    low, high = (
        1127 * torch.log1p(torch.tensor(hz, dtype=torch.float64) / 700) for hz in (20, 8_000)
    )
    edges = torch.linspace(float(low), float(high), num_bands + 2, dtype=torch.float64)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0).T.float().contiguous()


def _within(size: int, lengths: torch.Tensor) -> torch.Tensor:
    return torch.arange(size, device=lengths.device)[None] < lengths[:, None]
