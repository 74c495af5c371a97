"""Judges one answer of an encoder rule by rule, so that the checker can report every broken one.

A run stops at the first (`contract.read_batch`); the same functions are asked here one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.contract import (
    RawBatch,
    WindowNames,
    check_dimensions,
    check_finite,
    check_form,
    check_frame_count,
    check_mask_keeps,
    check_mask_shape,
    check_mask_values,
    copy_features,
    copy_mask,
    drop_masked,
)
from auricle.encoder.host import EncoderProcess
from auricle.encoder.protocol import Batch, Description
from auricle.errors import EncoderContractError

# Each rule, and what is said where every answer kept it.
RULES = {
    "output": "Features, with a mask or without.",
    "dtype": "Floating point.",
    "dimensions": "[B, T', output_dim], one row per window.",
    "frame_count": "At least one frame, and no more frames than samples.",
    "mask_shape": "One value per frame, or no mask.",
    "mask_values": "Zeros and ones, or no mask.",
    "mask_meaning": "Something of every window is kept.",
    "finite": "No NaN and no infinity.",
}


@dataclass(slots=True)
class Outcome:
    """What one batch came to.

    ``problems`` maps broken rules to sentences, ``judged`` are the rules that could be asked.
    ``raw`` is None where a rule about the features' shape is broken, ``sound`` means that no rule
    about their mask or values is broken either.
    """

    windows: WindowNames
    problems: dict[str, str] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)
    dtype: str = ""
    raw: RawBatch | None = None
    sound: bool = False
    training: bool = False

    @property
    def frames(self) -> list[NDArray[np.float32]] | None:
        """Each window's frames that count, as float32; None if there are none to trust."""
        if self.raw is None or not self.sound:
            return None
        return [one.as_float32() for one in drop_masked(self.raw)]

    @property
    def all_frames(self) -> list[NDArray[np.float32]] | None:
        """Each window's frames, masked ones too: enough to see whether anything varies."""
        if self.raw is None:
            return None
        return [one.as_float32() for one in drop_masked(self.raw._replace(mask=None))]

    def holds(self, rule: str, check: Callable[[], object]) -> bool:
        """Ask one rule; true when it is kept."""
        self.judged.add(rule)
        try:
            check()
        except EncoderContractError as error:
            self.problems[rule] = str(error)
            return False
        return True


def judge(answer: Batch, process: EncoderProcess, windows: WindowNames) -> Outcome:
    """Ask every rule about an answer to `EncoderProcess.ask_batch`.

    Raises:
        EncoderContractError: The answer is not of the protocol at all.
    """
    outcome = Outcome(windows, training=answer.training)
    rule = answer.bad_output.rule if answer.bad_output else "output"
    said = answer.features
    if not outcome.holds(rule, lambda: check_form(answer, windows=windows)) or said is None:
        return outcome
    outcome.judged |= {"output", "dtype"}
    outcome.dtype = said.dtype
    if not (
        outcome.holds(
            "dimensions",
            lambda: check_dimensions(said.shape, output_dim=process.output_dim, windows=windows),
        )
        and outcome.holds("frame_count", lambda: check_frame_count(said.shape, windows=windows))
    ):
        return outcome
    features = copy_features(said, process.features_file)
    outcome.raw = RawBatch(features, None, said.dtype)
    mask_is_sound = _judge_mask(outcome, answer, process, said)
    if not mask_is_sound and min(windows.lengths) < max(windows.lengths):
        return outcome
    encoded = drop_masked(outcome.raw)

    def all_finite() -> None:
        for row, one in enumerate(encoded):
            check_finite(one.frames, said.dtype, windows.one(row))

    outcome.sound = outcome.holds("finite", all_finite) and mask_is_sound
    return outcome


def _judge_mask(
    outcome: Outcome, answer: Batch, process: EncoderProcess, features: Description
) -> bool:
    windows = outcome.windows
    if answer.mask is None:
        outcome.judged |= {"mask_shape", "mask_values", "mask_meaning"}
        return True
    said = answer.mask
    if not outcome.holds(
        "mask_shape", lambda: check_mask_shape(said.shape, features.shape, windows=windows)
    ):
        return False
    values = copy_mask(said, process.features_file, after=features)
    if not outcome.holds(
        "mask_values", lambda: check_mask_values(values, said.dtype, windows=windows)
    ):
        return False
    mask = values == 1
    if not outcome.holds("mask_meaning", lambda: check_mask_keeps(mask, windows=windows)):
        return False
    assert outcome.raw is not None
    outcome.raw = outcome.raw._replace(mask=mask)
    return True
