"""The training stage: the LALM, its draws span by span, and what replaces damaged clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from auricle.catalog.recipe import BLOCK
from auricle.features.spans import Span
from auricle.job import Data, Job
from auricle.lalm.answer import Answerer
from auricle.lalm.model import build_lalm
from auricle.lalm.tokens import Tokens, load_tokenizer, train_tokenizer
from auricle.lalm.train import Trainer, TrainingFolder
from auricle.stages.encoding import Encoding
from auricle.stages.memory import memory_of


def open_tokens(job: Job, data: Data, made: Path) -> Tokens:
    """The decoder's tokenizer; the mini decoder's is trained where it does not lie in ``made`` yet.

    Raises:
        CatalogError: It cannot be loaded.
    """
    config = job.recipe.decoder_config
    if config is not None and not made.exists():
        train_tokenizer(data.texts, vocab_size=config.vocab_size, folder=made)
    return load_tokenizer(job.recipe.decoder if config is None else made)


def new_trainer(
    job: Job,
    data: Data,
    tokens: Tokens,
    *,
    feature_dim: int,
    read: Callable[[Any], Tensor],
    folder: TrainingFolder,
) -> Trainer:
    """A LALM that has learnt nothing yet, with what trains it; see `Trainer`.

    Raises:
        CatalogError: The decoder cannot be loaded.
    """
    lalm = build_lalm(
        job.recipe, tokens=tokens, feature_dim=feature_dim, seed=job.seed, device=job.device
    )
    return Trainer(
        lalm,
        draws=data.mixture.draws,
        read=read,
        tokens=tokens,
        recipe=job.recipe,
        seed=job.seed,
        folder=folder,
    )


class Training:
    """The LALM of a run and its training, continued where a checkpoint lies."""

    def __init__(self, data: Data, encoding: Encoding) -> None:
        self._data, self.encoding = data, encoding
        job, folder = encoding.job, encoding.folder
        self.tokens = open_tokens(job, data, folder.tokenizer)
        dim, read = encoding.features.store.dim, encoding.features.read
        self.trainer = new_trainer(
            job, data, self.tokens, feature_dim=dim, read=read, folder=folder
        )
        self.trainer.resume()
        self._told_slow = False

    def spans(self) -> Iterator[Span]:
        """The blocks of draws that are encoded and trained on together, from here on."""
        return self.encoding.walk.training(self.trainer.step)

    def encode(self, span: Span) -> None:
        """Encode a span of draws; replace the clips that cannot be decoded."""
        mixture, encoding = self._data.mixture, self.encoding
        first, stop = encoding.walk.draws_of(span.first, span.stop)
        bad = encoding.encode(span, name="encode training clips")
        while mixture.mark_undecodable(bad):
            windows = list(mixture.windows(first, stop))
            # Only windows that replace damaged ones are new to the plan here.
            encoding.features.plan.add(windows)
            with encoding.clock("encode"):
                bad = encoding.ensure(
                    encoding.features.plan.of(windows), name="encode replacements"
                )
        encoding.tell_remarks("training")
        for name, count in mixture.unreadable_clips().items():
            encoding.tell(
                f"{name}: {count} training clips cannot be decoded; each is replaced by the next "
                "decodable one of its task."
            )

    def train(self, span: Span) -> None:
        """Train on a span of blocks."""
        job, trainer = self.encoding.job, self.trainer
        total = job.recipe.train.steps
        stop = min(span.stop * BLOCK // job.recipe.train.batch_size, total)
        if trainer.step >= stop:
            return
        with (
            self.encoding.clock("train"),
            self.encoding.progress.stage("train", total, "steps", done=trainer.step) as stage,
            memory_of(job.device, doing=f"training the steps from {trainer.step} on"),
        ):
            trainer.run_until(stop, stage=stage)
        if trainer.slow_because and not self._told_slow:
            self._told_slow = True
            self.encoding.progress.warn(trainer.slow_because)

    def answerer(self) -> Answerer:
        """The trained LALM, ready to answer."""
        return Answerer(self.trainer.lalm, self.tokens, recipe=self.encoding.job.recipe)
