"""The reference's resampler: its own figures, other rates by the formula, bits, memory."""

from __future__ import annotations

import json
import math
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from auricle.data.resample import Kernel, resample

DATA = json.loads((Path(__file__).parents[1] / "data" / "resample_cases.json").read_text())


def chirp(rate: int) -> NDArray[np.float64]:
    n = int(rate * 0.05) + 7
    t = np.arange(n) / rate
    return 0.5 * np.sin(2 * np.pi * (100 * t + (rate / 2 - 200) / (2 * t[-1]) * t**2))


def noise(count: int) -> NDArray[np.float64]:
    state, found = 12345, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        found.append((state / 2**30 - 1) * 0.5)
    return np.array(found)


def by_the_formula(
    samples: NDArray[Any], rate_in: int, rate_out: int, outputs: slice = slice(None)
) -> NDArray[np.float64]:
    """Sample by sample, in float64: sinc times the squared cosine over six zero crossings."""
    divisor = math.gcd(rate_in, rate_out)
    one_in, one_out = rate_in // divisor, rate_out // divisor
    cutoff = min(one_in, one_out) * 0.99 / one_in
    count = math.ceil(len(samples) * one_out / one_in)
    places = np.arange(count)[outputs] * one_in / one_out
    distance = (np.arange(len(samples)) - places[:, None]) * cutoff
    inside = np.abs(distance) < 6
    kernel = np.sinc(distance) * np.cos(np.pi * distance / 12) ** 2 * cutoff * inside
    return kernel @ samples


@pytest.mark.parametrize("case", DATA["cases"], ids=lambda case: f"{case['rate']}-{case['kind']}")
def test_the_references_own_output_is_met(case: dict[str, Any]) -> None:
    rate = case["rate"]
    samples = chirp(rate) if case["kind"] == "chirp" else noise(case["samples_in"])
    assert len(samples) == case["samples_in"]
    found = resample(samples.astype(np.float32), rate, 16_000)
    assert len(found) == case["samples_out"]
    shown = len(case["first"])
    middle = len(found) // 2
    assert found[:shown] == pytest.approx(case["first"], abs=1e-6)
    assert found[middle : middle + shown] == pytest.approx(case["middle"], abs=1e-6)
    assert found[-shown:] == pytest.approx(case["last"], abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    st.one_of(
        st.integers(4_000, 192_000),
        st.sampled_from([4_000, 11_025, 12_000, 44_100, 48_000, 88_200, 176_400, 192_000]),
    ),
    st.integers(1, 700),
    st.integers(0, 2**32 - 1),
)
def test_any_rate_and_length_follow_the_formula(rate: int, count: int, seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, count).astype(np.float32)
    found = resample(samples, rate, 16_000)
    assert found.dtype == np.float32
    assert found == pytest.approx(by_the_formula(samples, rate, 16_000), abs=2e-6)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 44_101, 48_000])
def test_a_long_clip_follows_the_formula_at_both_ends_and_between(rate: int) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, rate).astype(np.float32)
    found = resample(samples, rate, 16_000)
    assert len(found) == 16_000
    for first in (0, 5_111, 7_999, 15_910):
        part = slice(first, first + 90)
        wanted = by_the_formula(samples, rate, 16_000, part)
        assert found[part] == pytest.approx(wanted, abs=2e-6), first


def test_the_passband_loses_what_was_measured_of_the_reference() -> None:
    """From 44.1 kHz: -1.8 dB at 7 kHz, -3.7 dB at 7.5 kHz, 8.1 kHz back at -7 dB."""
    time = np.arange(44_100) / 44_100
    for hz, loss in ((1_000, 0.0), (7_000, -1.8), (7_500, -3.7), (8_100, -7.0)):
        tone = np.sin(2 * np.pi * hz * time).astype(np.float32)
        middle = resample(tone, 44_100, 16_000)[4_000:12_000]
        level = 20 * math.log10(float(np.sqrt(2 * np.mean(middle.astype(np.float64) ** 2))))
        assert level == pytest.approx(loss, abs=0.3), hz


def test_the_same_rate_and_nothing_are_left_alone() -> None:
    samples = np.array([0.1, -0.2], np.float32)
    assert resample(samples, 16_000, 16_000) is samples
    assert len(resample(samples[:0], 44_100, 16_000)) == 0


def test_bits_do_not_depend_on_threads_order_or_what_lies_behind() -> None:
    rng = np.random.default_rng(2)
    clips = [
        (rng.uniform(-1, 1, int(rate * length)).astype(np.float32), rate)
        for rate in (8_000, 22_050, 44_100, 44_101, 48_000)
        for length in (0.01, 0.5, 3.3)
    ]
    alone = [resample(samples, rate, 16_000) for samples, rate in clips]
    with ThreadPoolExecutor(4) as pool:
        order = list(reversed(range(len(clips))))
        beside = list(pool.map(lambda place: resample(*clips[place], 16_000), order))
    for place, found in zip(order, beside, strict=True):
        assert found.tobytes() == alone[place].tobytes()
    # memory at another alignment
    for (samples, rate), found in zip(clips, alone, strict=True):
        shifted = np.empty(len(samples) + 1, np.float32)[1:]
        shifted[:] = samples
        assert resample(shifted, rate, 16_000).tobytes() == found.tobytes()


def test_a_kernel_of_any_rate_is_small() -> None:
    for rate in (44_101, 191_999, 192_000, 4_001):
        tracemalloc.start()
        kernel = Kernel.between(rate, 16_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert kernel.weights.nbytes < 24_000_000
        assert peak < 26_000_000, rate
