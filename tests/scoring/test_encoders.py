import json

import numpy as np
import pytest
from scipy import stats

from auricle.metrics.result import MetricOptions
from auricle.records.scores import Scores
from auricle.scoring.compare import RunAnswers, TaskAnswers, compare_runs
from auricle.scoring.encoders import Encoder, compare_encoders
from auricle.scoring.summary import ScoredClip, score_task, summarise


def scores_of(task):
    means = summarise({"t": task}, tracks={"t": "a"}, official=False)
    return Scores(
        schema_version=1, suite="s", tracks=means.tracks, mean=means.mean, tasks={"t": task}
    )


def encoder(name, *seeds, total=200, failure=None):
    """An encoder whose seeds have so many of the first clips right."""
    runs, scores = [], []
    for number, right in enumerate(seeds):
        clips = [ScoredClip(f"c{i}", "dog" if i < right else "cat", ["dog"]) for i in range(total)]
        task = score_task("accuracy", clips, expected=total, failure=failure)
        answers = TaskAnswers("accuracy", "a", clips, failure=failure)
        runs.append(RunAnswers(f"{name} {number}", {"t": answers}))
        scores.append(scores_of(task))
    return Encoder(name, runs, scores)


def only_entry(*encoders, kind="tasks", name="t"):
    (pair,) = compare_encoders(encoders).to_json()["pairs"]
    return pair[kind][name]


def test_seeds_of_an_encoder_are_one_measurement():
    (found,) = compare_encoders([encoder("x", 100, 110, 120)]).to_json()["measured"]
    assert (found["name"], found["seeds"]) == ("x", 3)
    assert found["tasks"]["t"]["score"] == pytest.approx(0.55)
    assert found["tasks"]["t"]["seed_sd"] == pytest.approx(0.05)
    assert found["tracks"]["a"]["mean"] == pytest.approx(0.55)


def test_the_error_of_a_difference_holds_clips_and_seeds():
    entry = only_entry(encoder("x", 100, 110, 120), encoder("y", 90, 94))
    # Each clip's mean over seeds, x less y: clips 0-89: 0, 90-93: 1/2, 94-99: 1, 100-109: 2/3,
    # 110-119: 1/3.
    clips = np.array([0.0] * 90 + [0.5] * 4 + [1.0] * 6 + [2 / 3] * 10 + [1 / 3] * 10 + [0.0] * 80)
    assert entry["difference"] == pytest.approx(clips.mean()) == pytest.approx(0.55 - 0.46)
    clip_error = clips.std(ddof=1) / np.sqrt(200)
    seeds = (0.05**2 / 3, np.var([0.45, 0.47], ddof=1) / 2)
    assert entry["clip_error"] == pytest.approx(clip_error)
    error = np.sqrt(clip_error**2 + sum(seeds))
    assert entry["error"] == pytest.approx(error)
    # The clips' own interval: half a clip added to each outcome (Agresti and Min, 2005).
    centre = clips.sum() / 202
    half = 1.959964 * np.sqrt((clips**2).sum() + 1 - 202 * centre**2) / 202
    bounds = {}
    for side, distance in (("low", 0.09 - (centre - half)), ("high", centre + half - 0.09)):
        variance = (distance / 1.959964) ** 2 + sum(seeds)
        freedom = variance**2 / (seeds[0] ** 2 / 2 + seeds[1] ** 2 / 1)
        bounds[side] = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
        if side == "low":
            p = 2 * stats.t.sf(0.09 / np.sqrt(variance), freedom)
            assert entry["p"] == pytest.approx(p, rel=1e-5)
    assert entry["low"] == pytest.approx(0.09 - bounds["low"], abs=1e-6)
    assert entry["high"] == pytest.approx(0.09 + bounds["high"], abs=1e-6)
    track = only_entry(encoder("x", 100, 110, 120), encoder("y", 90, 94), kind="tracks", name="a")
    assert track["error"] == pytest.approx(error)


def test_a_clear_difference_is_better_and_a_small_one_says_what_would_tell():
    strong, weak = encoder("x", 150, 152, 154), encoder("y", 60, 64, 62)
    assert only_entry(strong, weak)["verdict"] == "better"
    assert only_entry(weak, strong)["verdict"] == "worse"
    unsure = only_entry(encoder("x", 100, 140, 120), encoder("y", 80, 110, 100))
    assert unsure["verdict"] == "cannot tell"
    assert unsure["more_seeds"] >= 1
    # One clip in 200: even endless seeds leave the clips' luck.
    assert only_entry(encoder("x", 100, 102), encoder("y", 100, 101))["more_seeds"] is None


def test_one_seed_says_nothing_of_how_seeds_differ():
    entry = only_entry(encoder("x", 100), encoder("y", 10, 12))
    assert entry["verdict"] == "missing"
    assert entry["reason"] == "x has one seed; two or more show how seeds differ"
    assert only_entry(encoder("x", 100), encoder("y", 10, 12), kind="tracks", name="a")[
        "reason"
    ].startswith("missing tasks: t")


def test_an_incomplete_seed_is_missing():
    entry = only_entry(encoder("x", 100, 101, failure="it died"), encoder("y", 10, 12))
    assert entry["reason"] == "x 0: it died"


def test_other_clips_are_not_compared():
    entry = only_entry(encoder("x", 100, 101, total=150), encoder("y", 10, 12))
    assert entry["reason"] == "the runs were not asked the same clips"


def test_seeds_that_agree_leave_the_clips_error():
    entry = only_entry(encoder("x", 120, 120), encoder("y", 100, 100))
    assert entry["seed_error"] == 0
    assert entry["error"] == pytest.approx(entry["clip_error"])
    same = only_entry(encoder("x", 100, 100), encoder("y", 100, 100))
    assert (same["p"], same["verdict"], same["more_seeds"]) == (1.0, "cannot tell", None)


@pytest.mark.parametrize(("won", "total", "p"), [(4, 300, 0.125), (2, 2, 0.5)])
def test_few_clips_are_no_surer_with_seeds_that_agree(won, total, p):
    strong, weak = (encoder(n, right, right, total=total) for n, right in (("x", won), ("y", 0)))
    alone = compare_runs([strong.runs[0], weak.runs[0]])[0].to_json()
    for kind, name in (("tasks", "t"), ("tracks", "a")):
        entry = only_entry(strong, weak, kind=kind, name=name)
        assert (entry["p"], entry["verdict"]) == (pytest.approx(p), "cannot tell")
        for side in ("low", "high"):
            assert entry[side] == pytest.approx(alone[kind][name][side])


def test_a_difference_of_proportions_stays_within_one():
    # Two seeds that differ this much would reach far beyond.
    entry = only_entry(encoder("x", 199, 120), encoder("y", 1, 60))
    assert entry["high"] == 1
    assert entry["low"] >= -1


def test_seeds_that_differ_are_no_surer_than_the_clips():
    # Four clips differ, all one way: p cannot be under 2 / 2^4, whatever the seeds' t test says.
    entry = only_entry(encoder("x", 3, 3, 4, total=300), encoder("y", 0, 0, 0, total=300))
    assert entry["p"] >= 0.125


def test_map_takes_the_mean_of_the_seeds():
    rng = np.random.default_rng(8)
    names = [f"c{i}" for i in range(5)]
    truth = [[names[rng.integers(5)]] for _ in range(200)]

    def labelled(name, rate):
        runs, scores = [], []
        for seed in range(2):
            clips = [
                ScoredClip(str(i), t[0] if rng.random() < rate else names[rng.integers(5)], t)
                for i, t in enumerate(truth)
            ]
            options = MetricOptions(num_classes=5)
            task = score_task("mAP", clips, expected=200, options=options)
            runs.append(
                RunAnswers(f"{name} {seed}", {"t": TaskAnswers("mAP", "a", clips, options)})
            )
            scores.append(scores_of(task))
        return Encoder(name, runs, scores)

    one, other = labelled("x", 0.95), labelled("y", 0.3)
    entry = only_entry(one, other)
    for side, enc in (("left", one), ("right", other)):
        values = [s.tasks["t"].raw for s in enc.scores]
        assert entry[side] == pytest.approx(np.mean(values))
    assert entry["verdict"] == "better"
    json.dumps(compare_encoders([one, other]).to_json(), allow_nan=False)
