"""The zoo: encoders good and broken, each with the right verdict and the right named check."""

import re
import time
from pathlib import Path

import pytest

from auricle.encoder.checks import REQUIRED, CheckReport, check_encoder
from auricle.encoder.load import parse_encoder

ZOO = Path(__file__).parent / "zoo"
BOTH = {"padding_invariant", "batch_invariant"}

# Which of the optional properties a good encoder is found to lack.
GOOD: dict[str, set[str]] = {
    "good_always_30_s": set(),
    "good_arguments": set(),
    "good_autocast": set(),
    "good_batch_statistics": BOTH,
    "good_bfloat16": set(),
    "good_chunks": set(),
    "good_convolution": {"padding_invariant"},
    "good_counts_calls": set(),
    "good_deaf_after_10_s": set(),
    "good_deaf_at_the_start": set(),
    "good_double": set(),
    "good_global": set(),
    "good_half": set(),
    "good_half_deaf": set(),
    "good_holes": set(),
    "good_imports_others": set(),
    "good_int_mask": set(),
    "good_learned": set(),
    "good_list": set(),
    "good_loud": set(),
    "good_mask_of_ones": {"padding_invariant"},
    "good_no_mask": {"padding_invariant"},
    "good_normalises_and_is_deaf": set(),
    "good_numpy": set(),
    "good_one_argument": {"padding_invariant"},
    "good_prints": set(),
    "good_ragged": set(),
    "good_recurrent": set(),
    "good_resampler": set(),
    "good_stretched": set(),
    "good_voice_only": set(),
}

# The required checks that fail, and a piece of what they say.
BAD: dict[str, tuple[set[str], str]] = {
    "bad_additive_mask": ({"mask_values", "mask_meaning"}, r"value -inf .*mask > 0.5"),
    "bad_audio_mask": ({"mask_shape"}, r"has the length of the audio[\s\S]*lengths = mask\.sum"),
    "bad_batch_crash": (
        {"several_clips", "padding", "training_batch"},
        r"one window at a time, please",
    ),
    "bad_constant": ({"hearing"}, r"Nothing of the features changes .* All features are 0.25\."),
    "bad_constructor": ({"load"}, r"missing a required argument: 'weights'"),
    "bad_counter": ({"state"}, r"depend on what was encoded before"),
    "bad_crash": ({"one_clip", "several_clips", "shortest_clip"}, r"I never work"),
    "bad_descriptors": ({"one_clip", "several_clips", "shortest_clip"}, r"descriptors"),
    "bad_dict": ({"output"}, r"a dict with the keys last_hidden_state"),
    "bad_dropout": ({"determinism"}, r"Remove dropout"),
    "bad_dtype_varies": ({"dtype"}, r"dtype varies: float32 for .*; float16 for"),
    "bad_eval_override": ({"determinism", "eval_mode"}, r"let train\(\) and eval\(\)"),
    "bad_exit": ({"one_clip", "several_clips", "shortest_clip"}, r"SystemExit: 3"),
    "bad_first_only": ({"dimensions"}, r"3 rows are expected"),
    "bad_half_overflow": ({"finite"}, r"inf in frame .* a full-scale square wave .*half precision"),
    "bad_hang": ({"silence"}, r"did not finish within"),
    "bad_hang_always": (set(), r"Not finished within 12 s, loading included"),
    "bad_hang_at_import": (set(), r"did not finish starting"),
    "bad_hard_exit": ({"silence"}, r"exit code 3"),
    "bad_import": ({"load"}, r"Install that package"),
    "bad_integers": ({"dtype"}, r"features of dtype torch.int64"),
    "bad_inverted_mask": ({"mask_meaning"}, r"return ~mask"),
    "bad_lengths": ({"mask_shape"}, r"Were these lengths"),
    "bad_long_crash": ({"longest_clip"}, r"must match the size of tensor"),
    "bad_mask_at_the_end": ({"mask_meaning"}, r"of them in the padding"),
    "bad_mask_step": ({"mask_meaning"}, r"alone it has 48 frames"),
    "bad_memory": ({"state"}, r"depend on what was encoded before"),
    "bad_no_class": ({"load"}, r"Classes seen: Model"),
    "bad_no_module": ({"load"}, r"an encoder is a torch.nn.Module"),
    "bad_no_width": ({"output_dim"}, r"output_dim is missing"),
    "bad_own_random": ({"determinism"}, r"generator of its own"),
    "bad_positions": ({"hearing"}, r"exchanged at 20 places.* is it used in forward\?$"),
    "bad_running_mean": ({"state"}, r"running means"),
    "bad_segfault": ({"several_clips", "padding", "training_batch"}, r"SIGSEGV"),
    "bad_short_crash": ({"shortest_clip"}, r"the audio is too short"),
    "bad_short_empty": ({"frame_count"}, r"no frame at all"),
    "bad_silence_nan": ({"finite"}, r"nan in frame 0 of silence \(1.00 s\)"),
    "bad_soft_mask": ({"mask_values"}, r"value 0.9"),
    "bad_squeeze": ({"dimensions"}, r"three dimensions \[B, T', D\] = \[1, frames, 4\]"),
    "bad_time_first": ({"dimensions"}, r"put the batch first"),
    "bad_too_many_frames": ({"frame_count"}, r"more frames than the 16000 samples"),
    "bad_train_mode": ({"eval_mode"}, r"Do not call self.train\(\)"),
    "bad_transposed": ({"dimensions"}, r"features.transpose\(1, 2\)"),
    "bad_two_classes": ({"load"}, r"py:OneEncoder, .*py:TwoEncoder"),
    "bad_width": ({"dimensions"}, r"Set self.output_dim = 4"),
    "bad_writes_weights": ({"frozen"}, r"1 of 1 parameters changed"),
    "bad_zero_mask": ({"mask_meaning"}, r"keeps no frame"),
    "bad_zeros": ({"hearing"}, r"All features are zero\."),
}


RATES = {"good_always_30_s": 75, "good_half_deaf": 12.5, "good_resampler": 3.2} | {
    "good_normalises_and_is_deaf": 12.5,
    "good_stretched": 50,
}
"""Frames a second; of 32 frames for every window, none is gained by a longer one: those of 10 s
count. All others have 25."""
NOTED = {"good_always_30_s", "good_one_argument", "good_resampler"}
_HALF = "nothing answers to 4.9-10 s of 10 s; is the hop 640 or 1280?"
# How frames answer, what is said of parts that are not heard, a piece of the note.
HEARING = {
    "good_always_30_s": ("local", "", "750 for 0.1 s, 750 for 10 s"),
    "good_deaf_after_10_s": ("local", "nothing answers to 10-30 s of 30 s", ""),
    "good_deaf_at_the_start": ("local", "nothing answers to 0-1 s of 10 s", ""),
    "good_global": ("global", "", "all frames move alike"),
    "good_half_deaf": ("local", _HALF, ""),
    "good_normalises_and_is_deaf": ("local", _HALF, ""),
    "good_resampler": ("global", "", "32 for 0.1 s, 32 for 10 s"),
    "good_stretched": (
        "local",
        "its frames answer at 0.5 times the place of what was changed in 10 s; "
        "is the hop 640 or 320?",
        "",
    ),
}


def check(name: str, time_limit_s: float) -> CheckReport:
    started = time.monotonic()
    report = check_encoder(parse_encoder(str(ZOO / f"{name}.py")), time_limit_s=time_limit_s)
    assert time.monotonic() - started < 2 * time_limit_s + 0.5
    # deaf to everything is a failed check; deaf in part or not reached is none
    deaf = [c.name for c in report.checks if c.name == "hearing" and c.required]
    assert [c.name for c in report.checks if c.required] == [*REQUIRED, *deaf]
    return report


def failed(report: CheckReport) -> set[str]:
    return {c.name for c in report.checks if c.required and c.passed is False}


def test_the_zoo_is_complete() -> None:
    assert {path.stem for path in ZOO.glob("*_*.py")} == {*GOOD, *BAD}
    assert len({*GOOD, *BAD}) >= 30


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_encoder_passes(name: str) -> None:
    report = check(name, 60)
    assert failed(report) == set()
    assert report.passed
    lacking = {c.name for c in report.checks if c.name in BOTH and c.passed is False}
    assert lacking == GOOD[name]
    # 32 frames for every window: no frame is gained by a longer one, so those of 10 s count.
    assert report.frame_rate_hz == RATES.get(name, 25)
    hearing = next(c for c in report.checks if c.name == "hearing")
    response, remark, note = HEARING.get(name, ("local", "", ""))
    lengths = report.properties["hearing"]["lengths"]
    assert {one["response"] for one in lengths} == {response}
    assert sorted(one["length_s"] for one in lengths) == [2, 10, 30, 120]
    assert report.remark == report.properties["hearing"]["remark"] == remark
    assert hearing.passed is not bool(remark)
    assert note in f"{hearing.message} {report.notes}"
    assert bool(report.notes) is (name in NOTED)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BAD))
def test_a_broken_encoder_fails_under_the_right_name(name: str) -> None:
    names, says = BAD[name]
    report = check(name, 12 if "hang" in name else 60)
    assert failed(report) == names
    assert not report.passed
    told = names or {c.name for c in report.checks if c.verdict == "not measured"}
    problems = "\n".join(c.message for c in report.checks if c.name in told)
    assert re.search(says, problems), problems
