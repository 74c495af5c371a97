"""The protocol's choice of the next token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auricle.errors import TrainingError

NOTHING = -1
"""Where a row of generated tokens holds none yet."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How an answer is generated."""

    eos_id: int
    max_new_tokens: int
    repetition_penalty: float


def choose(logits: Tensor, said: Tensor, penalty: float) -> Tensor:
    """The likeliest token of each row; ties go to the lowest number.

    Args:
        logits: ``[rows, vocabulary]``; overwritten where tokens were said.
        said: What each row has generated before, from the left, `NOTHING` after it: int64
            ``[rows, n]``.
        penalty: Positive logits of such tokens are divided by it, negative ones multiplied
            (Keskar et al., 2019, "CTRL"), prompt and audio left out.

    Returns:
        int64 ``[rows]``; the size of the vocabulary where logits are not numbers.
    """
    if penalty != 1 and said.shape[1]:
        first = said[:, :1]
        # A row's first token stands in for what it has not said yet, so that every place of a row
        # writes the same value for the same token.
        places = torch.where(said == NOTHING, first, said).clamp(min=0)
        values = logits.gather(1, places)
        lowered = torch.where(values < 0, values * penalty, values / penalty)
        logits.scatter_(1, places, torch.where(first == NOTHING, values, lowered))
    best, chosen = logits.max(1)
    return torch.where(best.isnan(), logits.shape[1], chosen)


def check_tokens(chosen: Sequence[int], questions: Sequence[int], vocabulary: int) -> None:
    """Refuse what `choose` found in logits that are not numbers.

    Raises:
        TrainingError: Names the question by its place in the chunk.
    """
    for token, question in zip(chosen, questions, strict=True):
        if token >= vocabulary:
            raise TrainingError(
                f"The decoder's output for question {question} of the chunk (counted from 0) is "
                "not a number. Look at the encoder's features for that clip (very large values?)."
            )
