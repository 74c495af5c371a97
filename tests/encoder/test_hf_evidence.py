"""Evidence: each family of Hugging Face models passes the checker and goes through a short run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from auricle import RunOptions, run
from auricle.encoder.checks import check_encoder
from auricle.encoder.load import parse_encoder
from hf_models import FAMILIES, save_family
from making import audio_bytes, tone, write_tar

pytestmark = pytest.mark.evidence  # a quarter of a minute of processor time each


def write_suite(folder: Path) -> Path:
    """Two pitches; one test clip is longer than the models' own windows of 3 s."""
    for side, count in (("train", 16), ("test", 6)):
        members = []
        for number in range(count):
            high, seconds = number % 2, 7.0 if (side, number) == ("test", 1) else 0.7
            label = json.dumps({"label": "high" if high else "low"}).encode()
            audio = audio_bytes(tone(600 if high else 300, seconds))
            members += [(f"k{number}.flac", audio), (f"k{number}.json", label)]
        write_tar(folder / f"{side}.tar", members)
    task = {
        **{"track": "a", "domain": "sound", "prompt": "Low or high?", "metric": "accuracy"},
        **{"num_classes": 2, "train_field": "label", "test_field": "label", "weight": 1.0},
        **{"train_shards": ["train.tar"], "test_shards": ["test.tar"]},
    }
    path = folder / "pitch.yaml"
    path.write_text(yaml.safe_dump({"name": "pitch", "recipe": "mini", "tasks": {"pitch": task}}))
    return path


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
    scores = run(model, str(write_suite(tmp_path)), options=options).scores
    task = scores["tasks"]["pitch"]
    assert (task["clips_scored"], task["failure"]) == (6, None)
