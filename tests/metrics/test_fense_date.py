import json
from pathlib import Path

import numpy as np
import pytest

from auricle.errors import ScoringError
from auricle.metrics.compute import compute_metric, prepare
from auricle.metrics.evidence import evidence_from_json
from auricle.metrics.judge import judge
from auricle.metrics.result import MetricOptions

CASES = json.loads(
    (Path(__file__).parent.parent / "data" / "metric_cases.json").read_text(encoding="utf-8")
)["cases"]
CAPTION_CASES = [case for case in CASES if case["metric"] in ("FENSE", "DATE")]


@pytest.fixture(scope="module")
def scored(caption_models):
    """Scores captions with the shared models."""

    def score(metric, predictions, references):
        evidence = judge(metric, prepare(metric, predictions, references), caption_models)
        return compute_metric(
            metric, predictions, references, options=MetricOptions(evidence=evidence)
        )

    return score


@pytest.mark.parametrize(
    "case",
    [case for case in CAPTION_CASES if "expected" in case],
    ids=lambda c: f"{c['metric']}-{c['id']}",
)
def test_caption_metrics_equal_the_reference_implementation(case, scored):
    references = [[text] for text in case["references"]]
    result = scored(case["metric"], case["predictions"], references)
    assert result.raw == case["expected"]
    assert result.detail["unrounded"] == pytest.approx(case["expected_unrounded"], abs=2e-5)
    penalty = np.array(case["penalty"])
    assert result.evidence.penalty == pytest.approx(penalty, abs=1e-7)
    assert result.evidence.similarity == pytest.approx(case["per_sample_similarity"], abs=2e-5)
    if case["metric"] == "DATE":
        assert result.evidence.discrimination == pytest.approx(
            case["per_sample_discrimination"], abs=1e-6
        )
        assert result.per_clip == pytest.approx(case["per_sample_date"], abs=2e-5)


@pytest.mark.parametrize("metric", ["FENSE", "DATE"])
def test_without_samples_captions_have_no_score(metric):
    result = compute_metric(metric, [], [])
    assert (result.raw, result.score) == (None, None)
    assert "no samples" in result.reason


def test_date_of_wordless_answers_alone_is_zero_with_a_reason(scored):
    # The reference raises a TypeError; with all references wordless there is nothing to score.
    result = scored("DATE", ["", "\u200b"], [["a dog barks"], ["rain falls"]])
    assert (result.raw, result.score) == (None, 0.0)
    assert "No answer has a single word" in result.reason
    assert result.evidence.constant > 0


def test_date_of_wordless_references_has_no_score(scored):
    result = scored("DATE", ["a dog", "rain"], [[""], [""]])
    assert (result.raw, result.score) == (None, None)
    assert "No reference has a single word" in result.reason


def test_fense_of_several_references_is_the_mean_cosine(scored):
    texts = ["a dog barks", "loud music"]
    both = scored("FENSE", ["a dog is barking"], [texts])
    apart = [scored("FENSE", ["a dog is barking"], [[text]]).per_clip[0] for text in texts]
    assert both.per_clip == [pytest.approx(np.mean(apart), abs=1e-6)]
    assert both.num_samples == 2


def test_corrected_values_stand_beside_the_official_one(scored):
    answers = ["a dog barks", "rain falls on a roof", "music plays"]
    references = [["a dog is barking", "barking dog"], ["heavy rain"], ["slow guitar music"]]
    result = scored("DATE", answers, references)
    assert set(result.corrected) == {"clamped", "references_grouped"}
    # A clip's own second caption is a confuser of the first, until they are grouped.
    evidence = result.evidence
    close = [4 * (1 - value) for value in evidence.discrimination[:2]]
    assert max(close) == pytest.approx(2, abs=1e-5)
    assert 3 * (1 - evidence.grouped_discrimination[0]) == pytest.approx(1, abs=1e-5)
    fense = scored("FENSE", answers, references)
    assert set(fense.corrected) == {"references_grouped", "without_penalty"}


def test_a_constant_and_shuffled_answers_are_scored_in_the_same_pass(scored):
    references = [["a dog barks"], ["a dog barks"], ["slow guitar music"], ["heavy rain"]]
    answers = [texts[0] for texts in references]
    evidence = scored("FENSE", answers, references).evidence
    assert evidence.constant_answer == "a dog barks"
    direct = scored("FENSE", ["a dog barks"] * 4, references)
    assert evidence.constant == pytest.approx(direct.detail["unrounded"], abs=1e-6)
    assert evidence.shuffled < 0.9


def test_the_constant_of_date_is_what_that_answer_scores_everywhere(scored):
    references = [["a dog barks"], ["a dog barks loudly"], ["slow guitar music"], ["heavy rain"]]
    evidence = scored("DATE", ["a", "b", "c", "d"], references).evidence
    direct = scored("DATE", [evidence.constant_answer] * 4, references)
    assert evidence.constant == pytest.approx(direct.detail["unrounded"], abs=2e-4)


def test_a_constant_without_words_is_worth_nothing(scored):
    # Most captions are wordless, so such an answer is the commonest constant of all.
    references = [[""], [""], [""], ["a dog barks"], ["slow guitar music"], ["heavy rain"]]
    evidence = scored("DATE", ["a dog", "b", "c", "d", "e", "f"], references).evidence
    assert evidence.constant_answer != ""
    assert evidence.constant < 1
    nobody = scored("DATE", ["", ""], [["a dog barks"], [""]]).evidence
    assert nobody is None or nobody.constant < 1


def test_references_without_words_leave_constants_nothing(caption_models):
    evidence = judge("DATE", prepare("DATE", ["a dog", "rain"], [[""], [""]]), caption_models)
    assert (evidence.speechless, evidence.constant) == ("references", 0)


def test_stored_evidence_scores_again_without_models(scored):
    answers, references = ["a dog barks", "rain"], [["a dog is barking"], ["heavy rain"]]
    first = scored("DATE", answers, references)
    stored = json.loads(json.dumps(first.evidence.to_json()))
    again = compute_metric(
        "date", answers, references, options=MetricOptions(evidence=evidence_from_json(stored))
    )
    assert again.raw == first.raw
    assert again.per_clip == first.per_clip


def test_evidence_of_other_answers_is_refused(scored):
    evidence = scored("FENSE", ["a dog"], [["a dog"]]).evidence
    with pytest.raises(ScoringError, match="evidence is of FENSE and of other answers"):
        compute_metric("FENSE", ["a cat"], [["a dog"]], options=MetricOptions(evidence=evidence))


def test_evidence_of_another_version_is_refused():
    with pytest.raises(ScoringError, match="schema version 0"):
        evidence_from_json({"schema_version": 0})
