import numpy as np
import pytest

from auricle.metrics.compute import compute_metric, prepare
from auricle.metrics.result import MetricOptions
from auricle.scoring.chance import affordable, chance_corrected, chance_of

OPTIONS = MetricOptions(num_classes=6)


def naive(metric, references):
    """The definition, one constant answer after another."""
    constants = ["", *dict.fromkeys(text for texts in references for text in texts)]
    return max(
        compute_metric(metric, [text] * len(references), references, options=OPTIONS).score
        for text in constants
    )


def found(metric, answers, references):
    result = compute_metric(metric, answers, references, options=OPTIONS)
    return chance_of(
        prepare(metric, answers, references) if metric != "x" else None, result, OPTIONS
    )


@pytest.mark.parametrize("metric", ["accuracy", "mAP", "iWER", "iCER", "ROUGE-L"])
@pytest.mark.parametrize("seed", range(4))
def test_chance_is_the_best_constant_answer(metric, seed):
    rng = np.random.default_rng(seed)
    words = ["one", "two", "three", "four", "five", "six"]
    join = ";" if metric == "mAP" else " "
    references = [
        [join.join(rng.choice(words, rng.integers(1, 4))) for _ in range(rng.integers(1, 4))]
        for _ in range(25)
    ]
    chance = found(metric, ["one"] * 25, references)
    assert chance.constant == pytest.approx(naive(metric, references), abs=1e-12)


def test_the_best_constant_is_named():
    chance = found("accuracy", ["x"] * 4, [["dog"], ["cat"], ["Dog!"], ["cow"]])
    assert (chance.constant, chance.answer) == (0.5, "dog")


def test_without_reference_words_silence_is_right():
    chance = found("iWER", ["a", "b"], [[""], [""]])
    assert (chance.constant, chance.answer) == (1.0, "")


def test_only_the_500_most_frequent_references_are_tried():
    # 501 references of one word each occur twice or once; the rare one is never tried, and each
    # of the others scores two of all words.
    references = [[f"w{i}"] for i in range(500) for _ in range(2)] + [["rare"]]
    chance = found("iWER", ["x"] * 1001, references)
    assert chance.constant == pytest.approx(2 / 1001)


def test_captions_are_also_shuffled():
    references = [[text] for text in ("a b c", "d e f", "g h i", "a b d")]
    chance = found("ROUGE-L", [texts[0] for texts in references], references)
    assert chance.shuffled is not None
    assert chance.score == max(chance.constant, chance.shuffled)
    assert chance.shuffled < 0.7


def test_one_clip_cannot_be_shuffled():
    assert found("ROUGE-L", ["a"], [["a"]]).shuffled is None


def test_very_long_texts_leave_rare_constants_out_and_say_so():
    texts = ["a" * 1_000_000] * 3
    kept, note = affordable(texts, num_references=100, num_units=10**6)
    assert len(kept) == 1
    assert note == "tried 1 of 3 constant answers: texts are long"


def test_official_sizes_try_all_constants():
    kept, note = affordable(["今天天气不好" * 3] * 501, num_references=7176, num_units=105_000)
    assert len(kept) == 501
    assert note is None


@pytest.mark.parametrize(
    ("score", "chance", "expected"), [(0.5, 0.5, 0.0), (1.0, 0.2, 1.0), (0.0, 0.5, -1.0)]
)
def test_chance_corrected_score(score, chance, expected):
    assert chance_corrected(score, chance) == pytest.approx(expected)


def test_nothing_is_above_a_chance_of_one():
    assert chance_corrected(1.0, 1.0) is None
