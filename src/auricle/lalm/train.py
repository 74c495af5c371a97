"""The training loop.

Step s is a function of the weights before it, of batch s and of (seed, s): nothing else random is
carried along, so a training that was killed goes on from its last checkpoint to the same bytes
(law 4). Checkpoints lie at steps that the recipe fixes, never where a span or a signal ended.

``losses.jsonl`` has one line per step, ``{"step", "loss", "grad_norm", "lr"}``; it is rewritten
whole at each checkpoint, so it never runs ahead of what a resumed training would repeat.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from auricle.catalog.recipe import Recipe
from auricle.errors import TrainingError
from auricle.files import write_text
from auricle.lalm.batch import Batch, BatchSource, DrawLike
from auricle.lalm.checkpoint import KEPT, Checkpoint, load_newest, save_checkpoint, save_final
from auricle.lalm.gradients import gradients_of
from auricle.lalm.model import LALM
from auricle.lalm.optimiser import Optimiser, learning_rate
from auricle.lalm.pieces import assign, values
from auricle.lalm.tokens import Tokens
from auricle.progress import Stage
from auricle.seeding import stream_key

# On a GPU, reading a loss waits for the device; on a CPU it is already there.
_STEPS_BETWEEN_READS = 20

logger = logging.getLogger(__name__)


def checkpoint_interval(steps: int) -> int:
    """Steps between checkpoints: about a twentieth of the training, from 50 to 1,000."""
    return min(1000, max(50, round(steps / 20)))


def checkpoints_bytes(numbers: int, *, steps: int) -> int:
    """Most bytes that the checkpoints of a training take at a time, the one being written included.

    Args:
        numbers: How many train: float32 values, each with two moments until the training ends.
        steps: Of the whole training.
    """
    written = (steps - 1) // checkpoint_interval(steps)
    return 4 * numbers * max(3 * min(written, KEPT + 1), 3 * min(written, KEPT) + 1)


class TrainingFolder(Protocol):
    """Where a training keeps its files."""

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""

    @property
    def losses(self) -> Path:
        """File of the loss curve."""


class Trainer:
    """Trains one LALM, in as many spans as the caller likes."""

    def __init__(
        self,
        lalm: LALM,
        *,
        draws: Callable[[int, int], Sequence[DrawLike]],
        read: Callable[[Any], Tensor],
        tokens: Tokens,
        recipe: Recipe,
        seed: int,
        folder: TrainingFolder,
    ) -> None:
        """Prepare; nothing is read or written yet.

        Args:
            lalm: As built; its weights are overwritten.
            draws: Draws of a range of numbers, unsorted.
            read: Features of a window: ``[T', D]`` on the CPU.
            tokens: The decoder's tokenizer.
            recipe: Of the run.
            seed: Of the run.
            folder: Where checkpoints and the loss curve go.
        """
        self.lalm = lalm
        self.step = 0
        self.source = BatchSource(draws=draws, read=read, tokens=tokens, recipe=recipe)
        self._train = recipe.train
        self._dropout = recipe.lora is not None and recipe.lora.dropout > 0
        self._seed = seed
        self._folder = folder
        self._pieces = lalm.pieces()
        self._gradients = gradients_of(lalm)
        self._optimiser = Optimiser(self._pieces, train=recipe.train)
        self._losses: list[float] = []
        self._norms: list[float] = []
        self._unread: list[tuple[Tensor, Tensor, tuple[str, ...]]] = []
        self._saved = False

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self._train.steps

    @property
    def slow_because(self) -> str:
        """A sentence on what makes the steps slow, empty where nothing does."""
        return self._gradients.slow_because

    @property
    def losses(self) -> Sequence[float]:
        """One per step done and read."""
        return self._losses

    def resume(self) -> int:
        """Take up the newest valid checkpoint.

        Returns:
            Steps done: 0 where there is none.
        """
        found = load_newest(self._folder.checkpoints, steps=self.steps)
        if found is None:
            return self.step
        tensors = found.tensors
        assign(self._pieces, {p.name: tensors[f"value/{p.name}"] for p in self._pieces})
        if found.step < self.steps:
            self._optimiser.load(tensors, steps_done=found.step)
        self._losses = tensors["losses"].tolist()
        self._norms = tensors["grad_norms"].tolist()
        self.step = found.step
        self._saved = found.step == self.steps
        return self.step

    def run_until(self, stop: int, *, stage: Stage | None = None) -> None:
        """Train up to, not including, step ``stop``; after the last step the result is saved.

        Args:
            stop: At most the recipe's steps; features of no later step are read.
            stage: Advanced by 1 for each step, on a GPU a few steps later.

        Raises:
            TrainingError: A loss or gradient is not finite.
            OutputError: A checkpoint cannot be written.
        """
        stop = min(stop, self.steps)
        every = checkpoint_interval(self.steps)
        on_cpu = self.lalm.device.type == "cpu"
        for batch in self.source.batches(self.step, stop):
            self._take(batch)
            due = self.step % every == 0 and self.step < self.steps
            if on_cpu or due or len(self._unread) >= _STEPS_BETWEEN_READS:
                self._read(stage)
            if due:
                save_checkpoint(self._folder.checkpoints, self._checkpoint(self._optimiser.state()))
                self._write_losses()
        self._read(stage)
        if self.step == self.steps and not self._saved:
            save_final(self._folder.checkpoints, self._checkpoint({}))
            self._write_losses()
            self.release()
            self._saved = True

    def try_step(self, step: int) -> None:
        """Take one step out of its turn, to its end: for measuring, on weights that are lost."""
        self.step = step
        self._take(self.source.batch(step))
        self._read(None)

    def release(self) -> None:
        """Give back the memory that further steps would use."""
        self._gradients.release()

    def _take(self, batch: Batch) -> None:
        loss = self._gradients(batch, self._dropout_seed())
        norm = self._optimiser.step(self.step)
        self._unread.append((loss, norm, batch.names))
        self.step += 1

    def _dropout_seed(self) -> int | None:
        if not self._dropout:
            return None
        return stream_key("lalm", "dropout", self._seed, self.step) % 2**63

    def _read(self, stage: Stage | None) -> None:
        """Fetch the losses of the last steps and check them; nothing is saved before that."""
        if not self._unread:
            return
        numbers = torch.stack([torch.stack([a, b.to(a.dtype)]) for a, b, _ in self._unread])
        rows = numbers.double().cpu().tolist()
        for (loss, norm), (_, _, names) in zip(rows, self._unread, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise _not_finite(len(self._losses), loss, norm, names)
            self._losses.append(loss)
            self._norms.append(norm)
            if stage is not None:
                stage.advance()
                stage.note(f"loss {loss:.3f}")
        self._unread.clear()

    def _checkpoint(self, extra: dict[str, Tensor]) -> Checkpoint:
        tensors = {f"value/{name}": value for name, value in values(self._pieces).items()}
        tensors.update(extra)
        tensors["losses"] = torch.tensor(self._losses, dtype=torch.float64)
        tensors["grad_norms"] = torch.tensor(self._norms, dtype=torch.float64)
        return Checkpoint(self.step, self.steps, tensors)

    def _write_losses(self) -> None:
        lines = [
            json.dumps(
                {
                    "step": step,
                    "loss": loss,
                    "grad_norm": norm,
                    "lr": learning_rate(step, train=self._train),
                }
            )
            for step, (loss, norm) in enumerate(zip(self._losses, self._norms, strict=True))
        ]
        write_text(self._folder.losses, "".join(f"{line}\n" for line in lines))


def _not_finite(step: int, loss: float, norm: float, names: tuple[str, ...]) -> TrainingError:
    what = f"The loss is {loss}" if not math.isfinite(loss) else f"The gradient's length is {norm}"
    clips = ", ".join(dict.fromkeys(names))
    return TrainingError(
        f"{what} at step {step}, where a finite number is expected; nothing after the last "
        f"checkpoint is kept. The step's clips: {clips}. Look at the encoder's features for them "
        "(very large values?), or lower the recipe's train.lr."
    )
