"""Every metric's example in docs/metrics.md, read from the page and computed again."""

from pathlib import Path

import pytest

from auricle.metrics.compute import METRIC_NAMES, compute_metric, prepare
from auricle.metrics.evidence import CaptionEvidence, texts_hash
from auricle.metrics.result import MetricOptions

PAGE = (Path(__file__).parent.parent.parent / "docs" / "metrics.md").read_text(encoding="utf-8")


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def by_hand(title):
    return section(title).split("*By hand.*")[1].split("\n\n")[0]


def raw(metric, *pairs, **options):
    answers, texts = zip(*pairs, strict=True)
    options = MetricOptions(**options)
    return compute_metric(metric, answers, [[text] for text in texts], options=options).raw


def judged(metric, similarity, discrimination=()):
    """The metric of answers of which the models said this."""
    texts = [f"clip {i}" for i in range(len(similarity))]
    samples = prepare(metric, texts, [[text] for text in texts])
    said = CaptionEvidence(
        metric=metric,
        texts=texts_hash(samples),
        models={},
        penalty=[1.0] * len(texts),
        similarity=list(similarity),
        discrimination=list(discrimination),
        grouped_similarity=[],
        grouped_discrimination=[],
        speechless=None,
        constant=0.0,
        constant_answer="",
        shuffled=None,
    )
    options = MetricOptions(evidence=said)
    return compute_metric(metric, texts, [[text] for text in texts], options=options).raw


SAT = ("the cat sit on mat", "the cat sat on the mat")
KILL = ("police kill the gunman", "police killed the gunman")
LABELS = [("Dog.", "dog"), ("cat", "cow"), ("car horn", "car_horn")]
HAN = ("今天天气不好", "今天 天气 不好")
ANSWERED = [("x", "x"), ("", "x"), ("", "y"), ("", "y")]
# What the page says, and the same from the code.
EXAMPLES = [
    ("Accuracy", "1/3", 1 / 3, lambda: raw("accuracy", *LABELS)),
    # The mean of x, as the page has it, and of y, which nobody answered: its prevalence.
    ("mAP", "= .75", (0.75 + 0.5) / 2, lambda: raw("mAP", *ANSWERED, num_classes=2)),
    ("iWER and iCER", "1 - 2/6 = .667", 2 / 3, lambda: raw("iWER", SAT)),
    ("iWER and iCER", "eight characters: .75", 0.75, lambda: raw("iCER", HAN)),
    ("ROUGE-L", "4 and 4: .75", 0.75, lambda: raw("ROUGE-L", KILL)),
    ("FENSE", "(.9 + .05) / 2 = .475", 0.475, lambda: judged("FENSE", [0.9, 0.05])),
    ("DATE", "DATE = .3808", 0.3808, lambda: judged("DATE", [0.80, 0.55, 0.07], [2 / 3, 1 / 3, 0])),
    ("DATE", "/ 3 = .4733", 0.4733, lambda: judged("FENSE", [0.80, 0.55, 0.07])),
]  # fmt: skip


@pytest.mark.parametrize(("title", "said", "value", "computed"), EXAMPLES)
def test_an_example_of_the_page_is_what_the_code_gives(title, said, value, computed):
    assert said in by_hand(title)
    assert computed() == pytest.approx(value, abs=1e-9)


def test_every_metric_has_an_example():
    shown = {name for title, *_ in EXAMPLES for name in title.lower().split(" and ")}
    assert shown == {name.lower() for name in METRIC_NAMES}
