import jiwer
import numpy as np
import pytest

from auricle.metrics.compute import compute_metric


def test_word_error_rate_of_the_worked_example():
    # "the cat sat on the mat" answered "the cat sit on mat": one substitution, one deletion.
    result = compute_metric("iWER", ["the cat sit on mat"], [["the cat sat on the mat"]])
    assert result.raw == pytest.approx(1 - 2 / 6)
    assert result.detail["substitutions"] == 1
    assert result.detail["deletions"] == 1
    assert result.detail["insertions"] == 0


@pytest.mark.parametrize(("metric", "join", "rate"), [("iWER", " ", "wer"), ("iCER", "", "cer")])
def test_error_rates_agree_with_jiwer_on_random_texts(metric, join, rate):
    rng = np.random.default_rng(5)
    words = list("abcdefgh")
    texts = [join.join(rng.choice(words, rng.integers(1, 12))) for _ in range(100)]
    answers = [join.join(rng.choice(words, rng.integers(1, 12))) for _ in range(60)] + texts[60:]
    result = compute_metric(metric, answers, [[text] for text in texts])
    process = jiwer.process_words if rate == "wer" else jiwer.process_characters
    output = process(texts, answers)
    assert result.detail["error_rate"] == pytest.approx(getattr(output, rate), abs=1e-12)
    edits = sum(result.detail[name] for name in ("substitutions", "deletions", "insertions"))
    assert edits == output.substitutions + output.deletions + output.insertions
    assert result.detail["insertions"] - result.detail["deletions"] == (
        output.insertions - output.deletions
    )


def test_what_clipping_hides_is_shown():
    result = compute_metric("iWER", ["a b c d e"], [["x"]])
    assert (result.raw, result.score) == (0.0, 0.0)
    assert result.detail["hidden_by_clipping"] == pytest.approx(4.0)
    assert result.per_clip == [-4.0]


def test_a_clip_of_several_references_counts_them_all():
    result = compute_metric("iWER", ["a b"], [["a b", "a c"]])
    assert result.raw == pytest.approx(1 - 1 / 4)
    assert result.per_clip == [pytest.approx(0.75)]


def test_corrected_character_error_rate_ignores_spaces_between_han():
    result = compute_metric("iCER", ["今天天气不好 ok go"], [["今天 天气 不好 ok go"]])
    assert result.raw == pytest.approx(1 - 2 / 14)
    assert result.corrected == {"without_han_spaces": 1.0}


def test_spaces_between_latin_words_still_count():
    result = compute_metric("iCER", ["ab"], [["a b"]])
    assert result.corrected["without_han_spaces"] == pytest.approx(1 - 1 / 3)


@pytest.mark.parametrize(("answer", "raw"), [("", 1.0), ("a", 0.0), ("a b", 0.0)])
def test_without_reference_words_insertions_are_the_error(answer, raw):
    assert compute_metric("iWER", [answer], [[""]]).raw == raw
