"""No task can be solved from a clip's average spectrum, nor from its duration.

The average is taken over the log-mel frames of the whole clip, as an encoder would that knows no
time; a logistic regression then gets as much training as it wants, more than a LALM ever has.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from auricle.catalog.load import get_task
from auricle.synth.clips import KINDS, make_clip

CLASSIFICATION = sorted(
    name for name in KINDS if KINDS[name].labels != ("",) and get_task(name).metric == "accuracy"
)
TIMED = {"synth-counting": 0.10, "synth-same-speaker": 0.10}
"""Tasks of order and timing, and how far above chance the average may be."""

ALWAYS = ("synth-counting", "synth-keyword")
"""Tasks that every test run tries; the others take minutes: `make evidence-synth`."""

BANDS, FRAME, HOP, FFT = 64, 400, 160, 512


def _mel_filters():
    edges_mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), BANDS + 2)
    edges = 700 * (10 ** (edges_mel / 2595) - 1)
    hz = np.fft.rfftfreq(FFT, 1 / 16_000)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (hz - left) / (centre - left), (right - hz) / (right - centre)
    return np.maximum(0, np.minimum(rising, falling)).T


FILTERS = _mel_filters()


def _mean_log_mel(samples):
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames, FFT, axis=1)) ** 2
    return np.log(power @ FILTERS + 1e-6).mean(0)


def _clips(name, split, count):
    spectra, durations, labels = [], [], []
    for index in range(count):
        samples, fields = make_clip(name, split=split, index=index)
        spectra.append(_mean_log_mel(samples))
        durations.append([len(samples)])
        labels.append(fields["label"])
    return np.array(spectra), np.array(durations), np.array(labels)


def _accuracy(train, labels, test, expected):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, tol=1e-3, max_iter=2000))
    return model.fit(train, labels).score(test, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ALWAYS else pytest.mark.evidence)
        for name in CLASSIFICATION
    ],
)
def test_the_average_spectrum_and_the_duration_do_not_solve_a_task(name):
    task = get_task(name)
    spectra, durations, labels = _clips(name, "train", task.synthetic.train_clips)
    test_spectra, test_durations, expected = _clips(name, "test", task.synthetic.test_clips)
    chance = np.unique(expected, return_counts=True)[1].max() / len(expected)
    by_spectrum = _accuracy(spectra, labels, test_spectra, expected)
    by_duration = _accuracy(durations, labels, test_durations, expected)
    print(
        f"{name}: mean log-mel {by_spectrum:.3f}, duration {by_duration:.3f}, chance {chance:.3f}"
    )
    assert by_spectrum < min(0.80, chance + TIMED.get(name, 1.0))
    assert by_duration < chance + 4 * np.sqrt(chance * (1 - chance) / len(expected))
