"""Evidence: each family of Hugging Face models passes the checker and goes through a short run."""

from __future__ import annotations

from pathlib import Path

import pytest

from auricle import RunOptions, run
from auricle.encoder.checks import check_encoder
from auricle.encoder.load import parse_encoder
from hf_models import FAMILIES, save_family
from making import audio_bytes, pitch_suite, tone

pytestmark = pytest.mark.evidence  # a quarter of a minute of processor time each


def two_pitches(folder: Path) -> Path:
    """One test clip is longer than the models' own windows of 3 s."""

    def clip(side: str, number: int) -> tuple[str, bytes, str]:
        high, seconds = number % 2, 7.0 if (side, number) == ("test", 1) else 0.7
        audio = audio_bytes(tone(600 if high else 300, seconds))
        return f"k{number}", audio, "high" if high else "low"

    sides = {"train": 16, "test": 6}
    return pitch_suite(folder, **{s: [clip(s, j) for j in range(n)] for s, n in sides.items()})


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_checked_and_run(family: str, tmp_path: Path, home: Path) -> None:
    model = f"hf:{save_family(family, tmp_path / family)}"
    trusted = family == "remote"
    report = check_encoder(parse_encoder(model, trust_remote_code=trusted), time_limit_s=600)
    assert report.passed, [c for c in report.checks if c.passed is False]
    options = RunOptions(
        out=tmp_path / "runs",
        settings=("train.steps=6", "train.warmup=2", "answer.max_new_tokens=4"),
        trust_remote_code=trusted,
    )
    scores = run(model, str(two_pitches(tmp_path)), options=options).scores
    task = scores["tasks"]["pitch"]
    assert (task["clips_scored"], task["failure"]) == (6, None)
