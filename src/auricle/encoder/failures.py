"""Sentences for what an encoder's own code or process did: raised, died, ran out of memory."""

from __future__ import annotations

import re
import signal

from auricle.encoder.protocol import Refusal
from auricle.errors import (
    EncoderContractError,
    EncoderCrashError,
    EncoderError,
    EncoderLoadError,
    EncoderMemoryError,
)

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control and direction characters, other ends of lines, and halves of characters."""
_MAX_QUOTED = 24_000


def clean(text: object, limit: int = _MAX_QUOTED) -> str:
    """Text from a stranger, bounded and without characters that could steer a terminal."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", str(text).replace("\r\n", "\n"))[:limit]


def nonsense(seen: str) -> EncoderContractError:
    """The error for an answer that is not of the protocol."""
    return EncoderContractError(
        f"The encoder's process sent {seen}; this program's own messages are expected there. "
        "Something in the encoder writes to descriptors that it did not open."
    )


def refusal(answer: Refusal, doing: str) -> EncoderError:
    """The error for an answer that says that the child could not do what it was asked.

    Args:
        answer: The child's answer: kind, stage, text and the encoder's traceback.
        doing: What it was to do, e.g. ``encoding a.wav (1.00 s)``.
    """
    text, quoted = clean(answer.text), clean(answer.traceback)
    kind, stage = answer.kind, answer.stage
    if kind == "load":
        return EncoderLoadError(text)
    if kind == "memory":
        return EncoderMemoryError(
            f"The encoder ran out of memory while {doing}: {text}. Give it smaller batches with "
            "--encode-budget, or let it work through long audio piece by piece.",
            quoted,
        )
    if stage == "torch":
        return EncoderLoadError(
            f"The encoder's interpreter cannot import numpy and torch: {text}. Install both in its "
            "environment, or name another with --encoder-python.",
            quoted,
        )
    if stage == "device":
        return EncoderLoadError(
            f"The encoder's process cannot use the device: {text}. Choose another with --device.",
            quoted,
        )
    if stage in ("import", "construct"):
        what = "Importing" if stage == "import" else "Constructing"
        hint = "Mend it there"
        if "ModuleNotFoundError" in text:
            hint = "Install that package, or name an interpreter that has it (--encoder-python)"
        return EncoderLoadError(f"{what} the encoder raised {text}. {hint}; its own words:", quoted)
    return EncoderCrashError(
        f"The encoder raised {text} while {doing}. Mend it there; its own words:", quoted
    )


def death(code: int | None, *, doing: str, log_path: object, log_tail: str) -> EncoderCrashError:
    """The error for a child that is gone.

    Args:
        code: Its exit code, negative for a signal; None when it only closed its line.
        doing: What it was to do.
        log_path: Where its output is.
        log_tail: The last lines of that.
    """
    hint = "Its last words:" if log_tail else "It printed nothing."
    if code is None:
        how = "closed its line to this program"
    elif code >= 0:
        how = f"ended by itself with exit code {code}"
        hint = f"An encoder must not call exit. {hint}"
    else:
        how = f"was ended by {_signal_name(-code)}"
        if -code == signal.SIGKILL:
            hint = (
                "The usual cause is that the machine's memory ran out: give it smaller batches "
                f"with --encode-budget. {hint}"
            )
        elif -code in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT):
            hint = f"That is a fault in compiled code that the encoder uses. {hint}"
    return EncoderCrashError(
        f"The encoder's process {how} while {doing}. {hint} (All its output: {log_path})", log_tail
    )


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
