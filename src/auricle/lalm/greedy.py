"""The protocol's choice of the next token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auricle.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Settings:
    """How an answer is generated."""

    eos_id: int
    max_new_tokens: int
    repetition_penalty: float


def choose(logits: Tensor, said: Tensor, penalty: float) -> Tensor:
    """The likeliest token of each row; ties go to the lowest number.

    Args:
        logits: ``[rows, vocabulary]``.
        said: True where a row has generated the token before: bool, the same shape; the chosen
            tokens are added.
        penalty: Positive logits of such tokens are divided by it, negative ones multiplied
            (Keskar et al., 2019, "CTRL"), prompt and audio left out.

    Returns:
        int64 ``[rows]``; the size of the vocabulary where logits are not numbers.
    """
    if penalty != 1:
        lowered = torch.where(logits < 0, logits * penalty, logits / penalty)
        logits = torch.where(said, lowered, logits)
    best = logits == logits.amax(1, keepdim=True)
    numbers = torch.arange(logits.shape[1], device=logits.device)
    chosen = torch.where(best, numbers, logits.shape[1]).amin(1)
    said.scatter_(1, chosen[:, None].clamp(max=logits.shape[1] - 1), True)
    return chosen


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
