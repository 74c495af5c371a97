"""Puts an encoder through situations within one deadline, restarting it after each death.

A situation fails when the encoder does not answer it: it raises, exits, hangs or talks nonsense.
What is wrong with an answer is a broken rule (`rules.py`). A situation for which there was no time
neither passes nor fails: slow is not broken. Only a call that was answered before can hang; one of
another size may be compiling.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.contract import SAMPLE_RATE, Encoded
from auricle.encoder.host import EncoderProcess
from auricle.encoder.protocol import EncoderSpec
from auricle.encoder.rules import Outcome, judge
from auricle.errors import EncoderContractError, EncoderError, EncoderTimeoutError

_SAME_ERRORS = 3
_HANGS = 2
_MARGIN_S = 1.0
_LONGER = "Give it longer with --time-limit"
_HUNG_TIMES = 50
"""A call that takes so many times as long as it took before hangs."""
_HUNG_S = 5.0
"""But none that takes less than this."""
TOO_LATE = f"Not reached within the time limit. {_LONGER}."

Shape = tuple[int, int]


@dataclass(slots=True)
class Finding:
    """What is known about one check so far."""

    problems: list[str] = field(default_factory=list)
    quoted: str = ""
    note: str = ""
    why_missed: str = ""
    reached: bool = False
    is_late: bool = False
    """Missed for want of time alone."""
    more: int = 0
    """Further batches that broke the same rule."""
    broke: list[str] = field(default_factory=list)
    """Rules that an answer of this situation broke."""
    cause: str = ""
    """The check that tells the same."""


class Examination:
    """One encoder under examination.

    Args:
        spec: The encoder.
        device: Where it computes.
        threads: Threads of its number libraries.
        time_limit_s: For loading it and its first answer, and as much again for the rest.
        log_path: Where its output goes.
    """

    def __init__(
        self, spec: EncoderSpec, *, device: str, threads: int, time_limit_s: float, log_path: Path
    ) -> None:
        self.findings: dict[str, Finding] = {}
        self.process = EncoderProcess(spec, device=device, threads=threads, log_path=log_path)
        self.outcomes: dict[str, Outcome] = {}
        self.dtypes: dict[str, str] = {}
        self.training_seen = ""
        self.load_s = 0.0
        self.starts = 1
        self.gave_up = ""
        self.gave_up_late = False
        self.pace: tuple[float, float] | None = None
        """Seconds of audio and of the clock, of the longest windows that were encoded twice."""
        self._time_limit_s = time_limit_s
        self._deadline = time.monotonic() + time_limit_s
        self._has_answered = False
        self._took_s: dict[Shape, float] = {}  # by the present process
        self._errors: Counter[str] = Counter()
        self._hangs = 0

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self._deadline - time.monotonic() - _MARGIN_S

    @property
    def is_late(self) -> bool:
        """Whether no other call fits before the deadline."""
        return self.left_s < 0.2

    def finding(self, name: str) -> Finding:
        """The finding of a check, made when first asked for."""
        return self.findings.setdefault(name, Finding())

    def passes(self, name: str, note: str) -> None:
        """A check was reached and nothing is wrong so far."""
        finding = self.finding(name)
        finding.reached = True
        finding.note = finding.note or note

    def fails(self, name: str, problem: str, quoted: str = "") -> None:
        """A check found something wrong."""
        finding = self.finding(name)
        finding.reached = True
        finding.quoted = finding.quoted or quoted
        if problem not in finding.problems:
            finding.problems.append(problem)

    def misses(self, name: str, why: str, *, late: bool = False) -> None:
        """A check could not be made, perhaps for want of time."""
        finding = self.finding(name)
        if not finding.why_missed:
            finding.why_missed = why
            finding.is_late = late or (self.gave_up_late and why == self.gave_up)

    def load(self) -> bool:
        """Load the encoder for the first time."""
        started = time.monotonic()
        self.process.start_timeout_s = max(1.0, self.left_s)
        try:
            self.process.load()
        except EncoderContractError as error:
            self.passes("load", "The encoder can be imported and constructed.")
            self.fails("output_dim", str(error))
            self.gave_up = "Not tried, because output_dim failed."
        except EncoderTimeoutError as error:
            self.gave_up, self.gave_up_late = "Not reached, because loading was not finished.", True
            self.misses("load", f"{str(error).partition('. ')[0]}. {_LONGER}.", late=True)
        except EncoderError as error:
            self.fails("load", str(error), error.quoted)
            self.gave_up = "The encoder could not be loaded, so this was not tried."
        else:
            self.load_s = time.monotonic() - started
            self.passes("load", f"{self.process.class_name} was loaded in {self.load_s:.1f} s.")
            self.passes("output_dim", f"The features are {self.process.output_dim} wide.")
            return True
        return False

    def restart(self) -> bool:
        """Start the encoder anew, unless there is no time or no point left."""
        self.process.close()
        self._took_s = {}
        if not self.gave_up and self.left_s < 1.2 * self.load_s + 1:
            self.gave_up, self.gave_up_late = TOO_LATE, True
        if self.gave_up:
            return False
        self.process.start_timeout_s = self.left_s
        self.starts += 1
        try:
            self.process.load()
        except EncoderError as error:
            self.gave_up = f"The encoder could not be started a second time: {error}"
            return False
        return True

    def try_batch(
        self, name: str, windows: dict[str, NDArray[np.float32]], *, seed: int = 0
    ) -> Outcome | None:
        """Have a batch encoded as the situation of this name.

        Args:
            name: The check that fails if the encoder does not answer.
            windows: The batch, each window by its name.
            seed: For the child's global random generators.

        Returns:
            What the rules say of the answer; None if there is none.
        """
        if not self._is_ready(name):
            return None
        audio = list(windows.values())
        shape = (len(audio), max(map(len, audio)))
        timeout_s = self._limit_call(shape)
        try:
            answer, names = self.process.ask_batch(audio, labels=list(windows), seed=seed)
            outcome = judge(answer, self.process, names)
        except EncoderTimeoutError as error:
            self._timed_out(name, shape, timeout_s, error)
            return None
        except EncoderError as error:
            self._broke(name, error)
            return None
        self._time_call(shape, sum(map(len, audio)) / SAMPLE_RATE)
        self._collect(name, outcome)
        self.outcomes.setdefault(name, outcome)
        return outcome

    def encode(
        self, audio: Sequence[NDArray[np.float32]], *, labels: Sequence[str]
    ) -> list[Encoded]:
        """As `EncoderProcess.encode`, within the deadline.

        Raises:
            EncoderError: The encoder failed on this batch.
        """
        self._limit_call((len(audio), max(map(len, audio))))
        return self.process.encode(audio, labels=labels)

    def _limit_call(self, shape: Shape) -> float:
        timeout_s = max(0.1, min(self.left_s, self._patience_s(shape)))
        self.process.batch_timeout_s = timeout_s
        return timeout_s

    def _patience_s(self, shape: Shape) -> float:
        if not self._has_answered:
            return self._time_limit_s
        took_s = self._took_s.get(shape)
        if took_s is None:
            return self._time_limit_s / 2
        return max(_HUNG_S, self._time_limit_s / 4, _HUNG_TIMES * took_s)

    def _time_call(self, shape: Shape, audio_s: float) -> None:
        if not self._has_answered:  # it may have been compiled, which is no part of the checks
            self._has_answered = True
            self._deadline = time.monotonic() + self._time_limit_s
        took_s, before_s = self.process.usage.wall_s, self._took_s.get(shape)
        if before_s is not None:
            took_s = min(took_s, before_s)
            if self.pace is None or audio_s >= self.pace[0]:
                self.pace = audio_s, max(took_s, 1e-6)
        self._took_s[shape] = took_s

    def frames_of(
        self, name: str, windows: dict[str, NDArray[np.float32]], *, seed: int = 0
    ) -> list[NDArray[np.float32]] | None:
        """As `try_batch`, but only the windows' frames, masked ones too; None if there are none."""
        outcome = self.try_batch(name, windows, seed=seed)
        return outcome.all_frames if outcome is not None else None

    def _is_ready(self, name: str) -> bool:
        if not self.gave_up and self.is_late:
            self.gave_up, self.gave_up_late = TOO_LATE, True
        if self.gave_up or (not self.process.is_running and not self.restart()):
            self.misses(name, self.gave_up)
            return False
        return True

    def _timed_out(
        self, name: str, shape: Shape, timeout_s: float, error: EncoderTimeoutError
    ) -> None:
        took_s = self._took_s.get(shape)
        late = f"Not finished within {timeout_s:.0f} s"
        if not self._has_answered:
            self.misses(
                name,
                f"Not finished within {self._time_limit_s:.0f} s, loading included. {_LONGER} if "
                "it compiles or is slow; look for an endless loop or a lock if it should not be.",
                late=True,
            )
            self.gave_up, self.gave_up_late = "Not reached, because nothing was answered.", True
            return
        if timeout_s < self._patience_s(shape):
            self.misses(name, f"{late}, when the time limit was over. {_LONGER}.", late=True)
            return
        self._hangs += 1
        if took_s is None:
            self.misses(
                name, f"{late}: it is slow, compiles for each size, or hangs. {_LONGER}.", late=True
            )
        else:
            self.fails(
                name,
                f"The encoder did not finish within {timeout_s:.0f} s what it had finished for "
                f"other audio in {took_s:.2g} s, and was ended; an answer is expected. Look for "
                "an endless loop or a lock.",
                error.quoted,
            )
        if self._hangs >= _HANGS:
            self.gave_up = f"Not tried, because {_HANGS} calls were not finished in time."
            self.gave_up_late = not any(finding.problems for finding in self.findings.values())

    def _broke(self, name: str, error: EncoderError) -> None:
        cause = error.quoted.strip().rpartition("\n")[2] or str(error).partition(" while ")[0]
        self._errors[cause] += 1
        first = next((n for n, f in self.findings.items() if f.quoted and cause in f.quoted), None)
        if first is None or first == name:
            self.fails(name, str(error), error.quoted)
        else:
            self.fails(name, f"{str(error).split(' Mend it')[0]} The same as under {first}.")
            self.finding(name).cause = first
        if self._errors[cause] >= _SAME_ERRORS:
            self.gave_up = f"Not tried, because the encoder failed {_SAME_ERRORS} times alike."

    def _collect(self, name: str, outcome: Outcome) -> None:
        self.passes(name, _count_frames(outcome))
        for rule in outcome.judged:
            self.finding(rule).reached = True
        for rule, problem in outcome.problems.items():
            if rule not in self.finding(name).broke:
                self.finding(name).broke.append(rule)
            if self.finding(rule).problems:  # told once
                self.finding(rule).more += 1
            else:
                self.fails(rule, problem)
        if outcome.dtype:
            self.dtypes.setdefault(outcome.dtype, outcome.windows.all())
        if outcome.training and not self.training_seen:
            self.training_seen = outcome.windows.all()


def _count_frames(outcome: Outcome) -> str:
    frames = outcome.frames
    if frames is None:
        return "The encoder answers; what it returns breaks a rule below."
    counts: Sequence[str] = [
        f"{len(one)} for {length / SAMPLE_RATE:.3g} s"
        for one, length in zip(frames, outcome.windows.lengths, strict=True)
    ]
    return f"Frames: {', '.join(dict.fromkeys(counts))}."
