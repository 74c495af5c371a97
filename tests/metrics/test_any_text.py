"""Any text at all: never a crash, and a score in [0, 1] or none with a reason."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auricle.metrics.compute import compute_metric, prepare
from auricle.metrics.judge import judge
from auricle.metrics.result import MetricOptions
from auricle.metrics.text import normalise

TEXT_METRICS = ["accuracy", "mAP", "iWER", "iCER", "ROUGE-L"]
# Everything Python can hold in a string, halves of surrogate pairs too, and what metrics split at.
ANY = st.text(st.characters(exclude_categories=()), max_size=30)
TRICKY = st.sampled_from(
    ["", " ", ";", ";;", "a;b", "a; b", "今天 天气", "\u200b", "\x00", "a" * 500]
)
TEXT = st.one_of(ANY, TRICKY)
CLIPS = st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), max_size=8)


def check(result):
    if result.score is None:
        assert result.reason
    else:
        assert 0 <= result.score <= 1
        if result.raw is None:
            assert result.reason
        else:
            assert math.isfinite(result.raw)
            assert result.score == min(1, max(0, result.raw))
    for value in (result.corrected or {}).values():
        assert math.isfinite(value)
    json.dumps([result.corrected, result.detail, result.per_clip], allow_nan=False)


@pytest.mark.parametrize("metric", TEXT_METRICS)
@settings(deadline=None)
@given(clips=CLIPS, num_classes=st.integers(-1, 40))
def test_any_text_has_a_score_or_a_reason(metric, clips, num_classes):
    answers, references = [a for a, _ in clips], [r for _, r in clips]
    options = MetricOptions(num_classes=num_classes)
    result = compute_metric(metric, answers, references, options=options)
    check(result)
    if result.per_clip is not None:
        assert len(result.per_clip) == len(clips)


@pytest.mark.parametrize("metric", ["accuracy", "iWER", "iCER", "ROUGE-L"])
@settings(deadline=None)
@given(texts=st.lists(TEXT, min_size=1, max_size=8))
def test_answers_equal_to_their_references_are_perfect(metric, texts):
    assert compute_metric(metric, texts, [[text] for text in texts]).raw == 1.0


@pytest.mark.parametrize("metric", TEXT_METRICS)
@settings(deadline=None)
@given(clips=CLIPS.filter(bool), seed=st.randoms(use_true_random=False))
def test_the_order_of_clips_changes_nothing(metric, clips, seed):
    shuffled = list(clips)
    seed.shuffle(shuffled)
    options = MetricOptions(num_classes=30)
    one, other = (
        compute_metric(metric, [a for a, _ in c], [r for _, r in c], options=options)
        for c in (clips, shuffled)
    )
    assert one.raw == pytest.approx(other.raw, abs=1e-12)


@pytest.mark.parametrize("metric", TEXT_METRICS)
@settings(deadline=None)
@given(clips=CLIPS.filter(bool))
def test_every_clip_twice_changes_nothing(metric, clips):
    options = MetricOptions(num_classes=30)
    once = compute_metric(metric, [a for a, _ in clips], [r for _, r in clips], options=options)
    twice = compute_metric(
        metric, [a for a, _ in clips] * 2, [r for _, r in clips] * 2, options=options
    )
    # Without a reference word the official error rate is a count, which doubles.
    if once.detail.get("reference_units") != 0:
        assert once.raw == pytest.approx(twice.raw, abs=1e-12)


@settings(deadline=None)
@given(text=TEXT, keep=st.booleans())
def test_normalising_a_normal_text_again_only_ever_shortens_it(text, keep):
    # NFKC after lower-casing may compose once more; nothing is ever added.
    once = normalise(text, keep_punctuation=keep)
    assert len(normalise(once, keep_punctuation=keep)) <= len(once)


@pytest.mark.parametrize("metric", TEXT_METRICS)
def test_very_long_texts_are_scored(metric):
    answer, reference = "ab " * 20_000, "ab c " * 12_000
    check(compute_metric(metric, [answer], [[reference]], options=MetricOptions(num_classes=3)))


@pytest.mark.parametrize("metric", ["FENSE", "DATE"])
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(clips=CLIPS.filter(bool))
def test_any_caption_has_a_score_or_a_reason(metric, clips, caption_models):
    answers, references = [a for a, _ in clips], [r for _, r in clips]
    evidence = judge(metric, prepare(metric, answers, references), caption_models)
    json.dumps(evidence.to_json(), allow_nan=False)
    check(compute_metric(metric, answers, references, options=MetricOptions(evidence=evidence)))
