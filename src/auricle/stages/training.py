"""The training stage: the LALM, its draws span by span, and what replaces damaged clips."""

from __future__ import annotations

from collections.abc import Iterator

from auricle.catalog.recipe import BLOCK, MINI_DECODER
from auricle.features.spans import Span
from auricle.job import Data
from auricle.lalm.answer import Answerer
from auricle.lalm.model import build_lalm
from auricle.lalm.tokens import load_tokenizer, train_tokenizer
from auricle.lalm.train import Trainer
from auricle.stages.encoding import Encoding
from auricle.stages.memory import memory_of


class Training:
    """The LALM of a run and its training, continued where a checkpoint lies."""

    def __init__(self, data: Data, encoding: Encoding) -> None:
        self._data, self.encoding = data, encoding
        job, folder = encoding.job, encoding.folder
        made = folder.tokenizer if job.recipe.decoder == MINI_DECODER else None
        if made is not None and not made.exists():
            assert job.recipe.decoder_config is not None
            train_tokenizer(
                data.texts, vocab_size=job.recipe.decoder_config.vocab_size, folder=made
            )
        self.tokens = load_tokenizer(made or job.recipe.decoder)
        lalm = build_lalm(
            job.recipe,
            tokens=self.tokens,
            feature_dim=encoding.features.store.dim,
            seed=job.seed,
            device=job.device,
        )
        self.trainer = Trainer(
            lalm,
            draws=data.mixture.draws,
            read=encoding.features.read,
            tokens=self.tokens,
            recipe=job.recipe,
            seed=job.seed,
            folder=folder,
        )
        self.trainer.resume()
        self._told_slow = False

    def spans(self) -> Iterator[Span]:
        """The blocks of draws that are encoded and trained on together, from here on.

        Clips that turn out to be undecodable are replaced inside `encode`; what replaces them is
        small and does not move the spans.
        """
        total, mixture = self.encoding.job.total_draws, self._data.mixture
        first = self.trainer.step * self.encoding.job.recipe.train.batch_size // BLOCK
        units = (
            list(mixture.windows(block * BLOCK, min((block + 1) * BLOCK, total)))
            for block in range(first, -(-total // BLOCK))
        )
        for span in self.encoding.cut(units):
            yield Span(first + span.first, first + span.stop, span.batches)

    def encode(self, span: Span) -> None:
        """Encode a span of draws; replace the clips that cannot be decoded."""
        mixture, encoding = self._data.mixture, self.encoding
        first, stop = span.first * BLOCK, min(span.stop * BLOCK, encoding.job.total_draws)
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
