"""The primitives do to a signal what their names say, measured by plain Fourier analysis."""

from __future__ import annotations

import numpy as np
import pytest

from auricle.seeding import generator
from auricle.synth import signals
from auricle.synth.rooms import Recording, record


@pytest.fixture
def rng():
    return generator("test", "signals")


def _peak_hz(x):
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    return np.argmax(spectrum) * 16_000 / len(x)


@pytest.mark.parametrize("hz", [110.0, 997.0, 5000.0])
def test_a_tone_has_its_frequency_and_unit_amplitude(hz):
    x = signals.tone(hz, 16_000)
    assert _peak_hz(x) == pytest.approx(hz, abs=1)
    assert np.abs(x).max() == pytest.approx(1, abs=0.01)


def test_a_gliding_tone_ends_at_the_last_point():
    x = signals.tone(signals.glide(500, 2000, size=16_000), 16_000)
    assert _peak_hz(x[:1600]) == pytest.approx(575, abs=60)
    assert _peak_hz(x[-1600:]) == pytest.approx(1925, abs=60)


def test_partials_have_the_given_amplitudes():
    x = signals.partials(400.0, 16_000, (1.0, 0.5, 0.0, 0.25))
    sizes = np.abs(np.fft.rfft(x)) / 8000
    assert sizes[[400, 800, 1200, 1600]] == pytest.approx([1, 0.5, 0, 0.25], abs=0.01)


def test_no_partial_lies_above_7600_hz():
    x = signals.partials(1000.0, 16_000, [1.0] * 20)
    sizes = np.abs(np.fft.rfft(x)) / 8000
    assert sizes[7000] > 0.9
    assert sizes[7650:].max() < 0.05


def test_band_noise_lies_in_its_band(rng):
    x = signals.band_noise(rng, 16_000, 2000, 200)
    power = np.abs(np.fft.rfft(x)) ** 2
    # A bell of amplitude with deviation 200 has a bell of power with deviation 141.
    assert power[1577:2424].sum() / power.sum() > 0.99
    assert np.sqrt(np.mean(x**2)) == pytest.approx(1 / 3, rel=0.01)


def test_a_transform_and_its_inverse_keep_the_signal(rng):
    x = rng.standard_normal(1000).astype(np.float32)
    back = signals.signal(signals.spectrum(x, 1024), 1024)
    np.testing.assert_allclose(back[:1000], x, atol=1e-5)


@pytest.mark.parametrize("size", [1, 17, 1000, 40_000, 48_000, 65_537])
def test_a_fast_size_is_even_long_enough_and_not_much_longer(size):
    fast = signals.fast_size(size)
    assert fast % 2 == 0
    assert max(size, 16) <= fast <= max(32, size * 1.34)


def test_decay_falls_to_a_37th_percent_after_its_time():
    envelope = signals.decay(16_000, 0.25, attack_s=0.001)
    assert envelope[4000] == pytest.approx(np.exp(-1), rel=0.01)


def test_add_cuts_what_hangs_over_the_end():
    canvas = np.zeros(10, np.float32)
    signals.add(canvas, np.ones(5, np.float32), 8, 0.5)
    assert canvas.tolist() == [0] * 8 + [0.5] * 2


def test_at_level_sets_the_level_and_leaves_silence_silent():
    x = signals.at_level(np.sin(np.arange(4000, dtype=np.float32)), 0.1)
    assert signals.level_of(x) == pytest.approx(0.1, rel=1e-4)
    assert not signals.at_level(np.zeros(10, np.float32)).any()


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_a_recording_has_the_asked_signal_to_noise_ratio(rng, snr_db):
    dry = np.zeros(64_000, np.float32)
    dry[:32_000] = signals.tone(1000, 32_000)
    how = Recording(snr_db=(snr_db, snr_db), reverberation=0.0, colour_db=0.0)
    wet = record(rng, dry, how)
    noise = np.mean(wet[40_000:] ** 2)
    tone_power = (np.abs(np.fft.rfft(wet[:16_000])[1000]) / 8000) ** 2 / 2
    # The level counts the samples above a tenth of the peak, as those of a sine nearly all are.
    assert 10 * np.log10(tone_power / noise) == pytest.approx(snr_db, abs=0.8)


def test_a_room_makes_a_click_last(rng):
    dry = np.zeros(16_000, np.float32)
    dry[1000] = 1
    quiet = (60.0, 60.0)
    wet = record(rng, dry, Recording(snr_db=quiet, reverberation=0.6, colour_db=0))
    assert np.abs(wet[1100:4000]).max() > 0.005 * np.abs(wet).max()
    assert np.abs(wet[:900]).max() < 0.005 * np.abs(wet).max()


def test_silence_is_recorded_as_background_noise(rng):
    wet = record(rng, np.zeros(16_000, np.float32), Recording())
    assert 0.15 <= np.abs(wet).max() <= 0.9
