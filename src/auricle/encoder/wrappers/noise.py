"""The built-in `noise`: pseudo-random features that tell only whether two windows are the same.

It is the floor: an encoder that carries no information about the sound, in `logmel`'s frame rate
and width. One hash of the window's own samples seeds all of its frames, so that they depend on
the window alone (law 1) and training on them can learn nothing but the training windows.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch

SAMPLES_PER_FRAME = 640
OUTPUT_DIM = 256


class NoiseEncoder(torch.nn.Module):
    """Uniform noise of mean 0 and variance 1."""

    output_dim = OUTPUT_DIM

    def forward(self, audio: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode a batch.

        Args:
            audio: float32 ``[B, T]``.
            mask: int32 ``[B, T]``, 1 where a sample counts.

        Returns:
            float32 ``[B, T', 256]`` and the frames' mask, bool ``[B, T']``.
        """
        num_frames = -(-audio.shape[1] // SAMPLES_PER_FRAME)
        features = np.zeros((len(audio), num_frames, OUTPUT_DIM), np.float32)
        kept = np.zeros((len(audio), num_frames), bool)
        for row, (samples, own) in enumerate(zip(audio.cpu().numpy(), mask.cpu().numpy())):  # noqa: B905  Python 3.9 has no strict
            window = samples[own != 0]
            count = -(-len(window) // SAMPLES_PER_FRAME)
            features[row, :count] = _noise(window, count)
            kept[row, :count] = True
        return torch.from_numpy(features).to(audio.device), torch.from_numpy(kept).to(audio.device)


def _noise(window: np.ndarray, num_frames: int) -> np.ndarray:
    digest = hashlib.blake2b(window.tobytes(), digest_size=16).digest()
    bits = np.random.Philox(key=int.from_bytes(digest, "little"))
    # Raw words are the same in every numpy release; the generator's own draws need not be.
    words = bits.random_raw(num_frames * OUTPUT_DIM // 4).view(np.uint16)
    uniform = (words.astype(np.float32) + 0.5) / 65_536 - 0.5
    return (uniform * np.float32(12**0.5)).reshape(num_frames, OUTPUT_DIM)
