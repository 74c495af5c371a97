"""Checks that compare several answers: what a mask means, whether anything varies or is carried.

Each takes an `Examination` and writes its findings there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.contract import mask_snippet
from auricle.encoder.examination import Examination
from auricle.encoder.host import probe_audio
from auricle.encoder.properties import TOLERANCE, difference_of
from auricle.encoder.protocol import Sums
from auricle.encoder.situations import (
    CARRIED_STATE,
    NOT_REPEATABLE,
    RANDOM_NUMBERS,
    Windows,
    windows_of,
)
from auricle.errors import EncoderError

_NOTHING_CARRIED = "Nothing is carried from one call to the next."

Frames = list[NDArray[np.float32]]
NO_SUMS = Sums(ok=True, parameters=[], buffers=[])


def check_mask_meaning(exam: Examination) -> None:
    """A mask must keep as many frames of a padded window as the window has alone."""
    windows = windows_of("padding")
    padded = exam.outcomes.get("padding")
    frames = padded.frames if padded is not None else None
    if frames is None or padded is None or padded.raw is None:
        return
    mask = padded.raw.mask
    if mask is None:
        note = "None: every frame counts, so windows of equal length will share batches."
        exam.passes("mask_meaning", note)
        return
    if mask.all():
        note = "It keeps padding too, so windows of equal length will share batches."
        exam.passes("mask_meaning", note)
        return
    exam.passes("mask_meaning", "It keeps a window's own frames and drops padding.")
    for row, (label, window) in enumerate(windows.items()):
        situation = "shortest_clip" if row == len(windows) - 1 else "one_clip"
        alone = exam.try_batch(situation, {label: window})
        alone_frames = alone.frames if alone is not None else None
        if alone_frames is None:
            continue
        kept, expected = len(frames[row]), len(alone_frames[0])
        beyond = int(mask[row, expected + 1 :].sum())
        allowed = 1 + expected // 50  # rounding at the edges
        if abs(kept - expected) > allowed or beyond > allowed:
            exam.fails(
                "mask_meaning",
                f"The mask keeps {kept} frames of {label} beside longer windows, {beyond} of "
                f"them in the padding; alone it has {expected} frames, and the same first "
                f"{expected} are expected. Compute the mask from each window's own length:\n"
                f"{mask_snippet(exam.process.mask_name)}",
            )
            return


def check_repeatability(exam: Examination) -> None:
    """The same window must give the same features, whatever the seed and the calls before."""
    first_heard = exam.outcomes.get("one_clip") if exam.starts == 1 else None
    first_ever = first_heard.all_frames if first_heard is not None else None
    window = {"a window of 1.9 s": probe_audio(2, 30_411)}
    first = exam.frames_of("one_clip", window)
    reseeded = exam.frames_of("one_clip", window, seed=1) if first else None
    later = exam.frames_of("one_clip", windows_of("one_clip")) if reseeded else None
    again = exam.frames_of("one_clip", window) if later else None
    if not first or not reseeded or not later or not again:
        why = exam.gave_up or "Not compared, because the encoder gave no features to compare."
        exam.misses("determinism", why)
        exam.misses("state", why)
    elif _differ(first, reseeded):
        repeated = exam.frames_of("one_clip", window)
        if repeated is not None and not _differ(first, repeated):
            exam.fails("determinism", RANDOM_NUMBERS)
            exam.passes("state", _NOTHING_CARRIED)
        else:
            _name_variation(exam, window)
    else:
        exam.passes("determinism", "The same window gives the same features.")
        if _differ(first, again) or (first_ever is not None and _differ(first_ever, later)):
            exam.fails("state", CARRIED_STATE)
        else:
            exam.passes("state", _NOTHING_CARRIED)


def _name_variation(exam: Examination, window: Windows) -> None:
    """Features that change from call to call: by state, if two fresh processes agree."""
    runs: list[list[Frames]] = []
    while len(runs) < 2 and exam.restart():
        calls = [exam.frames_of("one_clip", window) for _ in range(2)]
        runs.append([frames for frames in calls if frames is not None])
    if [len(run) for run in runs] != [2, 2] or any(
        _differ(one, other) for one, other in zip(*runs, strict=True)
    ):
        exam.fails("determinism", NOT_REPEATABLE)
        exam.misses("state", "Not told apart from features that vary by themselves.")
    else:
        exam.passes("determinism", "Two fresh processes give the same features.")
        exam.fails("state", CARRIED_STATE)


def parameter_sums(exam: Examination) -> Sums:
    """Sums of parameters and buffers; none of either if the encoder's process cannot say."""
    exam.process.batch_timeout_s = max(0.5, exam.left_s / 3)
    try:
        return exam.process.parameter_sums()
    except EncoderError as error:
        exam.misses("frozen", f"Not seen: {error}")
        return NO_SUMS


def check_frozen(exam: Examination, before: Sums) -> None:
    """No parameter may have changed since the encoder was loaded."""
    if exam.gave_up or exam.starts > 1 or not exam.process.is_running:
        again = "had to be started again" if exam.starts > 1 else "ended before"
        exam.misses("frozen", exam.gave_up or f"Not compared, because the encoder {again}.")
        return
    after = parameter_sums(exam)
    if exam.finding("frozen").why_missed:
        return
    changed = sum(
        one != other for one, other in zip(before.parameters, after.parameters, strict=False)
    )
    if changed or len(before.parameters) != len(after.parameters):
        exam.fails(
            "frozen",
            f"{changed} of {len(after.parameters)} parameters changed while encoding; a frozen "
            "encoder keeps its weights. Do not train or write to them in forward.",
        )
        return
    note = f"None of {len(after.parameters)} parameters changed."
    if before.buffers != after.buffers:
        note += " Some buffers did; that is allowed as long as the features stay the same."
    exam.passes("frozen", note)


def judge_standing_rules(exam: Examination) -> None:
    """Rules over all answers together: eval mode and one dtype."""
    if exam.training_seen:
        exam.fails(
            "eval_mode",
            f"After {exam.training_seen} a part of the encoder is in training mode; eval mode is "
            "set before every batch and expected to last. Do not call self.train() in forward, "
            "and let train() and eval() of your class call super().",
        )
    elif exam.outcomes:
        exam.passes("eval_mode", "It stays in eval mode.")
    if len(exam.dtypes) > 1:
        seen = "; ".join(f"{dtype} for {where}" for dtype, where in exam.dtypes.items())
        exam.fails("dtype", f"The dtype varies: {seen}. One for all windows is expected.")
    elif exam.dtypes:
        exam.passes("dtype", f"{next(iter(exam.dtypes))}.")


def _differ(one: Frames, other: Frames) -> bool:
    difference = difference_of(one, other)
    return difference is None or difference > TOLERANCE
