"""How many shapes a training's steps have on a GPU, and what they waste.

    python benchmarks/shapes.py [--steps 25000] [--seconds 1 30] [--targets 1 60]

Steps are captured by shape (`auricle/lalm/fixed.py`). Draws of the given ranges are sorted and cut
into batches of 4 as in a training, at 25 frames a second: lengths are spread evenly on a scale of
logarithms, and so, apart from them, are the targets' tokens. Counted are rows, shapes, and how many
captures are made where only the newest some are kept; nothing is computed.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from auricle.catalog.recipe import BLOCK
from auricle.lalm import capture
from auricle.lalm.batch import block_batches
from auricle.lalm.fixed import fixed_shape

BATCH, FRAME_RATE, PROMPTS = 4, 25, (7, 12)


@dataclass(frozen=True)
class Draw:
    """A clip and a text of some tokens."""

    index: int
    window: str
    prompt: str
    text: str
    duration_s: float


class Letters:
    """A tokenizer with a token for each letter."""

    eos_id = 0

    def encode(self, text: str) -> list[int]:
        """One number a letter."""
        return [1] * len(text)


def draws(count: int, seconds: Sequence[float], targets: Sequence[float]) -> list[Draw]:
    """Draws of random lengths."""
    rng = random.Random(1)

    def between(low: float, high: float) -> float:
        return math.exp(rng.uniform(math.log(low), math.log(high)))

    return [
        Draw(i, "", "p" * rng.randint(*PROMPTS), "t" * round(between(*targets)), between(*seconds))
        for i in range(count)
    ]


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=25_000)
    parser.add_argument("--seconds", type=float, nargs=2, default=(1.0, 30.0))
    parser.add_argument("--targets", type=float, nargs=2, default=(1.0, 60.0))
    arguments = parser.parse_args()
    drawn = draws(arguments.steps * BATCH, arguments.seconds, arguments.targets)
    met: list[tuple[int, ...]] = []
    real = padded = 0
    for first in range(0, len(drawn), BLOCK):
        for batch in block_batches(drawn[first : first + BLOCK], Letters(), BATCH):  # type: ignore[arg-type]
            texts = [len(e.prompt) + len(e.target) - 1 for e in batch]
            lengths = [
                round(e.duration_s * FRAME_RATE) + t for e, t in zip(batch, texts, strict=True)
            ]
            met.append(fixed_shape(lengths, sum(len(e.target) for e in batch)))
            real += sum(lengths)
            padded += BATCH * max(lengths)
    print(f"{len(met):,} steps of {real / len(met):.0f} rows; {len(set(met))} shapes")
    print(f"rows computed: {sum(s[0] for s in met) / real:.3f} of the real ones")
    print(f"  with each sequence as long as its batch's longest: {padded / real:.3f}")
    for most in (capture.MOST // 2, capture.MOST):
        kept: OrderedDict[tuple[int, ...], None] = OrderedDict()
        made = 0
        for shape in met:
            made += shape not in kept
            kept[shape] = None
            kept.move_to_end(shape)
            if len(kept) > most:
                kept.popitem(last=False)
        print(f"captures made where {most} are kept: {made}")


if __name__ == "__main__":
    main()
