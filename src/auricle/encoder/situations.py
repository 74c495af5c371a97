"""The windows that the checker tries, and its longer pieces of advice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.contract import SAMPLE_RATE, mask_snippet
from auricle.encoder.host import probe_audio

Windows = dict[str, NDArray[np.float32]]

SITUATIONS = (
    "one_clip",
    "several_clips",
    "shortest_clip",
    "silence",
    "full_scale",
    "padding",
)
HEAVY = ("training_batch", "longest_clip")
CARRIED_STATE = (
    "The features of a window depend on what was encoded before it; on the window alone is "
    "expected. Keep nothing on self between calls: no counters, running means or old features."
)
RANDOM_NUMBERS = (
    "The same window gives other features when random numbers start elsewhere; a frozen encoder "
    "gives the same. Remove dropout (self.training is False) and calls such as torch.rand from "
    "forward."
)
NOT_REPEATABLE = (
    "The same window gives other features each time; a frozen encoder gives the same. Look for a "
    "random generator of its own, the clock, uninitialised memory, or something kept between calls."
)
BATCH_HINT = (
    "Each window will be a batch of its own, which is right but slower. Look for statistics over "
    "the batch: a mean or maximum without dim, batch normalisation in training mode."
)


def padding_hint(mask_name: str, *, takes_mask: bool) -> str:
    """What can be done about an encoder whose features follow padding.

    Args:
        mask_name: What its forward calls the mask.
        takes_mask: Whether it takes one at all.
    """
    given = f"the mask that is given, {mask_name}"
    if not takes_mask:
        given = f"a mask as second argument: def forward(self, audio, {mask_name}=None)"
    return (
        "Windows of equal length will share batches, which is right but slower. To mend it, keep "
        f"padding out of your layers with {given}; and return one in frames:\n"
        f"{mask_snippet(mask_name)}"
    )


def windows_of(name: str) -> Windows:
    """The windows of a situation, by what they are called in messages."""
    second = SAMPLE_RATE
    if name == "silence":
        return {"silence": np.zeros(second, np.float32)}
    if name == "full_scale":
        return {"a full-scale square wave": np.sign(probe_audio(9, second)).astype(np.float32)}
    lengths = {
        "one_clip": {"one clip": second},
        "several_clips": {f"clip {n} of 3": second for n in (1, 2, 3)},
        "shortest_clip": {"the shortest clip": second // 10},
        "padding": {"the longest of three": 4 * second, "the middle": 30_411, "the short": 1_600},
        "training_batch": {f"clip {n} of a training batch": 30 * second for n in (1, 2, 3, 4)},
        "longest_clip": {"the longest clip": 120 * second},
    }
    return {
        label: probe_audio(number, length)
        for number, (label, length) in enumerate(lengths[name].items(), start=10)
    }
