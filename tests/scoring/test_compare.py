import json

import numpy as np
import pytest
from scipy import stats

from auricle.errors import ScoringError
from auricle.metrics.result import MetricOptions
from auricle.metrics.tally import RatioTally
from auricle.records.comparison import Outcome
from auricle.scoring.compare import RunAnswers, TaskAnswers, clips_to_tell, compare_runs, holm
from auricle.scoring.paired import ratio_difference, sign_flip_p
from auricle.scoring.summary import ScoredClip


def answers(right, *, total=200, metric="accuracy", **more):
    clips = [ScoredClip(f"c{i}", "dog" if i in right else "cat", ["dog"]) for i in range(total)]
    return TaskAnswers(metric, "a", clips, **more)


def run(name, **tasks):
    return RunAnswers(name, tasks)


def only_pair(*runs):
    (pair,) = compare_runs(runs)
    return pair.to_json()


def test_a_clear_difference_is_better_and_the_other_way_round_worse():
    strong, weak = answers(set(range(180))), answers(set(range(100)))
    entry = only_pair(run("x", t=strong), run("y", t=weak))["tasks"]["t"]
    assert entry["verdict"] == "better"
    assert entry["difference"] == pytest.approx(0.4)
    assert entry["low"] < 0.4 < entry["high"]
    assert only_pair(run("y", t=weak), run("x", t=strong))["tasks"]["t"]["verdict"] == "worse"


def test_a_small_difference_cannot_be_told_and_says_how_many_more_clips_would():
    entry = only_pair(run("x", t=answers(set(range(102)))), run("y", t=answers(set(range(100)))))
    entry = entry["tasks"]["t"]
    assert entry["verdict"] == "cannot tell"
    # n (1.96 + 0.84)^2 (error / difference)^2 - n, difference .01.
    error = np.sqrt((2 * 0.99**2 + 198 * 0.01**2) * 200 / 199) / 200
    assert entry["error"] == pytest.approx(error)
    assert entry["more_clips"] == pytest.approx(200 * (2.8015 * error / 0.01) ** 2 - 200, rel=1e-3)


def test_equal_runs_can_never_be_told():
    entry = only_pair(run("x", t=answers({1, 2})), run("y", t=answers({1, 2})))["tasks"]["t"]
    assert (entry["verdict"], entry["p"], entry["more_clips"]) == ("cannot tell", 1.0, None)


def test_right_and_wrong_answers_take_mcnemars_exact_test():
    # 12 clips that only one has right, 3 that only the other has.
    left, right = answers(set(range(12)), total=50), answers({20, 21, 22}, total=50)
    entry = only_pair(run("x", t=left), run("y", t=right))["tasks"]["t"]
    assert entry["test"] == "McNemar, exact"
    assert entry["p"] == pytest.approx(stats.binomtest(3, 15).pvalue)


def test_few_clips_that_differ_do_not_pass_for_certainty():
    # Agresti and Min (2005), by hand: 0 and 1 discordant clips of 300 become 0.5 and 1.5 of 302.
    entry = only_pair(run("x", t=answers({0}, total=300)), run("y", t=answers(set(), total=300)))
    centre, error = 1 / 302, np.sqrt(2 - 1 / 302) / 302
    entry = entry["tasks"]["t"]
    assert entry["low"] == pytest.approx(centre - 1.959964 * error, abs=1e-6)
    assert entry["high"] == pytest.approx(centre + 1.959964 * error, abs=1e-6)
    same = only_pair(run("x", t=answers({1})), run("y", t=answers({1})))["tasks"]["t"]
    assert same["low"] < 0 < same["high"]


def test_sign_flips_agree_with_all_flips():
    values = np.array([1.0, 2.0, -0.5, 3.0, 1.5, -1.0, 0.7, 2.2, 0.9, -0.3])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 10)).reshape(10, -1)
    exact = np.mean(np.abs(values @ signs) >= abs(values.sum()) - 1e-9)
    p, test = sign_flip_p(values, "x")
    assert test == "sign flips"
    assert p == pytest.approx(exact, abs=0.01)


def test_many_clips_take_the_normal_limit_of_the_flips():
    values = np.random.default_rng(1).normal(0.03, 1, 5000)
    p, test = sign_flip_p(values, "x")
    assert test == "sign flips, normal"
    assert p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)


def test_a_constant_difference_is_not_certain():
    left = RatioTally(np.full(9, 0.3), np.ones(9))
    found = ratio_difference(left, RatioTally(np.full(9, 0.1), np.ones(9)), "x")
    # As if 1.8 of 9 clips were won whole: 2.3 and 0.5 of 11 (Agresti and Min, 2005).
    half = 1.959964 * np.sqrt(2.8 - 1.8**2 / 11) / 11
    assert (found.low, found.high) == pytest.approx((1.8 / 11 - half, 1.8 / 11 + half), abs=1e-6)
    assert found.error > 0


@pytest.mark.parametrize("metric", ["accuracy", "iWER"])
@pytest.mark.parametrize("clips", [2, 3])
def test_a_few_clips_all_won_are_not_certain(metric, clips):
    pair = only_pair(
        run("x", t=answers(set(range(clips)), total=clips, metric=metric)),
        run("y", t=answers(set(), total=clips, metric=metric)),
    )
    for entry in (pair["tasks"]["t"], pair["tracks"]["a"]):
        assert entry["verdict"] == "cannot tell"
        assert entry["p"] == pytest.approx(2 * 0.5**clips)
        assert -1 < entry["low"] < 0.5
        assert entry["high"] == 1


def test_a_track_of_one_task_is_that_task():
    won = answers(set(range(4)), total=300)
    for left in (won, answers(set(), total=300)):
        pair = only_pair(run("x", t=left), run("y", t=answers(set(), total=300)))
        assert pair["tracks"]["a"] == pair["tasks"]["t"]
    pair = only_pair(run("x", t=won), run("y", t=answers(set(), total=300)))
    assert pair["tracks"]["a"]["p"] == pytest.approx(0.125)


def test_a_tracks_signs_are_flipped_over_all_its_tasks():
    won, none = answers(set(range(4)), total=300), answers(set(), total=300)
    pair = only_pair(run("x", t=won, u=won), run("y", t=none, u=none))
    track, task = pair["tracks"]["a"], pair["tasks"]["t"]
    assert track["p"] == pytest.approx(stats.binomtest(8, 8).pvalue)
    for side in ("low", "high"):
        reach = track[side] - track["difference"]
        assert reach == pytest.approx((task[side] - task["difference"]) / np.sqrt(2))


def test_map_adds_its_normal_part_to_a_tracks_flips():
    moves = np.array([0.3, 0.1, 0.2, -0.1])
    found, _ = sign_flip_p(moves, "x", normal=(0.25, 0.2))
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1)
    beyond = [stats.norm.sf(0.75, s, 0.2) + stats.norm.cdf(-0.75, s, 0.2) for s in moves @ signs]
    assert found == pytest.approx(np.mean(beyond), abs=0.005)
    assert sign_flip_p(np.zeros(3), "x", normal=(0.4, 0.2))[0] == pytest.approx(
        2 * stats.norm.sf(2)
    )


def test_map_without_spread_is_not_certain():
    def labelled(*texts):
        clips = [ScoredClip(str(i), text, ["a"]) for i, text in enumerate(texts)]
        return TaskAnswers("mAP", "a", clips, MetricOptions(num_classes=2))

    pair = only_pair(run("x", t=labelled("a", "a")), run("y", t=labelled("a", "a")))
    entry = pair["tasks"]["t"]
    assert (entry["verdict"], entry["p"]) == ("cannot tell", 1.0)
    assert entry["low"] < 0 < entry["high"]


def test_word_errors_are_pooled_over_the_shared_clips():
    texts = ["a b c d", "e f"]
    left = TaskAnswers("iWER", "b", [ScoredClip(str(i), t, [t]) for i, t in enumerate(texts)])
    right = TaskAnswers(
        "iWER", "b", [ScoredClip("0", "a b x d", ["a b c d"]), ScoredClip("1", "e f", ["e f"])]
    )
    entry = only_pair(run("x", t=left), run("y", t=right))["tasks"]["t"]
    assert (entry["left"], entry["right"]) == pytest.approx((1.0, 1 - 1 / 6))


def test_map_is_compared_by_a_paired_bootstrap():
    rng = np.random.default_rng(8)
    names = [f"c{i}" for i in range(5)]
    truth = [[names[rng.integers(5)]] for _ in range(300)]

    def labelled(rate):
        clips = [
            ScoredClip(str(i), t[0] if rng.random() < rate else names[rng.integers(5)], t)
            for i, t in enumerate(truth)
        ]
        return TaskAnswers("mAP", "a", clips, MetricOptions(num_classes=5))

    entry = only_pair(run("x", t=labelled(0.9)), run("y", t=labelled(0.5)))["tasks"]["t"]
    assert entry["test"] == "paired bootstrap over clips"
    assert entry["verdict"] == "better"
    assert entry["low"] < entry["difference"] < entry["high"]


def test_only_shared_clips_count():
    left, right = answers({0, 1}, total=10), answers({0}, total=6)
    assert only_pair(run("x", t=left), run("y", t=right))["tasks"]["t"]["clips"] == 6


def test_a_task_of_one_run_alone_is_missing_and_so_is_its_track():
    pair = only_pair(run("x", t=answers({1}), u=answers({1})), run("y", t=answers({2})))
    assert pair["tasks"]["u"]["verdict"] == "missing"
    assert pair["tasks"]["u"]["reason"] == "y has no answers to it"
    assert pair["tracks"]["a"]["verdict"] == "missing"
    assert pair["tracks"]["a"]["reason"] == "missing tasks: u"


def test_an_incomplete_task_makes_its_track_missing():
    pair = only_pair(
        run("x", t=answers({1}, failure="190 clips were answered")), run("y", t=answers({2}))
    )
    assert pair["tasks"]["t"]["verdict"] == "cannot tell"
    assert pair["tracks"]["a"]["reason"] == "missing tasks: t"


def test_other_references_are_not_compared():
    other = TaskAnswers("accuracy", "a", [ScoredClip(f"c{i}", "cat", ["cow"]) for i in range(9)])
    entry = only_pair(run("x", t=answers({1})), run("y", t=other))["tasks"]["t"]
    assert entry["reason"] == "clip c0 has other references in each run"


def test_a_task_that_cannot_be_scored_is_missing_with_the_reason(tmp_path):
    clips = [ScoredClip("x", "a dog", ["a dog"])]
    options = MetricOptions(sentence_model=str(tmp_path / "nowhere"))
    task = TaskAnswers("FENSE", "b", clips, options)
    pair = only_pair(run("x", t=task, u=answers({1})), run("y", t=task, u=answers({2})))
    assert pair["tasks"]["t"]["reason"].startswith("x: The sentence model")
    assert pair["tasks"]["u"]["verdict"] == "cannot tell"


def test_a_task_without_answers_is_missing_with_its_failure():
    empty = TaskAnswers("accuracy", "a", [], failure="the encoder crashed")
    pair = only_pair(run("x", t=empty), run("y", t=answers({2})))
    assert pair["tasks"]["t"]["reason"] == "x: the encoder crashed"


def test_errors_of_a_track_add_in_squares():
    strong, weak = answers(set(range(180))), answers(set(range(100)))
    pair = only_pair(run("x", t=strong, u=weak), run("y", t=weak, u=weak))
    track = pair["tracks"]["a"]
    assert track["difference"] == pytest.approx(0.2)
    errors = [task["error"] for task in pair["tasks"].values()]
    assert track["error"] == pytest.approx(np.hypot(*errors) / 2)
    assert track["verdict"] == "better"


def test_three_runs_make_three_pairs_corrected_together():
    runs = [run(str(n), t=answers(set(range(n)))) for n in (100, 106, 190)]
    pairs = [pair.to_json() for pair in compare_runs(runs)]
    assert [(p["left"], p["right"]) for p in pairs] == [
        ("100", "106"),
        ("100", "190"),
        ("106", "190"),
    ]
    near = pairs[0]["tasks"]["t"]
    assert near["p"] == pytest.approx(2 * 0.5**6)
    assert near["p_corrected"] == near["p"]  # the largest of three
    assert pairs[1]["tasks"]["t"]["p_corrected"] == pytest.approx(3 * pairs[1]["tasks"]["t"]["p"])
    json.dumps(pairs, allow_nan=False)


def test_holm_of_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_clips_to_tell_is_at_least_one():
    assert clips_to_tell(Outcome(error=1e-9, difference=0.5, clips=10), 1) == 1


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([run("x")], "needs two runs or more; 1 was given"),
        ([run("x"), run("x")], "need different names; given: x, x"),
    ],
)
def test_runs_that_cannot_be_compared(runs, text):
    with pytest.raises(ScoringError, match=text):
        compare_runs(runs)


@pytest.mark.parametrize(("clips", "differ"), [(30, 1), (300, 1), (300, 3), (2000, 1)])
def test_a_few_clips_that_differ_are_no_certainty(clips, differ):
    """One won by a word in one clip: the interval says no more than the test does."""
    words = np.full(clips, 5.0)
    better, worse = words.copy(), words.copy()
    worse[:differ] -= 1
    found = ratio_difference(RatioTally(better, words), RatioTally(worse, words), "s")
    assert found.p > 0.05
    assert found.low < 0 < found.difference < found.high


def test_equal_systems_that_rarely_err_are_told_apart_in_few_of_many_draws():
    rng, held, draws = np.random.default_rng(1), 0, 200
    words = np.full(300, 5.0)
    for number in range(draws):
        sides = [RatioTally(words - (rng.random(300) < 0.005), words) for _ in range(2)]
        found = ratio_difference(*sides, f"draw {number}")
        held += found.low <= 0 <= found.high
    assert held / draws > 0.93
