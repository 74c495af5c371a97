import json
from pathlib import Path

import pytest

from auricle.errors import UnknownNameError
from auricle.metrics.compute import canonical_metric, compute_metric
from auricle.metrics.result import MetricOptions

CASES = json.loads(
    (Path(__file__).parent.parent / "data" / "metric_cases.json").read_text(encoding="utf-8")
)["cases"]
TEXT_CASES = [case for case in CASES if case["metric"] not in ("FENSE", "DATE")]


@pytest.mark.parametrize("case", TEXT_CASES, ids=lambda c: f"{c['metric']}-{c['id']}")
def test_text_metrics_equal_the_reference_implementation(case):
    options = MetricOptions(**case["args"])
    references = [[text] for text in case["references"]]
    result = compute_metric(case["metric"], case["predictions"], references, options=options)
    assert result.raw == pytest.approx(case["expected"], abs=1e-12)
    assert result.score == pytest.approx(case["expected"], abs=1e-12)
    assert result.reason is None


@pytest.mark.parametrize("given", ["MAP", "iwer", "Accuracy", "rouge-l", "ICER"])
def test_metric_names_are_known_in_any_case(given):
    assert canonical_metric(given).lower() == given.lower()


def test_an_unknown_metric_offers_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no metric named 'acuracy'\. Nearest: accuracy"):
        compute_metric("acuracy", [], [])


@pytest.mark.parametrize("metric", ["accuracy", "mAP", "iWER", "iCER", "ROUGE-L"])
def test_without_samples_there_is_no_score(metric):
    result = compute_metric(metric, [], [], options=MetricOptions(num_classes=2))
    assert result.score is None
    assert "no samples" in result.reason


def test_raw_of_an_error_rate_without_samples_is_the_official_one():
    assert compute_metric("iWER", [], []).raw == 1.0
