"""`auricle check`: is it a valid encoder, how fast, how much memory, and what to mend.

Every check has a name, a verdict and a sentence. Situations (one clip, silence, ...) fail when the
encoder does not answer; rules (dimensions, mask values, ...) fail when any answer broke them; so
one mistake is one failed check. Nothing takes longer than the time limit, whatever the encoder
does; what was not reached has no verdict, and what was only slow breaks no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from auricle.encoder.behaviour import (
    NO_SUMS,
    check_frozen,
    check_mask_meaning,
    check_repeatability,
    judge_standing_rules,
    parameter_sums,
)
from auricle.encoder.contract import SAMPLE_RATE
from auricle.encoder.examination import TOO_LATE, Examination
from auricle.encoder.hearing import LENGTHS_S, SHORT_S, Audio, Frames, Hearing, Listener, remark_on
from auricle.encoder.properties import TOLERANCE, Properties, measure_properties
from auricle.encoder.protocol import EncoderSpec
from auricle.encoder.rules import RULES
from auricle.encoder.situations import (
    BATCH_HINT,
    HEAVY,
    SITUATIONS,
    padding_hint,
    windows_of,
)
from auricle.errors import EncoderError, EncoderTimeoutError
from auricle.files import scratch_folder
from auricle.progress import Progress, SilentProgress, duration_text

CARD_BYTES = 24 * 10**9
POSITIONS = 8_192  # of the official decoder, SmolLM2-135M
REQUIRED = (
    *("load", "output_dim"),
    *SITUATIONS,
    *HEAVY,
    *RULES,
    *("determinism", "state", "eval_mode", "frozen"),
)
MEMORY = ("memory_training_batch", "memory_longest_clip")
OPTIONAL = ("hearing", "padding_invariant", "batch_invariant", "speed", *MEMORY)
_BEFORE = {
    "speed": ("training_batch",),
    "memory_training_batch": ("training_batch",),
    "memory_longest_clip": ("longest_clip",),
}
"""Found while another check is made."""
SLOW = 6
"""Times real time below which an encoder is called slow: `mini` takes longer than a working day."""


@dataclass(frozen=True, slots=True)
class Check:
    """One named check; ``passed`` is None where it was not reached or has no verdict here."""

    name: str
    passed: bool | None
    message: str
    required: bool
    quoted: str = ""
    verdict: str = ""
    """In words: good, FAILED, slow, note; or why there is none: answered (and broke a rule that
    another check names), not measured (for want of time) or not reached (another check failed)."""
    cause: str = ""
    """The check that tells the same at length; empty for most."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All checks of an encoder; ``passed`` needs every required one."""

    encoder: str
    passed: bool
    checks: tuple[Check, ...]
    properties: dict[str, Any]
    frame_rate_hz: float | None
    output_dim: int | None
    realtime_factor: float | None
    peak_memory_bytes: int | None
    encode_hours: dict[str, float] | None = None
    """Hours that encoding takes here, by suite."""
    notes: tuple[str, ...] = ()
    """What breaks no rule and is worth knowing: what was assumed, what costs."""
    remark: str = ""
    """What an encoder that keeps the contract does not hear; empty where it hears all."""

    def to_json(self) -> dict[str, Any]:
        """The report as ``auricle check --json`` prints it."""
        return {**asdict(self), "checks": [asdict(check) for check in self.checks]}


def check_encoder(
    spec: EncoderSpec,
    *,
    device: str = "cpu",
    threads: int = 1,
    time_limit_s: float = 90.0,
    log_path: Path | None = None,
    progress: Progress | None = None,
    audio_h: Mapping[str, float] | None = None,
) -> CheckReport:
    """Check an encoder in a process of its own.

    Args:
        spec: From `parse_encoder`.
        device: Where it computes.
        threads: Threads of its number libraries.
        time_limit_s: For loading the encoder and its first answer, which may be compiled, and as
            much again for everything else; the encoder is ended when it is over.
        log_path: Where its output goes; a temporary file when None.
        progress: Is told which check is being made.
        audio_h: Hours of audio that suites have to encode, to say how long that takes here.
    """
    with scratch_folder("auricle-check-") as folder:
        examination = Examination(
            spec,
            device=device,
            threads=threads,
            time_limit_s=time_limit_s,
            log_path=log_path or folder / "encoder.log",
        )
        checkup = _Checkup(examination, device, audio_h or {})
        try:
            checkup.run(progress or SilentProgress())
        finally:
            examination.process.close()
    return checkup.report()


class _Checkup:
    """The order of the checks, and what they find beside verdicts."""

    def __init__(self, examination: Examination, device: str, audio_h: Mapping[str, float]) -> None:
        self._exam = exam = examination
        self._audio_h = audio_h
        self._on_gpu = device.startswith("cuda")
        self._properties: Properties | None = None
        self._realtime_factor: float | None = None
        self._trained_s: tuple[float, float] | None = None
        self._peak_bytes: int | None = None
        self._sums = NO_SUMS
        self._heard: dict[float, Hearing] = {}
        self._frames_of_short: int | None = None
        self._listening_ends_s = 0.0
        self._listener = Listener(
            self._frames_for_hearing,
            lambda: not exam.gave_up and exam.left_s > self._listening_ends_s,
        )

    def run(self, progress: Progress) -> None:
        steps: list[tuple[str, Callable[[], None]]] = [
            *((name, partial(self._situation, name)) for name in SITUATIONS),
            ("mask_meaning", partial(check_mask_meaning, self._exam)),
            ("determinism", partial(check_repeatability, self._exam)),
            ("frozen", self._check_frozen),
            ("properties", self._measure),
            # The commonest length first, within a third of the time; the others when all is done.
            ("hearing", partial(self._listen, LENGTHS_S[:1], 2 / 3)),
            *((name, partial(self._heavy, name)) for name in HEAVY),
            ("hearing", partial(self._listen, LENGTHS_S[1:], 0.0)),
        ]
        with progress.stage("checking the encoder", len(steps) + 1, "checks") as stage:
            stage.note("load")
            if self._exam.load():
                self._sums = parameter_sums(self._exam)
            stage.advance()
            for name, step in steps:
                stage.note(name)
                step()
                stage.advance()
        judge_standing_rules(self._exam)
        self._judge_hearing()
        self._judge_speed()

    def report(self) -> CheckReport:
        checks = tuple(self._verdict(name) for name in (*REQUIRED, *OPTIONAL))
        properties = self._properties
        return CheckReport(
            encoder=self._exam.process.spec.text,
            passed=all(check.passed is True for check in checks if check.required),
            checks=checks,
            properties={
                "padding_invariant": properties.padding_invariant if properties else None,
                "batch_invariant": properties.batch_invariant if properties else None,
                "padding_difference": properties.padding_difference if properties else None,
                "batch_difference": properties.batch_difference if properties else None,
                "dtype": next(iter(self._exam.dtypes), None),
                "hearing": self._hearing_json(),
            },
            frame_rate_hz=properties.frame_rate_hz if properties else None,
            output_dim=self._exam.process.output_dim or None,
            realtime_factor=self._realtime_factor,
            peak_memory_bytes=self._peak_bytes,
            encode_hours=self._encode_hours(),
            notes=tuple(self._notes()),
            remark=self._remark(),
        )

    def _notes(self) -> list[str]:
        process = self._exam.process
        notes = [*process.notes]
        if process.output_dim and not process.takes_mask:
            notes.append(
                "Its forward takes the audio alone. That is enough here; XARES-LLM always gives "
                "two arguments, audio and mask: write def forward(self, audio, mask=None) for both."
            )
        if on_frames := self._note_on_frames():
            notes.append(on_frames)
        return notes

    def _verdict(self, name: str) -> Check:
        finding = self._exam.finding(name)
        required = name in REQUIRED or (self._on_gpu and name in MEMORY)
        if name == "hearing":
            # Deaf to all is no encoder; deaf in part is legal, and so is what was not reached.
            required = bool(finding.problems)
            if self._remark() and not finding.problems:
                return Check(name, False, _sentence(self._remark()), required, verdict="note")
        if finding.problems:
            text = "\n".join(finding.problems)
            if finding.more:
                batches = "batch" if finding.more == 1 else "batches"
                gap = "\n" if "\n" in text else " "
                text += f"{gap}So it is with {finding.more} further {batches}."
            failed = "slow" if name == "speed" else "note"
            verdict = "FAILED" if required else failed
            return Check(name, False, text, required, finding.quoted, verdict, finding.cause)
        if finding.broke:
            text = f"Answered; what was returned breaks {' and '.join(finding.broke)}."
            return Check(name, None, text, required, verdict="answered", cause=finding.broke[0])
        if finding.reached:
            text = finding.note or RULES.get(name, "")
            return Check(name, True, text, required, verdict="good")
        text, is_late = self._why_missed(name)
        seen = "note" if name in MEMORY and finding.why_missed else "not reached"
        return Check(name, None, text, required, verdict="not measured" if is_late else seen)

    def _why_missed(self, name: str) -> tuple[str, bool]:
        """Why a check has no verdict, and whether that is for want of time alone."""
        exam, finding = self._exam, self._exam.finding(name)
        if finding.why_missed:
            return finding.why_missed, finding.is_late
        before = tuple(RULES) if name in RULES else _BEFORE.get(name, ())
        failed = next((one for one in before if exam.finding(one).problems), None)
        if failed is not None:
            return f"Not examined, because {failed} failed.", False
        if exam.gave_up:
            return exam.gave_up, exam.gave_up_late
        missed = next((found for one in before if (found := exam.finding(one)).why_missed), None)
        if missed is not None:
            return missed.why_missed, missed.is_late
        return (TOO_LATE, True) if exam.is_late else ("Not measured here.", False)

    def _check_frozen(self) -> None:
        check_frozen(self._exam, self._sums)

    def _situation(self, name: str) -> None:
        self._exam.try_batch(name, windows_of(name))

    def _measure(self) -> None:
        exam = self._exam
        names = ("padding_invariant", "batch_invariant")
        if exam.gave_up or (not exam.process.is_running and not exam.restart()):
            return
        varying = next((name for name in ("determinism", "state") if self._failed(name)), None)
        if varying is not None:
            for name in names:
                exam.misses(name, f"Not examined, because {varying} failed.")
            return
        try:
            self._properties = measure_properties(exam)
        except EncoderError as error:
            failed = next((one for one in (*SITUATIONS, *RULES) if self._failed(one)), None)
            why = f"Not examined, because {failed} failed." if failed else f"Not measured: {error}"
            for name in names:
                exam.misses(name, why, late=isinstance(error, EncoderTimeoutError) and not failed)
            return
        differences = (self._properties.padding_difference, self._properties.batch_difference)
        padding = padding_hint(exam.process.mask_name, takes_mask=exam.process.takes_mask)
        for name, difference, hints in zip(names, differences, (padding, BATCH_HINT), strict=True):
            holds = difference is not None and difference <= TOLERANCE
            seen = (
                "the number of frames differs"
                if difference is None
                else f"the largest difference is {difference:.1e} of the RMS"
            )
            if holds:
                exam.passes(name, f"Yes: {seen}.")
            else:
                exam.fails(name, f"No: {seen}, at most {TOLERANCE:g} is expected. {hints}")

    def _frames_for_hearing(self, label: str, window: Audio) -> Frames | None:
        outcome = self._exam.try_batch("hearing", {label: window})
        frames = outcome.frames if outcome is not None else None
        return frames[0] if frames else None

    def _listen(self, lengths_s: Sequence[float], left: float) -> None:
        """Examine what is heard of windows of some lengths.

        Args:
            lengths_s: Seconds.
            left: Share of the time left now that must be left afterwards.
        """
        exam = self._exam
        before = (*SITUATIONS, *HEAVY, *RULES, "determinism")
        failed = next((name for name in before if self._failed(name)), None)
        if failed is not None or exam.gave_up:
            exam.misses("hearing", exam.gave_up or f"Not examined, because {failed} failed.")
            return
        self._listening_ends_s = exam.left_s * left
        for length_s in lengths_s:
            found = self._listener.hear(length_s)
            if found is not None:
                self._heard[length_s] = found
        if self._frames_of_short is None:
            self._frames_of_short = self._listener.frames_of(SHORT_S)

    def _failed(self, name: str) -> bool:
        return bool(self._exam.finding(name).problems)

    def _judge_hearing(self) -> None:
        exam, found = self._exam, list(self._heard.values())
        if not found or exam.finding("hearing").problems:
            return
        if all(one.response == "none" for one in found):
            exam.fails(
                "hearing",
                "Nothing of the features changes when the audio does: parts of "
                f"{_seconds(found)} were exchanged at {found[0].places} places, with three sounds "
                "at three levels. Features that follow the audio are expected; is it used in "
                f"forward?{self._listener.sameness()}",
            )
            return
        note = f"All of {_seconds(found)} is heard"
        is_local = any(one.response == "local" for one in found)
        note += ", each part where it lies." if is_local else "; all frames move alike."
        left_out = [f"{one:g} s" for one in LENGTHS_S if one not in self._heard]
        if left_out:
            note += f" Not measured within the time limit: {', '.join(left_out)}."
        exam.finding("hearing").note = note

    def _note_on_frames(self) -> str:
        """What an encoder costs that gives short windows as many frames as long ones."""
        frames = {s: self._frames_of(name) for s, name in ((0.1, "shortest_clip"), (1, "one_clip"))}
        if LENGTHS_S[0] in self._heard:
            frames[LENGTHS_S[0]] = self._heard[LENGTHS_S[0]].frames
        short, longest = frames[SHORT_S], max(s for s, count in frames.items() if count or s == 1)
        count = frames[longest]
        if short is None or count is None or short <= 3 + 5 * count * SHORT_S / longest:
            return ""
        return (
            f"The number of frames does not follow the length: {short:,} for {SHORT_S:g} s, "
            f"{count:,} for {longest:g} s. Every clip, however short, takes so many positions of "
            "the decoder, in training and in answering. Return a mask that keeps a window's own "
            "frames."
        )

    def _frames_of(self, name: str) -> int | None:
        """Frames of a situation of one window."""
        outcome = self._exam.outcomes.get(name)
        frames = outcome.frames if outcome is not None else None
        return len(frames[0]) if frames else None

    def _remark(self) -> str:
        if self._failed("hearing"):
            return ""
        return remark_on(list(self._heard.values()))

    def _hearing_json(self) -> dict[str, Any] | None:
        if not self._heard:
            return None
        return {
            "lengths": [one.to_json() for one in self._heard.values()],
            "frames_of_short": self._frames_of_short,
            "not_measured_s": [one for one in LENGTHS_S if one not in self._heard],
            "remark": self._remark(),
        }

    def _heavy(self, name: str) -> None:
        windows = windows_of(name)
        outcome = self._exam.try_batch(name, windows)
        if outcome is None:
            return
        exam, process = self._exam, self._exam.process
        if name == "training_batch":
            took_s = process.usage.wall_s
            if took_s > 2 and exam.left_s > 1.5 * took_s:  # the first may have been compiled
                exam.try_batch(name, windows)
                took_s = min(took_s, process.usage.wall_s)
            self._trained_s = sum(map(len, windows.values())) / SAMPLE_RATE, max(took_s, 1e-6)
        elif outcome.raw is not None and outcome.raw.features.shape[1] > POSITIONS:
            exam.finding(name).note += (
                f" More than the {POSITIONS} positions of the official decoder: such a clip cannot "
                "be answered well. A lower frame rate would do."
            )
        self._memory(f"memory_{name}")

    def _judge_speed(self) -> None:
        """Times real time; of shorter windows where there was no time for a training batch."""
        measured = self._trained_s or self._exam.pace
        if measured is None or self._failed("training_batch"):
            return
        audio_s, took_s = measured
        self._realtime_factor = factor = audio_s / took_s
        shorter = "" if self._trained_s else f", measured on {audio_s:.3g} s of audio"
        spent = ", ".join(
            f"{duration_text(hours * 3600)} for the {self._audio_h[suite]:.0f} h of {suite}"
            for suite, hours in (self._encode_hours() or {}).items()
        )
        text = f"{factor:,.3g} x real time{shorter}"
        text += f": encoding takes about {spent} on this device." if spent else "."
        if factor < SLOW:
            self._exam.fails("speed", text)
        else:
            self._exam.passes("speed", text)

    def _encode_hours(self) -> dict[str, float] | None:
        if self._realtime_factor is None:
            return None
        return {suite: hours / self._realtime_factor for suite, hours in self._audio_h.items()}

    def _memory(self, name: str) -> None:
        usage, baseline = self._exam.process.usage, self._exam.process.baseline_bytes
        if usage.device_bytes is not None:
            self._peak_bytes = max(self._peak_bytes or 0, usage.device_bytes)
            took, card = usage.device_bytes / 1e9, CARD_BYTES / 1e9
            text = f"{took:.2f} GB of the {card:.0f} GB card, as its process says."
            if usage.device_bytes <= CARD_BYTES:
                self._exam.passes(name, text)
            else:
                self._exam.fails(name, f"{text} Work through long audio piece by piece.")
        elif usage.resident_bytes is not None and baseline is not None:
            growth = max(usage.resident_bytes - baseline, 0)
            self._peak_bytes = max(self._peak_bytes or 0, growth)
            estimate = f"No GPU here, so no verdict; on the CPU it took {growth / 1e9:.2f} GB."
            self._exam.misses(name, estimate)


def _seconds(found: Sequence[Hearing]) -> str:
    lengths = [f"{one.length_s:g}" for one in found]
    return f"{' and '.join(filter(None, (', '.join(lengths[:-1]), lengths[-1])))} s"


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}{'' if clause.endswith('?') else '.'}"
