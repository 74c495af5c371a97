"""The chunks of questions that a run will ask, and how long their answers may be.

How long an answer is nobody knows before the training: an answer is taken to be as long as the
clip's references. A training that ends inside its own warm-up has hardly learnt to end an answer,
so there every answer is taken to be as long as it may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auricle.data.tables import AskedClip
from auricle.job import Data, Job
from auricle.lalm.tokens import Tokens
from auricle.stages.answering import answer_order

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


def list_questions(job: Job, data: Data, tokens: Tokens, *, rate_hz: float) -> list[Asked]:
    """All chunks of a run.

    Args:
        job: What was asked for.
        data: Its data.
        tokens: The decoder's tokenizer.
        rate_hz: Positions of audio per second.
    """
    found = []
    for table, asked in data.tests.values():
        windows, chunks = answer_order(table, asked)
        for chunk in chunks:
            durations_s = tuple(windows[a.id].duration_s for a in chunk)
            positions = sum(max(1.0, duration * rate_hz) for duration in durations_s)
            positions += sum(len(tokens.encode(a.prompt)) for a in chunk)
            lengths = tuple(_length(job, a, tokens) for a in chunk)
            prompts = tuple(a.prompt for a in chunk)
            found.append(Asked(durations_s, prompts, lengths, round(positions)))
    return found


def _length(job: Job, clip: AskedClip, tokens: Tokens) -> int:
    longest = job.recipe.answer.max_new_tokens
    if job.recipe.train.steps <= job.recipe.train.warmup:
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
