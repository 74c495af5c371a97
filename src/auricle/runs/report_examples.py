"""A few wrong and a few right answers of each task, the same ones every time.

Wrong ones are not the worst ones, which are often empty or cut off: a classification shows one
clip of each frequent confusion, everything else the clips at fixed places among those that are not
perfect, worst first. Ties are broken by a hash of the clip's id, because neighbours in a shard are
often the same speaker or class.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auricle.metrics.captioning import ROUGE_L
from auricle.metrics.classification import split_labels
from auricle.metrics.text import Samples
from auricle.runs.predictions import Prediction
from auricle.runs.report_facts import JUDGED_BY_MODELS, TaskFacts, plain_id
from auricle.runs.report_media import Excerpt
from auricle.runs.report_recognition import Piece, difference

NUM_WRONG = 3
NUM_RIGHT = 2
LONGEST_TEXT = 400
_PLACES = (0.5, 0.1, 0.9)
"""Where among the imperfect clips, worst first, the wrong examples stand."""


class AudioReader(Protocol):
    """Reads the samples of a test clip, wherever they lie."""

    def __call__(self, task: str, clip_id: str, /) -> NDArray[np.float32] | None:
        """float32 ``[n]``, 16 kHz, mono; None where the clip is not at hand."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A clip to show."""

    index: int
    right: bool
    """Whether it stands among the right ones: it is perfect, or the best there is."""
    value: float


@dataclass(frozen=True, slots=True)
class Example:
    """One answered clip as the page shows it."""

    clip: str
    verdict: str
    """right, wrong, or how good the answer is."""
    right: bool
    references: list[str]
    more_references: int
    answer: str
    pieces: list[Piece] | None
    """Recognition: the answer against its reference."""
    labels: list[tuple[str, str]] | None
    """Several labels: each with ``hit``, ``missed`` or ``extra``."""
    duration_s: float
    excerpt: Excerpt | None


def choose(task: TaskFacts) -> list[Choice]:
    """The clips to show, wrong ones first."""
    values, samples = task.clip_values, task.samples
    if values is None or samples is None:
        return []
    ids = [p.id for p in task.predictions]
    by_hash = sorted(range(len(ids)), key=lambda i: _shuffled(ids[i]))
    perfect = [i for i in by_hash if values[i] >= 1]
    imperfect = [i for i in by_hash if values[i] < 1]
    if task.metric == "accuracy":
        wrong = _one_of_each(imperfect, _confusion_of(samples), NUM_WRONG)
        right = _one_of_each(perfect, lambda i: samples.references[i][0], NUM_RIGHT)
    else:
        ranked = sorted(imperfect, key=lambda i: values[i])
        wrong = _at_places(ranked, NUM_WRONG)
        longest = sorted(perfect, key=lambda i: -len(samples.references[i][0]))
        right = [i for i in [*longest, *ranked[::-1]] if i not in wrong][:NUM_RIGHT]
    return [
        *(Choice(i, False, values[i]) for i in wrong),
        *(Choice(i, True, values[i]) for i in right),
    ]


def _shuffled(clip_id: str) -> bytes:
    return hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).digest()


def _confusion_of(samples: Samples) -> Callable[[int], tuple[str, str]]:
    return lambda i: (samples.references[i][0], samples.predictions[i])


def _one_of_each(clips: Sequence[int], kind: Callable[[int], object], count: int) -> list[int]:
    """The first clip of each of the most frequent kinds, then further ones."""
    frequency = Counter(kind(i) for i in clips)
    seen: Counter[object] = Counter()
    keys = []
    for place, i in enumerate(clips):
        seen[kind(i)] += 1
        keys.append((seen[kind(i)], -frequency[kind(i)], place))
    return [clips[key[2]] for key in sorted(keys)[:count]]


def _at_places(ranked: Sequence[int], count: int) -> list[int]:
    found: list[int] = []
    for place in _PLACES[:count]:
        index = min(int(place * len(ranked)), len(ranked) - 1)
        if ranked and ranked[index] not in found:
            found.append(ranked[index])
    order = {clip: place for place, clip in enumerate(ranked)}
    return sorted(found, key=lambda clip: order[clip])


def make_example(
    task: TaskFacts, choice: Choice, excerpt: Callable[[str], Excerpt | None]
) -> Example:
    """Everything that the page shows of a clip; ``excerpt`` gives its sound by its id."""
    clip, samples = task.predictions[choice.index], task.samples
    assert samples is not None
    references = list(dict.fromkeys(clip.references))
    return Example(
        clip=plain_id(clip.id),
        verdict=_verdict(task.metric, choice),
        right=choice.value >= 1,
        references=[shorten(text) for text in references[:3]],
        more_references=max(0, len(references) - 3),
        answer=shorten(clip.prediction),
        pieces=_pieces(task.metric, clip, samples, choice.index),
        labels=_labels(task, samples, choice.index),
        duration_s=clip.duration_s,
        excerpt=excerpt(clip.id),
    )


def _verdict(metric: str, choice: Choice) -> str:
    if choice.value >= 1:
        return "right"
    if metric == "accuracy":
        return "wrong"
    measure = "label F1" if metric == "mAP" else ROUGE_L if metric in JUDGED_BY_MODELS else metric
    best = "best: " if choice.right else ""
    return f"{best}{measure} {max(choice.value, 0.0):.2f}"


def _pieces(metric: str, clip: Prediction, samples: Samples, index: int) -> list[Piece] | None:
    too_long = max(len(clip.prediction), *(len(text) for text in clip.references)) > LONGEST_TEXT
    if metric not in ("iWER", "iCER") or too_long:
        return None
    return difference(samples.references[index][0], samples.predictions[index], metric)


def _labels(task: TaskFacts, samples: Samples, index: int) -> list[tuple[str, str]] | None:
    if task.metric != "mAP":
        return None
    answered = split_labels(samples.predictions[index], task.separator, strip=True)
    texts = samples.references[index]
    wanted = set().union(*(split_labels(text, task.separator, strip=True) for text in texts))
    kinds = [
        ("hit", wanted & answered),
        ("missed", wanted - answered),
        ("extra", answered - wanted),
    ]
    return [(shorten(label), kind) for kind, labels in kinds for label in sorted(labels)[:12]]


def shorten(text: str) -> str:
    """A text that fits on a card."""
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
