"""The chunks of questions that a run will ask, and how long their answers may be.

How long an answer is nobody knows before the training: an answer is taken to be as long as the
clip's references. A training that ends inside its own warm-up has hardly learnt to end an answer,
so there every answer is taken to be as long as it may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auricle.catalog.recipe import Recipe
from auricle.data.tables import AskedClip
from auricle.lalm.tokens import Tokens
from auricle.stages.walk import Questions

_OF_A_STEP = 32
"""Positions that cost about what reading the decoder's weights for one more token does."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One chunk of questions."""

    durations_s: tuple[float, ...]
    prompts: tuple[str, ...]
    lengths: tuple[int, ...]
    """Tokens of each expected answer, the one that ends it included."""
    positions: int
    """Positions of audio and prompts together."""


def list_questions(
    questions: Iterable[Questions], tokens: Tokens, *, recipe: Recipe, rate_hz: float
) -> list[Asked]:
    """All chunks of a run.

    Args:
        questions: Of each task.
        tokens: The decoder's tokenizer.
        recipe: Of the run.
        rate_hz: Frames of audio per second.
    """
    found = []
    for task in questions:
        for chunk in task.chunks:
            durations_s = tuple(task.windows[a.id].duration_s for a in chunk)
            positions = sum(max(1.0, s * rate_hz / recipe.features.concat) for s in durations_s)
            positions += sum(len(tokens.encode(a.prompt)) for a in chunk)
            lengths = tuple(_length(recipe, a, tokens) for a in chunk)
            prompts = tuple(a.prompt for a in chunk)
            found.append(Asked(durations_s, prompts, lengths, round(positions)))
    return found


def _length(recipe: Recipe, clip: AskedClip, tokens: Tokens) -> int:
    longest = recipe.answer.max_new_tokens
    if recipe.train.steps <= recipe.train.warmup:
        return longest
    texts = [len(tokens.encode(text)) + 1 for text in clip.references]
    return min(longest, round(sum(texts) / len(texts)))


def steps_of(chunk: Asked) -> Iterator[int]:
    """Rows that are still being answered, at each token after the first."""
    for step in range(1, max(chunk.lengths)):
        yield sum(length > step for length in chunk.lengths)


def weight_of(chunk: Asked) -> float:
    """What a chunk's cost nearly follows, in positions."""
    return chunk.positions + sum(rows + _OF_A_STEP for rows in steps_of(chunk))
