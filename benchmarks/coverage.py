"""How often the 95 % intervals of scores hold the truth, on made-up answers whose truth is known.

    python benchmarks/coverage.py [REPETITIONS]          intervals of scores
    python benchmarks/coverage.py seeds [REPETITIONS]    of differences of encoders over seeds

Prints a Markdown table; docs/metrics.md quotes a run of 2,000 repetitions. Truth is the metric at
the answers' true rates, found from a very large draw; of two equal encoders it is zero.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auricle.metrics.classification import average_precisions
from auricle.metrics.tally import LabelTally, RatioTally, Tally
from auricle.scoring.compare import RunAnswers, TaskAnswers
from auricle.scoring.encoders import Encoder, compare_encoders
from auricle.scoring.intervals import interval_of
from auricle.scoring.summary import ScoredClip
from auricle.seeding import generator

Draw = Callable[[np.random.Generator, int], Tally]


def right_or_wrong(p: float, samples_per_clip: int = 1) -> Draw:
    """Answers right with probability p; a clip's samples share part of their luck."""

    def draw(rng: np.random.Generator, clips: int) -> Tally:
        size = np.full(clips, float(samples_per_clip))
        if samples_per_clip == 1:
            return RatioTally((rng.random(clips) < p).astype(float), size, binary=True)
        of_clip = rng.beta(4 * p, 4 * (1 - p), clips)
        return RatioTally(rng.binomial(samples_per_clip, of_clip).astype(float), size, binary=True)

    return draw


def word_errors(kind: str) -> Draw:
    """Transcripts of 5 to 30 words: even errors, hard and easy clips, or a few hallucinations.

    ``rare``: of 3 to 7 words, and a wrong one in 1 % of the clips.
    """

    def draw(rng: np.random.Generator, clips: int) -> Tally:
        if kind == "rare":
            few = rng.integers(3, 8, clips).astype(float)
            return RatioTally(few - (rng.random(clips) < 0.01), few)
        words = rng.integers(5, 31, clips)
        rate = np.full(clips, 0.1) if kind == "even" else rng.beta(0.5, 4.5, clips)
        errors = rng.binomial(words, rate).astype(float)
        if kind == "hallucinating":
            errors += np.where(rng.random(clips) < 0.02, rng.integers(5, 40, clips), 0)
        return RatioTally(words - errors, words.astype(float))

    return draw


def labels(classes: int, recall: float, skew: float) -> Draw:
    """One to two labels a clip, class shares falling as rank ** -skew, some answered wrongly."""
    share = np.arange(1, classes + 1) ** -skew
    share /= share.sum()

    def draw(rng: np.random.Generator, clips: int) -> Tally:
        rows = np.concatenate([np.arange(clips), np.flatnonzero(rng.random(clips) < 0.5)])
        truth = rng.choice(classes, len(rows), p=share)
        answer = np.where(
            rng.random(len(rows)) < recall, truth, rng.choice(classes, len(rows), p=share)
        )
        names = [f"{c:03d}" for c in range(classes)]
        targets = np.unique(rows * classes + truth)
        answers = np.unique(rows * classes + answer)
        return LabelTally(
            names,
            classes,
            np.arange(clips),
            *(targets // classes, targets % classes),
            *(answers // classes, answers % classes),
        )

    return draw


def value_of(tally: Tally) -> float:
    """The metric itself, unclipped."""
    if isinstance(tally, RatioTally):
        return float(tally.numerator.sum() / tally.denominator.sum())
    size = tally.num_classes
    hits = np.intersect1d(
        tally.target_rows * size + tally.target_columns,
        tally.answer_rows * size + tally.answer_columns,
    )
    counts = [tally.target_columns, tally.answer_columns, hits % size]
    per_class = average_precisions(
        *(np.bincount(columns, minlength=size).astype(float) for columns in counts),
        tally.num_clips,
    )
    return float(per_class.mean())


SETTINGS: list[tuple[str, Draw, int]] = [
    ("accuracy .50", right_or_wrong(0.5), 100),
    ("accuracy .90", right_or_wrong(0.9), 99),
    ("accuracy .70", right_or_wrong(0.7), 400),
    ("accuracy .99", right_or_wrong(0.99), 1000),
    ("accuracy .99, n p (1 - p) < 1", right_or_wrong(0.99), 99),
    ("accuracy .80, 3 references a clip", right_or_wrong(0.8, 3), 300),
    ("WER, even errors", word_errors("even"), 200),
    ("WER, even errors", word_errors("even"), 2000),
    ("WER, hard and easy clips", word_errors("uneven"), 200),
    ("WER, hard and easy clips", word_errors("uneven"), 1000),
    ("WER, 2 % hallucinated", word_errors("hallucinating"), 100),
    ("WER, 2 % hallucinated", word_errors("hallucinating"), 1000),
    ("WER, a wrong word in 1 % of clips", word_errors("rare"), 100),
    ("WER, a wrong word in 1 % of clips", word_errors("rare"), 300),
    ("WER, a wrong word in 1 % of clips", word_errors("rare"), 2000),
    ("mAP, 10 even classes", labels(10, 0.7, 0.0), 300),
    ("mAP, 40 even classes", labels(40, 0.6, 0.0), 1600),
    ("mAP, 40 skewed classes", labels(40, 0.6, 1.0), 1600),
    ("mAP, 200 skewed classes", labels(200, 0.4, 0.5), 4000),
    ("mAP, 40 skewed classes, sparse", labels(40, 0.6, 1.0), 300),
]


def seeds(repetitions: int) -> None:
    """Differences of two equal encoders over their seeds: how often the interval holds zero."""
    print("| seeds each | seeds' sd | clips | zero covered | called better or worse |")
    print("|---|---|---|---|---|")
    for count, spread in ((2, 0.03), (3, 0.0), (3, 0.03), (5, 0.03)):
        rng = generator("coverage", "seeds", count, int(1000 * spread))
        held, called = 0, 0
        for _ in range(repetitions):
            # What a clip asks of every seed; each seed has a skill of its own.
            ease = rng.beta(1.2, 1.2, 300)
            pair = [equal_encoder(name, count, spread, ease, rng=rng) for name in "xy"]
            entry = compare_encoders(pair)["pairs"][0]["tasks"]["t"]
            held += entry["low"] <= 0 <= entry["high"]
            called += entry["p"] <= 0.05
        shares = [f"{100 * share / repetitions:.1f} %" for share in (held, called)]
        print(f"| {count} | {spread} | 300 | {' | '.join(shares)} |", flush=True)


def equal_encoder(
    name: str, count: int, spread: float, ease: NDArray[np.float64], *, rng: np.random.Generator
) -> Encoder:
    """An encoder whose seeds answer 300 clips, each a little better or worse than its mean."""
    runs = []
    for seed in range(count):
        right = rng.random(len(ease)) < np.clip(ease + rng.normal(0, spread), 0, 1)
        clips = [ScoredClip(str(i), "a" if hit else "b", ["a"]) for i, hit in enumerate(right)]
        runs.append(RunAnswers(f"{name} {seed}", {"t": TaskAnswers("accuracy", "a", clips)}))
    return Encoder(name, runs, [])


def main() -> None:
    """Run every setting and print the table."""
    if sys.argv[1:2] == ["seeds"]:
        return seeds(int(sys.argv[2]) if len(sys.argv) > 2 else 2000)
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("| what | clips | truth | covered | mean width | s |\n|---|---|---|---|---|---|")
    for name, draw, clips in SETTINGS:
        start = time.process_time()
        rng = generator("coverage", name, clips)
        truth = value_of(draw(rng, 2_000_000))
        covered, width = 0, 0.0
        for repetition in range(repetitions):
            interval = interval_of(draw(rng, clips), f"coverage {repetition}")
            assert interval is not None
            low, high = interval.clipped().low, interval.clipped().high
            covered += low <= truth <= high
            width += high - low
        print(
            f"| {name} | {clips} | {truth:.3f} | {100 * covered / repetitions:.1f} % "
            f"| {width / repetitions:.3f} | {time.process_time() - start:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
