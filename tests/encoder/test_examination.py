"""The examination's patience: what is slow, what hangs, and what there was no time for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auricle.encoder import examination as module
from auricle.encoder.contract import WindowNames
from auricle.encoder.examination import Examination
from auricle.encoder.host import Usage
from auricle.encoder.load import parse_encoder
from auricle.encoder.rules import Outcome
from auricle.errors import EncoderError, EncoderTimeoutError

SECOND = {"a second": np.zeros(16_000, np.float32)}
LONGER = {"two seconds": np.zeros(32_000, np.float32)}


class Process:
    """Answers at once, or not within the limit that it was given."""

    def __init__(self) -> None:
        self.answers = True
        self.is_running = True
        self.batch_timeout_s = self.start_timeout_s = 0.0
        self.class_name, self.output_dim = "Encoder", 4
        self.wall_s = 0.01
        self.error: EncoderError | None = None

    @property
    def usage(self) -> Usage:
        return Usage(self.wall_s, None, None)

    def load(self) -> None:
        if self.error is not None:
            raise self.error
        self.is_running = True

    def close(self) -> None:
        self.is_running = False

    def ask_batch(self, audio: list[Any], *, labels: list[str], seed: int) -> Any:
        if self.answers:
            return {}, WindowNames(labels, [len(one) for one in audio])
        self.is_running = False
        raise EncoderTimeoutError("The encoder did not finish encoding.")


@pytest.fixture
def exam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examination:
    made = Examination(
        parse_encoder("logmel"), device="cpu", threads=1, time_limit_s=90, log_path=tmp_path / "log"
    )
    monkeypatch.setattr(made, "process", Process())
    monkeypatch.setattr(module, "judge", lambda answer, process, names: Outcome(names))
    assert made.load()
    return made


def process_of(exam: Examination) -> Process:
    assert isinstance(exam.process, Process)
    return exam.process


def test_a_first_call_may_take_all_the_time_and_gives_the_rest_as_much_again(
    exam: Examination, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: clock + 80)  # it compiled for so long
    assert exam.left_s < 10
    assert exam.try_batch("one_clip", SECOND) is not None
    assert exam.left_s == 89


def test_a_first_call_without_an_end_is_not_measured(exam: Examination) -> None:
    process_of(exam).answers = False
    assert exam.try_batch("one_clip", SECOND) is None
    assert process_of(exam).batch_timeout_s > 85
    finding = exam.finding("one_clip")
    assert finding.problems == []
    assert finding.is_late
    assert "Not finished within 90 s, loading included" in finding.why_missed
    assert exam.gave_up == "Not reached, because nothing was answered."
    assert exam.gave_up_late


def test_what_was_answered_before_hangs_when_it_takes_long(exam: Examination) -> None:
    exam.try_batch("one_clip", SECOND)
    process_of(exam).answers = False
    exam.try_batch("silence", SECOND)
    assert process_of(exam).batch_timeout_s == 22.5
    (problem,) = exam.finding("silence").problems
    assert "did not finish within 22 s what it had finished for other audio in 0.01 s" in problem
    assert "endless loop" in problem


def test_another_size_that_takes_long_may_be_compiling(exam: Examination) -> None:
    exam.try_batch("one_clip", SECOND)
    process_of(exam).answers = False
    exam.try_batch("padding", LONGER)
    assert process_of(exam).batch_timeout_s == 45
    finding = exam.finding("padding")
    assert finding.problems == []
    assert finding.is_late
    assert "it is slow, compiles for each size, or hangs" in finding.why_missed


def test_a_slow_call_has_time_in_proportion(exam: Examination) -> None:
    process_of(exam).wall_s = 1.0
    exam.try_batch("one_clip", SECOND)
    exam.try_batch("one_clip", SECOND)
    assert process_of(exam).batch_timeout_s == 50
    assert exam.pace == (1.0, 1.0)


def test_two_calls_without_an_end_are_enough(exam: Examination) -> None:
    exam.try_batch("one_clip", SECOND)
    process_of(exam).answers = False
    exam.try_batch("padding", LONGER)
    exam.try_batch("silence", SECOND)
    assert exam.gave_up == "Not tried, because 2 calls were not finished in time."
    assert exam.gave_up_late  # neither is known to hang: a new process compiles anew


def test_loading_without_an_end_is_not_measured(exam: Examination) -> None:
    process_of(exam).error = EncoderTimeoutError(
        "The encoder did not finish starting x.py within 89 s and was ended. If it is slow, wait."
    )
    exam.findings.clear()
    assert not exam.load()
    finding = exam.finding("load")
    assert finding.is_late
    assert finding.why_missed == (
        "The encoder did not finish starting x.py within 89 s and was ended. "
        "Give it longer with --time-limit."
    )
