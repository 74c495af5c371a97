import json
from dataclasses import replace

import pytest

from auricle.metrics.compute import prepare
from auricle.metrics.evidence import CaptionEvidence, texts_hash
from auricle.metrics.result import MetricOptions
from auricle.records.scores import TaskScore
from auricle.scoring.summary import (
    ScoredClip,
    caption_evidence,
    missing_task,
    score_task,
    summarise,
)


def labelled(pairs):
    return [ScoredClip(f"clip-{i}", answer, [text]) for i, (answer, text) in enumerate(pairs)]


def entry(score, low, high, failure=None):
    return TaskScore(score=score, low=low, high=high, failure=failure)


def test_a_task_score_holds_every_field_of_the_format():
    task = score_task("ACCURACY", labelled([("dog", "dog"), ("cow", "cat")] * 20), expected=40)
    wanted = {
        "metric", "score", "raw", "low", "high", "chance", "clips_scored", "clips_expected",
        "samples_scored", "failure",
    }  # fmt: skip
    assert wanted <= set(task.to_json())
    assert task.metric == "accuracy"
    assert task.score == 0.5
    assert task.low < 0.5 < task.high
    assert task.failure is None
    json.dumps(task.to_json(), allow_nan=False)


def test_an_incomplete_task_says_how_many_clips_it_lacks():
    task = score_task("accuracy", labelled([("a", "a")]), expected=3)
    assert task.failure == "1 clips were answered; the task has 3"
    assert task.score == 1.0


def test_a_given_failure_is_kept():
    task = score_task("accuracy", labelled([("a", "a")]), expected=3, failure="encoder crashed")
    assert task.failure == "encoder crashed"


def test_a_missing_task_has_the_fields_of_a_scored_one():
    scored = score_task("accuracy", labelled([("a", "a")]), expected=1)
    missing = missing_task("accuracy", expected=5, failure="not answered yet")
    assert list(missing.to_json()) == list(scored.to_json())
    assert missing.score is None


def test_a_task_without_answers_is_missing():
    task = score_task("iWER", [], expected=7)
    assert task.score is None
    assert task.failure == "no clip was answered"


def test_wrong_arguments_make_a_task_fail_with_the_reason():
    task = score_task("mAP", labelled([("a", "a")]), expected=1)
    assert task.score is None
    assert "number of classes" in task.failure


def test_several_references_are_several_samples():
    task = score_task("accuracy", [ScoredClip("x", "a", ["a", "b"])] * 9, expected=9)
    assert (task.clips_scored, task.samples_scored) == (9, 18)


def test_map_takes_its_options():
    task = score_task(
        "mAP",
        labelled([("a|b", "a|b"), ("b", "b")]),
        expected=2,
        options=MetricOptions(num_classes=2, separator="|"),
    )
    assert task.score == 1.0


def test_track_means_are_plain_and_tracks_stay_apart():
    tasks = {"x": entry(0.2, 0.1, 0.3), "y": entry(0.4, 0.3, 0.5), "z": entry(0.9, 0.8, 1.0)}
    result = summarise(tasks, tracks={"x": "a", "y": "a", "z": "b"}, official=True)
    assert result.tracks["a"].mean == pytest.approx(0.3)
    assert result.tracks["b"].mean == pytest.approx(0.9)
    assert result.mean is None


def test_a_suite_of_one_track_or_of_synthetic_tasks_has_a_mean():
    tasks = {"x": entry(0.2, 0.1, 0.3), "z": entry(0.9, 0.8, 1.0)}
    both = summarise(tasks, tracks={"x": "a", "z": "b"}, official=False)
    assert both.mean == pytest.approx(0.55)
    one = summarise(tasks, tracks={"x": "a", "z": "a"}, official=True)
    assert one.mean == pytest.approx(0.55)


def test_a_mean_over_a_missing_task_is_missing():
    tasks = {"x": entry(0.2, 0.1, 0.3), "y": entry(0.4, 0.3, 0.5, failure="crashed")}
    result = summarise(tasks, tracks={"x": "a", "y": "a"}, official=True)
    assert result.to_json() == {
        "tracks": {"a": {"mean": None, "low": None, "high": None}},
        "mean": None,
    }


def test_independent_errors_of_a_mean_add_in_squares():
    # Two tasks of half-width .1: the mean's is sqrt(.01 + .01) / 2.
    tasks = {"x": entry(0.4, 0.3, 0.5), "y": entry(0.6, 0.5, 0.7)}
    track = summarise(tasks, tracks={"x": "a", "y": "a"}, official=True).tracks["a"]
    assert track.low == pytest.approx(0.5 - 0.1 / 2**0.5)
    assert track.high == pytest.approx(0.5 + 0.1 / 2**0.5)


def made_up_evidence(metric, clips):
    samples = prepare(metric, [c.prediction for c in clips], [c.references for c in clips])
    return CaptionEvidence(
        metric=metric,
        texts=texts_hash(samples),
        models={"sentence_model": "made up"},
        penalty=[1.0, 0.1],
        similarity=[0.9, 0.05],
        discrimination=[0.5, 0.0],
        grouped_similarity=[],
        grouped_discrimination=[],
        speechless=None,
        constant=0.3,
        constant_answer="a dog",
        shuffled=0.35,
    )


def test_captions_are_scored_from_evidence_without_models():
    # FENSE of cosines .9 and .5, the second flagged, is .475.
    clips = labelled([("a dog barks", "a dog"), ("rain rain", "rain")])
    options = MetricOptions(evidence=made_up_evidence("FENSE", clips))
    task = score_task("FENSE", clips, expected=2, options=options)
    assert task.score == pytest.approx(0.475)
    assert task.detail["fluency_error_rate"] == 0.5
    assert task.chance == 0.35
    assert task.chance_answers.constant == 0.3


def test_evidence_that_fits_is_given_back():
    clips = labelled([("a dog barks", "a dog"), ("rain rain", "rain")])
    evidence = made_up_evidence("DATE", clips)
    assert caption_evidence("date", clips, options=MetricOptions(evidence=evidence)) is evidence


@pytest.mark.parametrize(("metric", "count"), [("accuracy", 2), ("DATE", 0)])
def test_no_evidence_is_needed_without_a_model_or_clips(metric, count):
    assert caption_evidence(metric, labelled([("a", "a")] * count)) is None


def test_a_missing_caption_model_makes_the_task_fail_with_the_way_out(tmp_path):
    options = MetricOptions(sentence_model=str(tmp_path / "nowhere"))
    task = score_task("FENSE", labelled([("a", "a")]), expected=1, options=options)
    assert task.score is None
    assert "Give --sentence-model" in task.failure


def test_speechless_answers_to_date_score_zero_above_no_chance():
    clips = labelled([("", "a dog"), ("", "rain")])
    evidence = replace(
        made_up_evidence("DATE", clips), speechless="answers", similarity=[], discrimination=[]
    )
    task = score_task("DATE", clips, expected=2, options=MetricOptions(evidence=evidence))
    assert (task.score, task.raw, task.failure) == (0.0, None, None)
    assert "No answer has a single word" in task.reason
    assert task.chance == 0.35
