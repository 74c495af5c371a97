"""The one door to all metrics: a name, answers and references in, a result out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auricle.errors import UnknownNameError
from auricle.metrics.captioning import ROUGE_L, date, fense, rouge_l
from auricle.metrics.classification import ACCURACY, MAP, accuracy, mean_average_precision
from auricle.metrics.evidence import DATE, FENSE
from auricle.metrics.recognition import (
    ICER,
    IWER,
    inverse_character_error_rate,
    inverse_word_error_rate,
)
from auricle.metrics.result import MetricOptions, MetricResult
from auricle.metrics.text import Samples, pair

_METRICS: dict[str, Callable[[Samples, MetricOptions], MetricResult]] = {
    ACCURACY: accuracy,
    MAP: mean_average_precision,
    IWER: inverse_word_error_rate,
    ICER: inverse_character_error_rate,
    FENSE: fense,
    DATE: date,
    ROUGE_L: rouge_l,
}
METRIC_NAMES = tuple(_METRICS)
_CANONICAL = {name.lower(): name for name in METRIC_NAMES}


def canonical_metric(metric: str) -> str:
    """The one spelling of a metric's name, which is given in any case.

    Raises:
        UnknownNameError: No such metric.
    """
    name = _CANONICAL.get(metric.lower())
    if name is None:
        raise UnknownNameError("metric", metric, METRIC_NAMES, f"Known: {', '.join(METRIC_NAMES)}.")
    return name


def compute_metric(
    metric: str,
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    options: MetricOptions | None = None,
) -> MetricResult:
    """Score one task's answers.

    Each reference of a clip counts as a sample of its own, paired with the clip's answer, as the
    challenge has it (ROUGE-L takes the best reference of a clip instead).

    Args:
        metric: Name in any case.
        predictions: One answer a clip.
        references: The references of each clip, one or more.
        options: What the metric needs besides texts.

    Returns:
        The value with its detail. Where the answers make the official definition raise or give no
        number, ``raw`` is None, ``score`` 0 and ``reason`` says why; where there is nothing to
        score, or an argument is wrong, ``score`` is None too.

    Raises:
        UnknownNameError: No such metric.
        ScoringError: The lists do not fit together, or a model that is needed is missing.
    """
    name = canonical_metric(metric)
    samples = prepare(name, predictions, references)
    return compute_prepared(name, samples, options or MetricOptions())


def compute_prepared(metric: str, samples: Samples, options: MetricOptions) -> MetricResult:
    """The same on texts that `prepare` normalised for this metric, named canonically."""
    return _METRICS[metric](samples, options)


def prepare(
    metric: str, predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> Samples:
    """Normalise answers and references as one metric, named canonically, wants them."""
    return pair(predictions, references, keep_punctuation=metric == MAP)
