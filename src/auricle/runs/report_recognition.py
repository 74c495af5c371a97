"""What went wrong in recognised text: words replaced, lost and invented, and which ones.

Answers are aligned to references unit by unit, words for iWER and characters for iCER, by the same
edits that the metric counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import Levenshtein

from auricle.metrics.recognition import encode_units
from auricle.metrics.text import Samples

_MOST_ITEMS = 8
Kind = Literal["same", "lost", "new"]


@dataclass(frozen=True, slots=True)
class Slip:
    """One kind of mistake with how often it was made."""

    wanted: str
    """Empty for an insertion."""
    got: str
    """Empty for a deletion."""
    count: int


@dataclass(frozen=True, slots=True)
class RecognitionErrors:
    """Edits of a task, pooled over its samples."""

    unit: str
    """word or character."""
    substitutions: int
    deletions: int
    insertions: int
    units: int
    """Units of the references."""
    swapped: list[Slip]
    lost: list[Slip]
    invented: list[Slip]

    @property
    def total(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of an answer set against its reference."""

    kind: Kind
    text: str


def splitter(metric: str) -> Callable[[str], list[str]]:
    """Text to units: characters for iCER, else words."""
    return list if metric == "iCER" else str.split


def recognition_errors(samples: Samples, metric: str) -> RecognitionErrors:
    """Count and name the edits.

    Args:
        samples: Normalised answers and references.
        metric: ``iWER`` or ``iCER``.
    """
    split = splitter(metric)
    swapped: Counter[tuple[str, str]] = Counter()
    lost: Counter[str] = Counter()
    invented: Counter[str] = Counter()
    units = 0
    for answer, text in zip(samples.flat_predictions, samples.flat_references, strict=True):
        wanted, got = split(text), split(answer)
        units += len(wanted)
        for kind, source, target in _edits(wanted, got):
            if kind == "replace":
                swapped[wanted[source], got[target]] += 1
            elif kind == "delete":
                lost[wanted[source]] += 1
            else:
                invented[got[target]] += 1
    pairs = sorted(swapped.items(), key=lambda item: (-item[1], item[0]))[:_MOST_ITEMS]
    return RecognitionErrors(
        unit="character" if metric == "iCER" else "word",
        substitutions=swapped.total(),
        deletions=lost.total(),
        insertions=invented.total(),
        units=units,
        swapped=[Slip(wanted, got, count) for (wanted, got), count in pairs],
        lost=[Slip(text, "", count) for text, count in _top(lost)],
        invented=[Slip("", text, count) for text, count in _top(invented)],
    )


def difference(reference: str, answer: str, metric: str) -> list[Piece]:
    """The answer with what it lost of the reference and what it added.

    Returns:
        Pieces in reading order: ``same`` text, ``lost`` reference text, ``new`` answer text.
    """
    split = splitter(metric)
    wanted, got = split(reference), split(answer)
    ids: dict[str, int] = {}
    left, right = encode_units(reference, split, ids), encode_units(answer, split, ids)
    joint = "" if metric == "iCER" else " "
    pieces: list[Piece] = []

    def add(kind: Kind, units: list[str]) -> None:
        if units:
            pieces.append(Piece(kind, joint.join(units)))

    for block in Levenshtein.opcodes(left, right):
        if block.tag == "equal":
            add("same", wanted[block.src_start : block.src_end])
        else:
            add("lost", wanted[block.src_start : block.src_end])
            add("new", got[block.dest_start : block.dest_end])
    return pieces


def _edits(wanted: list[str], got: list[str]) -> list[tuple[str, int, int]]:
    ids: dict[str, int] = {}
    left = [ids.setdefault(unit, len(ids)) for unit in wanted]
    right = [ids.setdefault(unit, len(ids)) for unit in got]
    if left == right:
        return []
    return [(e.tag, e.src_pos, e.dest_pos) for e in Levenshtein.editops(left, right)]


def _top(counted: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:_MOST_ITEMS]
