"""Text as the metrics see it: the challenge's normalisation, and answers paired with references.

The order of the steps decides results (full-width signs become ASCII first, and only then are
deleted), so it is the reference implementation's to the letter, weak spots included.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auricle.errors import ScoringError
from auricle.seeding import generator

_DELETE_PUNCTUATION = str.maketrans("", "", string.punctuation)
_MOST_CONSTANTS = 500
_WHITE_SPACE = re.compile(r"\s+")


def normalise(text: str, *, keep_punctuation: bool = False) -> str:
    r"""Normalise one text as XARES-LLM 0.0.12 does on both sides of every metric.

    NFKC, lower case, ASCII ``-`` to a space, the 32 signs of ``string.punctuation`` deleted, runs
    of white space to one space, ends stripped.

    Args:
        text: Any text.
        keep_punctuation: Skip the deletion, as mAP does (its separator is a sign itself).

    Returns:
        The normalised text, possibly empty.
    """
    text = unicodedata.normalize("NFKC", text).lower().replace("-", " ")
    if not keep_punctuation:
        text = text.translate(_DELETE_PUNCTUATION)
    return _WHITE_SPACE.sub(" ", text).strip()


@dataclass(frozen=True, slots=True)
class Samples:
    """Normalised answers, each with the references of its clip.

    Officially every reference of a clip is a sample of its own, paired with the clip's one answer.
    """

    predictions: list[str]
    """One normalised answer a clip."""
    references: list[tuple[str, ...]]
    """One or more normalised references a clip."""

    @property
    def num_clips(self) -> int:
        """How many clips."""
        return len(self.predictions)

    @property
    def num_samples(self) -> int:
        """How many pairs of an answer and a reference."""
        return sum(map(len, self.references))

    @property
    def flat_references(self) -> list[str]:
        """The reference of every sample, clip after clip."""
        return [text for texts in self.references for text in texts]

    @property
    def flat_predictions(self) -> list[str]:
        """The answer of every sample, clip after clip."""
        pairs = zip(self.predictions, self.references, strict=True)
        return [answer for answer, texts in pairs for _ in texts]

    @property
    def clip_of_sample(self) -> NDArray[np.int64]:
        """Index of each sample's clip, int64 ``[num_samples]``."""
        counts = np.fromiter(map(len, self.references), dtype=np.int64, count=self.num_clips)
        return np.repeat(np.arange(self.num_clips), counts)

    def constant_answers(self) -> list[str]:
        """What a system that hears nothing might always say.

        Empty, and each distinct reference, at most 500, the most frequent first.
        """
        frequent = Counter(self.flat_references).most_common(_MOST_CONSTANTS)
        return list(dict.fromkeys(["", *(text for text, _ in frequent)]))

    def other_clips(self) -> NDArray[np.int64] | None:
        """For each clip another clip, along a random cycle through all; None for fewer than two.

        The same one for equal numbers of clips. Answers shuffled so show what a system that hears
        nothing, but speaks alike, would score.
        """
        if self.num_clips < 2:
            return None
        order = generator("metrics", "shuffled answers", self.num_clips).permutation(self.num_clips)
        other = np.empty(self.num_clips, dtype=np.int64)
        other[order] = np.roll(order, 1)
        return other


def pair(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    keep_punctuation: bool = False,
) -> Samples:
    """Normalise answers and references; equal texts are normalised once.

    Raises:
        ScoringError: The two lists differ in length, or a clip has no reference.
    """
    if len(predictions) != len(references):
        raise ScoringError(
            f"There are {len(predictions)} predictions and {len(references)} lists of references; "
            "each clip needs one prediction and its references."
        )
    seen: dict[str, str] = {}

    def clean(text: str) -> str:
        if text not in seen:
            seen[text] = normalise(text, keep_punctuation=keep_punctuation)
        return seen[text]

    kept = []
    for index, texts in enumerate(references):
        if isinstance(texts, str):
            raise ScoringError(
                f"The references of clip {index} are one text; a list of texts was expected."
            )
        if not texts:
            raise ScoringError(
                f"Clip {index} has no reference; each clip needs at least one to be scored."
            )
        kept.append(tuple(clean(text) for text in texts))
    return Samples([clean(text) for text in predictions], kept)
