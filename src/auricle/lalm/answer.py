"""Questions to answers: greedy, as text.

A chunk of questions is answered together; its answers depend on the chunk alone, so chunks fixed
by the plan give the same bytes whenever they are answered (law 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from auricle.catalog.recipe import Recipe
from auricle.lalm.decode import Generator
from auricle.lalm.generic import GenericDecoder
from auricle.lalm.greedy import Settings
from auricle.lalm.model import LALM
from auricle.lalm.tokens import Tokens

_NOBODY = -1
"""A token that no decoder says."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the LALM is asked."""

    features: Tensor
    """``[T', D]``, any float dtype."""
    prompt: str
    """The task's prompt."""


class Answerer:
    """A trained LALM ready to answer: adapters are merged once for all chunks."""

    def __init__(self, lalm: LALM, tokens: Tokens, *, recipe: Recipe) -> None:
        """Prepare.

        Args:
            lalm: Trained; must not be trained on while this is in use.
            tokens: The decoder's tokenizer.
            recipe: Longest answer and repetition penalty.
        """
        self._lalm = lalm
        self._tokens = tokens
        self._settings = Settings(
            tokens.eos_id, recipe.answer.max_new_tokens, recipe.answer.repetition_penalty
        )
        decoder = lalm.decoder
        self._generator = decoder if isinstance(decoder, GenericDecoder) else Generator(decoder)

    @torch.inference_mode()
    def answer(self, questions: Sequence[Question], *, exactly: int | None = None) -> list[str]:
        """Answer one chunk.

        Args:
            questions: All of them are held in memory together.
            exactly: Tokens of every answer, whatever is said; to measure how long they take.

        Returns:
            One text per question, in their order.
        """
        if not questions:
            return []
        settings = self._settings
        if exactly is not None:
            settings = replace(settings, eos_id=_NOBODY, max_new_tokens=exactly)
        audio = [self._lalm.positions(question.features) for question in questions]
        prompts = [self._tokens.encode(question.prompt) for question in questions]
        ids = self._generator.generate(audio, prompts, settings)
        return [self._tokens.decode(row) for row in ids]


def answer(
    lalm: LALM, tokens: Tokens, questions: Sequence[Question], *, recipe: Recipe
) -> list[str]:
    """Answer one chunk of questions; for many chunks keep an `Answerer`.

    Args:
        lalm: Trained.
        tokens: The decoder's tokenizer.
        questions: The chunk.
        recipe: Longest answer and repetition penalty.
    """
    return Answerer(lalm, tokens, recipe=recipe).answer(questions)
