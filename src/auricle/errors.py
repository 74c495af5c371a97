"""Every error that a user can meet, as one tree.

A text says what was seen, what was expected and what to do next (law 9). The command line prints
the text alone and exits with the error's ``exit_code``; an exception outside this tree is our bug.

    AuricleError
    └── UserError                     the user's mistake: exit code 2
        ├── UnknownNameError          no such task, suite, field, metric; offers the nearest names
        ├── CatalogError              a task, suite or recipe file is not valid
        ├── DataError                 a shard or clip is missing, damaged or lacks a field
        ├── EncoderError              anything about the participant's encoder
        │   ├── EncoderLoadError      it cannot be found, imported or constructed
        │   ├── EncoderContractError  it returned something that the contract forbids
        │   ├── EncoderCrashError     its code raised, or its process died
        │   │   └── EncoderMemoryError    a batch did not fit into memory; its process lives on
        │   └── EncoderTimeoutError   it did not answer within the limit
        ├── TrainingError             a loss or gradient that is not finite
        ├── DeviceMemoryError         training or answers did not fit into memory
        ├── ScoringError              predictions or score files that cannot be scored
        ├── OutputError               a folder that cannot be written, a disk that is full
        ├── DamagedFileError          a file of our own that something else has changed
        └── RunBusyError              another process holds the lock of this run or store
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

# Line ends, and the joiners that several scripts and emoji need.
_KEPT = "\n\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"


def printable(text: str) -> str:
    """A text that may quote strangers, fit for a terminal or a page.

    Control, direction and other invisible characters, which can repaint a screen or turn a line
    round, become U+FFFD; line ends and tabs stay.
    """
    return "".join(
        sign
        if sign.isprintable() or sign in _KEPT or unicodedata.category(sign) == "Zs"
        else "\N{REPLACEMENT CHARACTER}"
        for sign in text
    )


class AuricleError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 1


class UserError(AuricleError):
    """Something that the user can mend; printed as one sentence without a traceback."""

    exit_code = 2


class UnknownNameError(UserError):
    """A name that is in no list; the text offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        """Build the text.

        Args:
            kind: What was looked up, e.g. ``task``.
            name: The name that was given.
            known: All names that exist.
            hint: A closing sentence, e.g. the command that lists the names.
        """
        names = sorted(known)
        near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=3, cutoff=0.6)
        near = [n for n in names if n.lower() in near]
        offer = f" Nearest: {', '.join(near)}." if near else ""
        super().__init__(f"There is no {kind} named '{name}'.{offer}{' ' + hint if hint else ''}")
        self.name = name
        self.nearest = near


class CatalogError(UserError):
    """A task, suite or recipe file that is not valid."""


class DataError(UserError):
    """A shard or clip that is missing, damaged, or lacks a field."""


class EncoderError(UserError):
    """Base of everything that an encoder can do wrong.

    ``quoted`` holds the encoder's own traceback or last output; it is printed below the sentence.
    """

    def __init__(self, message: str, quoted: str = "") -> None:
        super().__init__(message)
        self.quoted = quoted


class EncoderLoadError(EncoderError):
    """The encoder cannot be found, imported or constructed."""


class EncoderContractError(EncoderError):
    """The encoder returned something that the contract forbids."""


class EncoderCrashError(EncoderError):
    """The encoder's code raised an exception, or its process died."""


class EncoderMemoryError(EncoderCrashError):
    """A batch did not fit into the encoder's memory."""


class EncoderTimeoutError(EncoderError):
    """The encoder did not answer within the limit."""


class TrainingError(UserError):
    """A loss or gradient that is not finite."""


class DeviceMemoryError(UserError):
    """Training or answers did not fit into the memory of their device."""


class ScoringError(UserError):
    """Predictions or score files that cannot be scored."""


class DamagedFileError(UserError, ValueError):
    """A file of our own that something else has changed."""


class OutputError(UserError):
    """A folder that cannot be written, or a disk that is full."""


class RunBusyError(UserError):
    """Another process holds the lock."""
