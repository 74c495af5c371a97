"""The results of the 2026 challenge as its organisers published them, and a place among them.

They were measured elsewhere, by the reference implementation on other machines, so a place among
them is an orientation, never a rank. Data: ``published/*.csv``; columns team, affiliation, overall,
public, hidden, then a column per task, ``*`` marking hidden ones.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Literal

from auricle.errors import UnknownNameError

Track = Literal["a", "b"]

SOURCE = (
    "docs/result.html of DataoceanAI/Interspeech2026-Audio-Encoder-Challenge on GitHub, 2026-03-26"
)
BASELINE_SOURCE = "README of XARES-LLM 0.0.12, measured on an A100"
CAVEAT = "the published results were measured elsewhere, by the reference implementation"


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One team's row as it was printed, numbers exact to the printed digits."""

    team: str
    affiliation: str
    overall: Fraction
    public: Fraction
    hidden: Fraction
    scores: Mapping[str, Fraction]
    """By task; hidden tasks end in ``*``."""

    @property
    def public_mean(self) -> Fraction:
        """Mean of the printed public scores, unrounded."""
        values = [score for task, score in self.scores.items() if not task.endswith("*")]
        return sum(values, Fraction(0)) / len(values)


@cache
def published_rows(track: str) -> tuple[PublishedRow, ...]:
    """All 23 rows of a track in the order of the source.

    Raises:
        UnknownNameError: The track is neither ``a`` nor ``b``.
    """
    if track not in ("a", "b"):
        raise UnknownNameError("track", track, ["a", "b"])
    rows = _read(f"published_track_{track}.csv")
    head = ("team", "affiliation", "overall", "public", "hidden")
    return tuple(
        PublishedRow(
            row["team"],
            row["affiliation"],
            Fraction(row["overall"]),
            Fraction(row["public"]),
            Fraction(row["hidden"]),
            {name: Fraction(value) for name, value in row.items() if name not in head},
        )
        for row in rows
    )


@cache
def published_baselines(track: str) -> dict[str, dict[str, float]]:
    """Scores by baseline, ``dasheng-base`` and ``whisper-base``, and task.

    Raises:
        UnknownNameError: The track is neither ``a`` nor ``b``.
    """
    if track not in ("a", "b"):
        raise UnknownNameError("track", track, ["a", "b"])
    found: dict[str, dict[str, float]] = {}
    for row in _read("published_baselines.csv"):
        if row["track"] == track:
            for name in row.keys() - {"track", "task"}:
                found.setdefault(name, {})[row["task"]] = float(row[name])
    return found


def standing(track: str, mean: float) -> tuple[int, int]:
    """Where a public mean would stand among the published ones.

    Args:
        track: ``a`` or ``b``.
        mean: Public mean of the track, unrounded.

    Returns:
        Place and number of rows with this one, e.g. (7, 24); equal means share the better place.
    """
    means = [row.public_mean for row in published_rows(track)]
    own = Fraction(repr(float(mean)))
    return 1 + sum(other > own for other in means), len(means) + 1


def standing_sentence(track: str, mean: float) -> str:
    """The same in words, with the caveat."""
    place, total = standing(track, mean)
    return (
        f"By public mean this would stand {_ordinal(place)} of {total} in track "
        f"{track.upper()} of 2026; {CAVEAT}."
    )


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _read(name: str) -> list[dict[str, str]]:
    text = files("auricle.scoring").joinpath("published", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
