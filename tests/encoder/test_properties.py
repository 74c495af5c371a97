from collections.abc import Callable

import numpy as np
import pytest

from auricle.encoder.host import EncoderProcess
from auricle.encoder.properties import Properties, difference_of, measure_properties

Measure = Callable[..., Properties]

FRAMES = """
x = torch.nn.functional.pad(audio, (0, -audio.shape[1] % 640)).unflatten(1, (-1, 640))
x = x[:, :, :4].contiguous()
n = -(-mask.sum(1) // 640)
kept = torch.arange(x.shape[1])[None] < n[:, None]
"""


@pytest.fixture
def measure(start: Callable[..., EncoderProcess], write_encoder: Callable[..., str]) -> Measure:
    return lambda forward: measure_properties(start(write_encoder(FRAMES + forward)))


def test_an_encoder_with_a_right_mask_has_both(measure: Measure) -> None:
    found = measure("return x, kept")
    assert (found.padding_invariant, found.batch_invariant) == (True, True)
    assert found.padding_difference == 0
    assert found.frame_rate_hz == 25
    assert [p.shape for p in found.probes] == [(48, 4), (100, 4)]


@pytest.mark.slow
def test_an_encoder_without_a_mask_is_not_padding_invariant(measure: Measure) -> None:
    found = measure("return x, None")
    assert (found.padding_invariant, found.batch_invariant) == (False, True)
    assert found.padding_difference is None


@pytest.mark.slow
@pytest.mark.parametrize(("amount", "invariant"), [(0.5e-3, True), (2e-3, False)])
def test_the_tolerance_is_a_thousandth_of_the_rms(
    measure: Measure, amount: float, invariant: bool
) -> None:
    """Constant features of RMS 1, moved a little wherever anything is padded."""
    forward = f"x = x * 0 + 1\nif not mask.all(): x = x + {amount}\nreturn x, kept"
    found = measure(forward)
    assert found.padding_invariant is invariant
    assert found.padding_difference == pytest.approx(amount, rel=1e-3)


@pytest.mark.slow
def test_normalising_over_the_batch_is_not_batch_invariant(measure: Measure) -> None:
    found = measure("return x - x.mean(), kept")
    assert (found.padding_invariant, found.batch_invariant) == (False, False)


@pytest.mark.slow
def test_one_frame_a_second_and_a_fixed_number_of_frames_have_a_rate(measure: Measure) -> None:
    slow = "n = -(-audio.shape[1] // 16000)\nreturn torch.ones(len(audio), n, 4), None"
    assert measure(slow).frame_rate_hz == 1
    assert measure("return torch.ones(len(audio), 1500, 4), None").frame_rate_hz == 150


def test_differences_are_relative_to_the_rms() -> None:
    one = np.full((2, 2), 10, np.float32)
    assert difference_of([one], [one + 1]) == pytest.approx(0.1)
    assert difference_of([one * 0], [one * 0]) == 0
    assert difference_of([one * 0], [one]) == pytest.approx(1.0)
    assert difference_of([one], [one[:1]]) is None
