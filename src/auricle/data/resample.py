"""The reference's resampler: sinc kernel, Hann window, 6 zero crossings to each side, rolloff 0.99.

The kernel is that of Smith's "Digital Audio Resampling" (https://ccrma.stanford.edu/~jos/resample/)
with the constants that the reference implementation takes from torchaudio's defaults. It is not
transparent: from 44.1 kHz it has lost 1.8 dB at 7 kHz, and 8.1 kHz comes back as an alias. That
shapes what an encoder hears, so official runs use it; `soxr` HQ, which is flat, is the default.

Output sample n is a sum over the input within 6 zero crossings of its place n * rate / 16000. Some
outputs side by side read nearly the same input, so `_OUTPUTS` of them are one small matrix product.
Products have one shape for a pair of rates and are too small for a linear algebra library to split:
the bits depend on the window alone, not on threads, order or what else is computed.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

ZERO_CROSSINGS = 6
ROLLOFF = 0.99
_OUTPUTS = 16
"""Outputs per product."""
_MOST_ROWS = 64
"""Periods per product; fewer where a period is long. The last product is padded with silence."""
_KEPT_BYTES = 24_000_000
"""Kernels of different rates that are kept; one of 192 kHz at a rate without common divisors has
21 MB, one of 44.1 kHz 47 kB."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """What brings one rate to another."""

    period_in: int
    """Input samples per period."""
    period_out: int
    """Output samples per period: a multiple of `_OUTPUTS`."""
    before: int
    """Input samples before a period's start that its first output reads."""
    starts: NDArray[np.int64]
    """int64 ``[groups]``: first input sample of each group of outputs, relative to ``-before``."""
    weights: NDArray[np.float32]
    """float32 ``[groups, taps, _OUTPUTS]``."""

    @classmethod
    def between(cls, rate_in: int, rate_out: int) -> Kernel:
        """Compute the kernel of a pair of rates, in Hz."""
        divisor = math.gcd(rate_in, rate_out)
        one_in, one_out = rate_in // divisor, rate_out // divisor
        cutoff = min(one_in, one_out) * ROLLOFF
        reach = ZERO_CROSSINGS * one_in / cutoff  # in input samples, to each side
        step = one_in / one_out
        taps = math.ceil(2 * reach + (_OUTPUTS - 1) * step) + 2
        # Rows of the input that a product reads must not overlap further than they are long.
        repeat = _OUTPUTS // math.gcd(_OUTPUTS, one_out)
        repeat *= math.ceil(taps / (one_in * repeat))
        period_in, period_out = one_in * repeat, one_out * repeat
        firsts = np.arange(0, period_out, _OUTPUTS)
        starts = np.floor(firsts * step - reach).astype(np.int64)
        before = -int(starts[0])
        weights = np.empty((len(firsts), taps, _OUTPUTS), np.float32)
        for group, (first, start) in enumerate(zip(firsts, starts, strict=True)):
            outputs = (first + np.arange(_OUTPUTS)) * one_in
            inputs = (start + np.arange(taps)) * one_out
            # exact integers up to here: the distance in units of 1 / (one_in * one_out)
            distance = (inputs[:, None] - outputs) * (cutoff / (one_in * one_out))
            weights[group] = _windowed_sinc(distance) * (cutoff / one_in)
        return cls(period_in, period_out, before, starts + before, weights)

    def apply(self, samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
        """Resample.

        Args:
            samples: float32 ``[n]``.
            length: How many output samples are wanted.

        Returns:
            float32 ``[length]``.
        """
        groups, taps, _ = self.weights.shape
        rows = min(_MOST_ROWS, max(4, 4096 // self.period_out))
        tiles = max(1, math.ceil(length / (self.period_out * rows)))
        padded = np.zeros(tiles * rows * self.period_in + int(self.starts[-1]) + taps, np.float32)
        kept = samples[: len(padded) - self.before]
        padded[self.before : self.before + len(kept)] = kept
        item = padded.itemsize
        strides = (rows * self.period_in * item, self.period_in * item, item)
        found = np.empty((groups, tiles, rows, _OUTPUTS), np.float32)
        for group in range(groups):
            view = np.lib.stride_tricks.as_strided(
                padded[self.starts[group] :], (tiles, rows, taps), strides, writeable=False
            )
            np.matmul(view, self.weights[group], out=found[group])
        return found.transpose(1, 2, 0, 3).reshape(-1)[:length]


def _windowed_sinc(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The kernel at distances in zero crossings; 0 from `ZERO_CROSSINGS` on."""
    inside = np.clip(distance, -ZERO_CROSSINGS, ZERO_CROSSINGS)
    window = np.cos(inside * (math.pi / ZERO_CROSSINGS / 2)) ** 2
    return np.where(np.abs(distance) < ZERO_CROSSINGS, np.sinc(inside) * window, 0.0)


_kernels: OrderedDict[tuple[int, int], Kernel] = OrderedDict()
_lock = Lock()


def resample(samples: NDArray[np.float32], rate_in: int, rate_out: int) -> NDArray[np.float32]:
    """Bring samples to another rate as the reference implementation does.

    Args:
        samples: float32 ``[n]``.
        rate_in: Their rate, in Hz.
        rate_out: The wanted one, in Hz.

    Returns:
        float32 ``[ceil(n * rate_out / rate_in)]``.
    """
    if rate_in == rate_out or not len(samples):
        return samples
    length = -(-len(samples) * rate_out // rate_in)
    return _kernel(rate_in, rate_out).apply(samples, length)


def _kernel(rate_in: int, rate_out: int) -> Kernel:
    """A kernel that was computed before, or now; threads wait for each other."""
    with _lock:
        found = _kernels.pop((rate_in, rate_out), None)
        if found is None:
            found = Kernel.between(rate_in, rate_out)
        _kernels[rate_in, rate_out] = found
        while sum(kernel.weights.nbytes for kernel in _kernels.values()) > _KEPT_BYTES:
            if len(_kernels) == 1:
                break
            _kernels.popitem(last=False)
    return found
