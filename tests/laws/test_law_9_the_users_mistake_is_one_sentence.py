"""Law 9: bad input is met at the door: one sentence, exit code 2, no traceback, nothing trained."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.cli.app import execute

NO_CLASS = "import torch\nclass Thing(torch.nn.Module):\n    pass\n"
TWO = (
    "import torch\nclass AEncoder(torch.nn.Module):\n    pass\n"
    "class BEncoder(torch.nn.Module):\n    pass\n"
)
NEEDS = (
    "import torch\nclass OneEncoder(torch.nn.Module):\n"
    "    def __init__(self, size):\n        super().__init__()\n        self.output_dim = size\n"
)


@pytest.fixture
def refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., str]:
    """Run a command that must be refused; returns what it said."""

    def run(*arguments: str | Path, home: Path) -> str:
        monkeypatch.setenv("AURICLE_HOME", str(home))
        monkeypatch.delenv("XARES_DATA_HOME", raising=False)
        words = ["run", *map(str, arguments), "--quiet"]
        if "--out" not in words:
            words += ["--out", str(tmp_path / "runs")]
        code = execute(words)
        said = capsys.readouterr()
        assert code == 2, said.err
        assert said.err.startswith("error: ")
        assert "Traceback" not in said.err.splitlines()[0]
        assert said.out == ""
        assert not list(tmp_path.glob("runs/**/checkpoints")), "something was trained"
        return said.err

    return run


@pytest.mark.parametrize(
    ("source", "arguments", "said"),
    [
        (None, ["nowhere.py"], "nowhere.py"),
        (NO_CLASS, ["enc.py"], "Encoder"),
        (TWO, ["enc.py"], "enc.py:BEncoder"),
        (TWO, ["enc.py:CEncoder"], "CEncoder"),
        (NEEDS, ["enc.py"], "size"),
        (NEEDS, ["enc.py", "--encoder-args", "{size: 3}"], "JSON"),
        (NEEDS, ["enc.py", "--encoder-args", '{"width": 3}'], "width"),
        ("import no_such_package\n", ["enc.py"], "no_such_package"),
        ("def broken(:\n", ["enc.py"], "enc.py"),
        (None, ["logmel", "--suite", "smok"], "smoke"),
        (None, ["logmel", "--set", "train.step=3"], "train.steps"),
        (None, ["logmel", "--set", "train.steps=many"], "train.steps"),
        (None, ["logmel", "--set", "train.steps"], "name=value"),
        (None, ["logmel", "--precision", "fp8"], "float32"),
        (None, ["logmel", "--device", "tpu"], "cpu"),
        (None, ["logmel", "--device", "cuda:7"], "cuda:7"),
        (None, ["logmel", "--encode-budget", "-3"], "encode-budget"),
        (None, ["logmel", "--batch-timeout", "0"], "batch-timeout"),
        (None, ["logmel", "--seed", "-1"], "--seed"),
        (None, ["logmel", "--out", "/proc/runs"], "/proc/runs cannot be written"),
        (None, ["logmel", "--no-such-option"], "no-such-option"),
        (None, ["logmel", "--seed", "x"], "--seed"),
        (None, ["logmell"], "logmel"),
    ],
)
def test_a_mistake_in_the_command_is_one_sentence(
    source: str | None,
    arguments: list[str],
    said: str,
    shared_home: Path,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    encoder, *rest = arguments
    if source is not None:
        (tmp_path / "enc.py").write_text(source)
        encoder = str(tmp_path / encoder)
    if "--suite" not in rest:
        rest += ["--suite", "synth-keyword"]
    assert said in refused(encoder, *rest, home=shared_home)


def copy_of(home: Path, target: Path) -> Path:
    """The shared shards without what was derived from them."""
    shutil.copytree(home / "shards", target / "shards")
    return target


def first_shard(home: Path) -> Path:
    return sorted(home.glob("shards/**/train*.tar.gz"))[0]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: p.write_bytes(b""), "empty"),
        (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "cut short"),
        (lambda p: p.write_bytes(gzip.compress(b"no tar archive at all")), "tar"),
        (lambda p: p.write_bytes(b"no gzip either"), ""),
    ],
    ids=["empty", "truncated", "no-tar", "no-gzip"],
)
def test_a_broken_shard_is_named(
    damage: Callable[[Path], object],
    said: str,
    shared_home: Path,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    home = copy_of(shared_home, tmp_path / "home")
    for unpacked in home.glob("shards/**/*.tar*"):
        if not unpacked.name.endswith(".tar.gz"):
            unpacked.unlink()
    shard = first_shard(home)
    damage(shard)
    text = refused("logmel", "--suite", "synth-keyword", home=home)
    assert shard.name in text
    assert said in text


def test_an_unwritable_folder_is_one_sentence(
    shared_home: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    suite = ("--suite", "synth-keyword")
    said = refused("logmel", *suite, "--out", blocked / "runs", home=shared_home)
    assert "cannot be written" in said
    assert "--out" in said
