"""The command for a GPU, very small on a CPU: parts that resume, fail and are left out alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


def gpu(*arguments: str | Path, expect: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == expect, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_the_parts_are_named_and_unknown_ones_refused(tmp_path: Path) -> None:
    names = gpu("--list").split()
    assert names[:2] == ["machine", "tests"]
    assert {"answering", "encoding", "captures", "kernels", "killed", "compiled"} <= set(names)
    assert {"step_float32_10s_captured", "step_bf16_30s_captured", "together_mps"} <= set(names)
    said = gpu("--out", tmp_path, "--device", "cpu", "--quick", "--parts", "nosuch", expect=2)
    assert "there is no part nosuch; see --list" in said
    assert "give --out DIR" in gpu("--device", "cpu", expect=2)


@pytest.mark.slow
def test_finished_parts_are_kept_and_failures_stop_no_other(tmp_path: Path) -> None:
    small = ("--out", tmp_path, "--device", "cpu", "--quick")
    (tmp_path / "kernels.json").write_text('{"status": "failed", "reason": "of before"}')
    gpu(*small, "--parts", "machine,encoding,kernels,together,together_mps", expect=1)
    whole = json.loads((tmp_path / "gpu.json").read_text())
    status = {name: row["status"] for name, row in whole["parts"].items()}
    assert status == {
        "machine": "ok",
        "encoding": "ok",
        "kernels": "failed",  # not measured anew: it has a result
        "together": "ok",
        "together_mps": "skipped",
    }
    assert "nvidia-cuda-mps-control" in whole["parts"]["together_mps"]["reason"]
    side_by_side = whole["parts"]["together"]["result"]
    assert set(side_by_side) == {"1", "2"}
    assert all(one["losses_equal"] and one["steps_per_s"] > 0 for one in side_by_side.values())
    assert whole["parts"]["encoding"]["result"]["hours_per_minute"] > 0
    before = (tmp_path / "encoding.json").stat().st_mtime_ns
    said = gpu(*small, "--parts", "machine,encoding,kernels", "--again", "kernels")
    assert "encoding: ok" not in said
    assert (tmp_path / "encoding.json").stat().st_mtime_ns == before
    kernels = json.loads((tmp_path / "kernels.json").read_text())["result"]
    assert len(kernels) == 10
    assert sum(one["share"] for one in kernels) <= 1.0001
    late = gpu("--out", tmp_path / "late", "--device", "cpu", "--quick", "--limit", "1")
    assert "no time left; the same command goes on" in late
