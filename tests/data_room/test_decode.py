"""Decoding as the protocol asks: mono mean, peak division, crop before resampling, 16 kHz."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from auricle.data.decode import SINC_HANN, SOXR, decode, hear, read_header
from auricle.data.resample import resample
from auricle.errors import DataError
from making import audio_bytes, tone


def test_channels_become_their_mean() -> None:
    left, right = tone(300, 0.5), tone(700, 0.5)
    data = audio_bytes(np.stack([left, right], 1), kind="wav")
    np.testing.assert_allclose(decode(data, "wav"), (left + right) / 2, atol=1e-6)


def test_a_clip_whose_peak_exceeds_one_is_divided_by_it() -> None:
    samples = 2.5 * tone(440, 0.2)
    out = decode(audio_bytes(samples, kind="wav"), "wav")
    np.testing.assert_allclose(out, samples / np.abs(samples).max(), atol=1e-6)


def test_a_clip_whose_peak_is_one_or_less_keeps_its_level() -> None:
    samples = 0.3 * tone(440, 0.2)
    np.testing.assert_allclose(decode(audio_bytes(samples, kind="wav"), "wav"), samples, atol=1e-6)


def test_peak_division_uses_the_whole_clip_also_for_a_window() -> None:
    samples = np.concatenate([0.5 * np.ones(1600), 4.0 * np.ones(1600)]).astype("f4")
    out = decode(audio_bytes(samples, kind="wav"), "wav", first=0, count=1600)
    np.testing.assert_allclose(out, 0.125, atol=1e-6)


def test_a_window_is_cut_in_source_samples() -> None:
    samples = np.linspace(-0.5, 0.5, 1000, dtype="f4")
    out = decode(audio_bytes(samples, kind="wav"), "wav", first=100, count=50)
    np.testing.assert_allclose(out, samples[100:150], atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_to_16_khz(rate: int) -> None:
    out = decode(audio_bytes(tone(1000, 1.0, rate), rate), "flac")
    assert abs(len(out) - 16_000) <= 1
    spectrum = np.abs(np.fft.rfft(out[4000:12000] * np.hanning(8000)))
    assert abs(np.argmax(spectrum) * 16_000 / 8000 - 1000) <= 2
    assert abs(np.abs(out[4000:12000]).max() - 0.5) < 0.01


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_the_header_gives_length_and_rate(kind: str) -> None:
    header = read_header(audio_bytes(tone(300, 0.5, 22_050), 22_050, kind), kind)
    assert (header.num_samples, header.sample_rate) == (11_025, 22_050)


def test_bytes_that_are_no_audio_are_refused() -> None:
    with pytest.raises(DataError, match="no decodable flac audio"):
        decode(b"nothing of the kind", "flac")
    with pytest.raises(DataError, match="no readable wav audio"):
        read_header(b"", "wav")


def test_audio_without_samples_is_refused() -> None:
    with pytest.raises(DataError, match="holds no samples"):
        decode(audio_bytes(np.zeros(0, "f4"), kind="wav"), "wav")


def test_samples_that_are_not_finite_are_refused() -> None:
    samples = tone(300, 0.1)
    samples[7] = np.nan
    with pytest.raises(DataError, match="not finite"):
        decode(audio_bytes(samples, kind="wav"), "wav")


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_a_recipe_chooses_the_resampler(rate: int) -> None:
    data = audio_bytes(tone(700, 0.3, rate), rate, "wav")
    first, count = rate // 10, rate // 10
    samples = tone(700, 0.3, rate)[first : first + count]
    found = {
        name: hear(data, "wav", first=first, count=count, resampler=name).samples
        for name in (SOXR, SINC_HANN)
    }
    np.testing.assert_allclose(
        found[SOXR], soxr.resample(samples, rate, 16_000, quality="HQ"), atol=1e-6
    )
    np.testing.assert_allclose(found[SINC_HANN], resample(samples, rate, 16_000), atol=1e-6)
    assert np.abs(found[SOXR][:1500] - found[SINC_HANN][:1500]).max() > 1e-4


def test_what_needs_no_resampling_is_the_same_by_either_resampler() -> None:
    data = audio_bytes(tone(700, 0.3), kind="wav")
    one, other = (hear(data, "wav", resampler=name).samples for name in (SOXR, SINC_HANN))
    assert np.array_equal(one, other)
