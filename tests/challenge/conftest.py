"""Submissions to try, and what must not change while they are tried."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from auricle.sandbox.bubblewrap import Bubblewrap, SandboxError, find_bubblewrap


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else runs here, the machine is not loaded, and tries follow at once."""
    for room in ("commands", "environment", "report"):
        monkeypatch.setattr(f"auricle.challenge.{room}.load_of_machine", lambda: "")
    monkeypatch.setattr("auricle.challenge.stages.WAITS_S", (0.0, 0.0))


@pytest.fixture
def bubblewrap() -> Bubblewrap:
    try:
        return find_bubblewrap()
    except SandboxError as error:
        pytest.skip(f"bubblewrap cannot start here: {error}")


def fingerprint(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Path]:
    """Things of the machine that no submission may see or change; `SECRET` stands in each."""
    root = tmp_path / "machine"
    for name in (
        *("shards/labels.json", "home/.cache/huggingface/token", "other/submission/encoder.py"),
        *("runs/judged/scores.json", "features/store.bin", "metrics.py"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("SECRET")
        (root / name).chmod(0o666)
    watched = [*root.rglob("*"), Path("/etc/passwd"), Path("/etc/hosts")]
    before = {path: fingerprint(path) for path in watched}
    yield root
    assert {path: fingerprint(path) for path in [*root.rglob("*"), *watched[-2:]]} == before


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data home whose synthetic shards are made once for all tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def data_here(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AURICLE_HOME", str(shared_home))
    monkeypatch.delenv("XARES_DATA_HOME", raising=False)
    return shared_home
