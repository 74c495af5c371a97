"""Log-mel energies for the examples beside this file, which import it as any sibling."""

import torch

HOP = 160
WINDOW = 400


def mel_filters(num_bands):
    """Triangles evenly spaced in 2595 log10(1 + f / 700): [WINDOW // 2 + 1, bands]."""
    top = 2595 * torch.log10(torch.tensor(1 + 8000 / 700))
    edges = 700 * (10 ** (torch.linspace(0, float(top), num_bands + 2) / 2595) - 1)
    bins = torch.linspace(0, 8000, WINDOW // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles / triangles.sum(1, keepdim=True).clamp(min=1e-6)).T.contiguous()


def log_mel(audio, mask, filters):
    """Log-mel energies every 10 ms, [B, T', bands], and each window's number of frames, [B].

    Padding is zeroed before and after, so that nothing else can be heard in a window's frames.
    """
    frames = -(-audio.shape[1] // HOP)
    padding = (frames - 1) * HOP + WINDOW - audio.shape[1]
    mask = mask.to(audio.dtype)
    pieces = torch.nn.functional.pad(audio * mask, (0, padding)).unfold(1, WINDOW, HOP)
    window = torch.hann_window(WINDOW, device=audio.device)
    power = torch.fft.rfft(pieces * window).abs().square() / window.sum().square()
    mels = (power @ filters).clamp(min=1e-11).log10().add(7).mul(0.4)
    lengths = mask.sum(1).div(HOP).ceil().long()
    counts = torch.arange(frames, device=audio.device)[None] < lengths[:, None]
    return mels * counts[..., None], lengths
