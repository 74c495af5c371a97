"""Law 5: what is reused is found by a hash of everything that made it, never by a name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ENCODER = """
import torch
from part import SCALE
class MyEncoder(torch.nn.Module):
    output_dim = 8
    def forward(self, audio, mask=None):
        frames = audio[:, : audio.shape[1] // 640 * 640].reshape(len(audio), -1, 8, 80)
        return SCALE * frames.square().mean(-1).add(1e-6).log()
"""


@pytest.mark.slow
def test_another_encoder_under_the_same_name_gets_a_run_of_its_own(
    run_json: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    encoder = tmp_path / "enc.py"
    encoder.write_text(ENCODER)
    part = tmp_path / "part.py"
    part.write_text("SCALE = 0.3\n")
    first = run_json(encoder)
    assert run_json(encoder)["run"] == first["run"]
    part.write_text("SCALE = 0.7\n")  # a file that the encoder imports, not the encoder itself
    second = run_json(encoder)
    assert second["run"] != first["run"]
    part.write_text("SCALE = 0.3\n")
    assert run_json(encoder)["run"] == first["run"]
    third = run_json(encoder, "--seed", "7")
    assert third["run"] not in (first["run"], second["run"])


@pytest.mark.slow
def test_a_planted_score_file_is_not_believed(
    run_json: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    first = run_json("logmel")
    scores = Path(first["run"]) / "scores.json"
    planted = json.loads(scores.read_text())
    planted["tasks"]["synth-keyword"]["score"] = 1.0
    scores.write_text(json.dumps(planted))
    assert run_json("logmel")["scores"] == first["scores"]
