import numpy as np
import pytest
from scipy import stats

from auricle.metrics.classification import average_precisions
from auricle.metrics.compute import compute_metric
from auricle.metrics.result import MetricOptions
from auricle.metrics.tally import RatioTally
from auricle.scoring.intervals import clips_that_differ, interval_of, map_replicator, wilson


def right(count, total):
    return RatioTally(
        np.array([1.0] * count + [0.0] * (total - count)), np.ones(total), binary=True
    )


def test_wilson_agrees_with_scipy():
    expected = stats.binomtest(83, 99).proportion_ci(0.95, method="wilson")
    assert wilson(83 / 99, 99) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("clips", [1, 3, 7, 99, 144, 1000, 12_345])
def test_wilson_never_leaves_the_proportion_out(clips):
    assert wilson(0.0, clips)[0] == 0
    assert wilson(1.0, clips)[1] == 1


def test_one_sample_a_clip_takes_wilsons_interval():
    interval = interval_of(right(83, 99), "x")
    assert interval.method == "Wilson"
    assert (interval.low, interval.high) == pytest.approx(wilson(83 / 99, 99))
    assert interval.note is None


def test_a_sparse_proportion_says_that_it_undercovers():
    assert "84 % at worst" in interval_of(right(98, 99), "x").note


def test_wilsons_worst_coverage_is_what_the_note_says():
    # Exactly, from the binomial distribution, over true rates with n p (1 - p) under 1.
    n = 99
    bounds = np.array([wilson(k / n, n) for k in range(n + 1)])
    rates = 1 - np.geomspace(1 / n, 1e-3 / n, 400)
    covered = [
        stats.binom.pmf(np.arange(n + 1), n, p)[(bounds[:, 0] <= p) & (p <= bounds[:, 1])].sum()
        for p in rates
    ]
    assert min(covered) == pytest.approx(0.84, abs=0.005)
    assert np.mean(covered) == pytest.approx(0.96, abs=0.01)


def test_samples_of_a_clip_that_agree_count_as_one():
    apart = interval_of(right(60, 100), "x")
    tripled = RatioTally(right(60, 100).numerator * 3, np.full(100, 3.0), binary=True)
    together = interval_of(tripled, "x")
    assert together.method == "Wilson, clustered by clip"
    assert together.high - together.low == pytest.approx(apart.high - apart.low, rel=0.02)


def test_the_bootstrap_agrees_with_the_normal_interval_on_many_even_clips():
    rng = np.random.default_rng(1)
    words = rng.integers(5, 31, 4000).astype(float)
    tally = RatioTally(words - rng.binomial(words.astype(int), 0.1), words)
    interval = interval_of(tally, "x")
    # Binomial errors over all words.
    half = 1.96 * np.sqrt(0.1 * 0.9 / words.sum())
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    assert interval.low < 0.9 < interval.high


@pytest.mark.parametrize(("clips", "wrong"), [(2, 1), (30, 1), (300, 1), (300, 3), (2000, 1)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_few_clips_that_differ_do_not_hide_what_others_could_have(clips, wrong, mirrored):
    """A wrong word in one clip of n: another test set could have it in several, or in none."""
    right = np.full(clips, 5.0)
    right[:wrong] -= 5.0
    found = interval_of(RatioTally(5 - right if mirrored else right, np.full(clips, 5.0)), "s")
    p = wrong / clips if mirrored else 1 - wrong / clips
    low, high = stats.binomtest(round(p * clips), clips).proportion_ci(method="wilson")
    assert found.low - 1e-9 <= low < p < high <= found.high + 1e-9
    assert "wholly right or wrong" in found.note


def test_a_few_answers_that_run_on_among_clips_that_vary_take_the_bootstrap_alone():
    right = np.tile([5.0, 3.0, 0.0], 100)
    right[:2] = -20.0
    tally = RatioTally(right, np.full(300, 5.0))
    assert clips_that_differ(tally, right.sum() / 1500) > 20
    found = interval_of(tally, "s")
    assert found.method == "bootstrap-t over clips"
    assert found.note is None


@pytest.mark.parametrize(("clips", "wrong"), [(300, 1), (300, 9), (300, 150), (20, 10)])
def test_clips_of_two_kinds_are_counted(clips, wrong):
    right = np.full(clips, 4.0)
    right[:wrong] = 3.0
    tally = RatioTally(right, np.full(clips, 4.0))
    assert clips_that_differ(tally, right.sum() / (4 * clips)) == pytest.approx(wrong)


def test_many_clips_that_differ_take_the_bootstrap_alone():
    right = np.full(300, 5.0)
    right[:30] -= 1.0
    found = interval_of(RatioTally(right, np.full(300, 5.0)), "s")
    assert found.method == "bootstrap-t over clips"
    assert found.note is None


def test_equal_streams_give_equal_intervals():
    rng = np.random.default_rng(2)
    tally = RatioTally(rng.random(50), np.ones(50))
    assert interval_of(tally, "a") == interval_of(tally, "a")
    assert interval_of(tally, "a") != interval_of(tally, "b")


def test_clips_that_all_agree_do_not_give_a_point():
    interval = interval_of(RatioTally(np.full(20, 7.0), np.full(20, 7.0)), "x")
    assert interval.low == pytest.approx(wilson(1.0, 20)[0])
    assert interval.note.startswith("all clips agree")


@pytest.mark.parametrize(
    "tally", [RatioTally(np.ones(1), np.ones(1)), RatioTally(np.zeros(3), np.zeros(3))]
)
def test_one_clip_or_nothing_to_recognise_has_no_interval(tally):
    assert interval_of(tally, "x") is None


def labelled(rng, clips, references):
    names = [f"c{i}" for i in range(8)]
    answers = [";".join(rng.choice(names, 2)) for _ in range(clips)]
    texts = [[";".join(rng.choice(names, 2)) for _ in range(references)] for _ in range(clips)]
    return compute_metric("mAP", answers, texts, options=MetricOptions(num_classes=8))


@pytest.mark.parametrize("references", [1, 3])
def test_weighted_map_equals_map_of_repeated_clips(references):
    rng = np.random.default_rng(3)
    names = [f"c{i}" for i in range(6)]
    answers = [";".join(rng.choice(names, 2)) for _ in range(12)]
    texts = [[";".join(rng.choice(names, 2)) for _ in range(references)] for _ in range(12)]
    options = MetricOptions(num_classes=6)
    counts = rng.integers(0, 3, 12)
    whole = compute_metric("mAP", answers, texts, options=options)
    repeated = compute_metric(
        "mAP",
        [a for a, n in zip(answers, counts, strict=True) for _ in range(n)],
        [t for t, n in zip(texts, counts, strict=True) for _ in range(n)],
        options=options,
    )
    values = map_replicator(whole.tally)(np.stack([np.ones(12), counts.astype(float)]))
    assert values == pytest.approx([whole.raw, repeated.raw], abs=1e-12)


def test_the_interval_of_map_is_centred_on_the_estimate_less_its_bias():
    result = labelled(np.random.default_rng(4), 200, 1)
    interval = interval_of(result.tally, "x")
    assert interval.centre == pytest.approx((interval.low + interval.high) / 2)
    # Classes that a resample loses pull it down: the correction goes up, or stays.
    assert interval.centre == pytest.approx(result.raw, abs=0.02)


def test_map_of_rare_classes_says_that_it_undercovers():
    rng = np.random.default_rng(6)
    assert interval_of(labelled(rng, 200, 1).tally, "x").note is None
    # Eight classes, two labels a clip: 5 clips a class in expectation.
    assert "classes have under 10 samples" in interval_of(labelled(rng, 20, 1).tally, "x").note


def test_selected_clips_keep_their_map():
    result = labelled(np.random.default_rng(5), 30, 2)
    chosen = np.array([4, 2, 29])
    part = result.tally.select(chosen)
    counts = np.zeros(30)
    counts[chosen] = 1
    expected = map_replicator(result.tally)(counts[None])[0]
    assert map_replicator(part)(np.ones((1, 3)))[0] == pytest.approx(expected, abs=1e-12)


def test_average_precision_of_an_absent_class_is_zero():
    assert average_precisions(np.array([0.0]), np.array([3.0]), np.array([0.0]), 9).tolist() == [0]
