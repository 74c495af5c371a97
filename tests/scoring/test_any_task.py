"""Any answers at all become an entry of ``scores.json``: never a crash, never a false zero."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.metrics.result import MetricOptions
from auricle.scoring.compare import RunAnswers, TaskAnswers, compare_runs
from auricle.scoring.summary import ScoredClip, score_task, summarise

TEXT = st.one_of(
    st.text(max_size=20), st.sampled_from(["", "a", "a b", "a;b", "今天 天气", "one two three"])
)
CLIPS = st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), max_size=8)
METRICS = ["accuracy", "mAP", "iWER", "iCER", "ROUGE-L"]


def clips_of(drawn):
    return [ScoredClip(str(i), answer, texts) for i, (answer, texts) in enumerate(drawn)]


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=40, deadline=None)
@given(drawn=CLIPS)
def test_any_task_has_an_honest_entry(metric, drawn):
    options = MetricOptions(num_classes=30)
    task = score_task(metric, clips_of(drawn), expected=len(drawn), options=options)
    json.dumps(task.to_json(), allow_nan=False)
    if task.score is None:
        assert task.failure
    else:
        assert 0 <= task.score <= 1
        assert 0 <= task.chance <= 1
        if task.low is not None:
            assert 0 <= task.low <= task.high <= 1
    summary = summarise({"t": task}, tracks={"t": "a"}, official=True)
    assert summary.mean == task.score


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=25, deadline=None)
@given(drawn=st.lists(st.tuples(TEXT, TEXT, st.lists(TEXT, min_size=1, max_size=2)), max_size=8))
def test_a_comparison_turned_round_is_the_same_with_other_signs(metric, drawn):
    def run(name, place):
        clips = [ScoredClip(str(i), row[place], row[2]) for i, row in enumerate(drawn)]
        return RunAnswers(
            name, {"t": TaskAnswers(metric, "a", clips, MetricOptions(num_classes=30))}
        )

    one, other = run("x", 0), run("y", 1)
    there = compare_runs([one, other])[0].to_json()["tasks"]["t"]
    back = compare_runs([other, one])[0].to_json()["tasks"]["t"]
    json.dumps(there, allow_nan=False)
    opposite = {"better": "worse", "worse": "better"}
    assert back["verdict"] == opposite.get(there["verdict"], there["verdict"])
    if there["difference"] is not None:
        assert back["difference"] == pytest.approx(-there["difference"], abs=1e-12)
        assert there["low"] <= there["high"]
