"""Law 5: an encoder is found by what it is, never by what it is called."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from auricle.encoder.host import EncoderInfo, EncoderProcess
from auricle.encoder.identity import argument_files, hash_files
from auricle.errors import EncoderLoadError

pytestmark = pytest.mark.slow  # each test starts processes that import torch

SOURCE = """
import json
from pathlib import Path
import numpy as np
import torch
from sibling import FACTOR

HERE = Path(__file__).parent

class MyEncoder(torch.nn.Module):
    def __init__(self, weights="weights.npy", extra=None):
        super().__init__()
        self.output_dim = 2
        self.scale = float(np.load(HERE / weights)[0]) * FACTOR
        if extra:
            from safetensors.torch import load_file
            self.scale += float(load_file(extra)["x"])
        with open("/dev/null"), open(HERE / "scratch.txt", "w") as stream:
            stream.write("written, not read")

    def forward(self, audio, mask):
        if not hasattr(self, "late"):
            self.late = json.loads((HERE / "late.json").read_text())
        return torch.full((len(audio), 1, 2), self.scale), None
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "mine.py").write_text(SOURCE)
    (folder / "sibling.py").write_text("FACTOR = 1.0\n")
    (folder / "late.json").write_text("1")
    (folder / "unrelated.py").write_text("x = 1")
    np.save(folder / "weights.npy", np.ones(1))
    np.save(folder / "other.npy", np.ones(1) * 2)
    return folder


@pytest.fixture
def identify(start: Callable[..., EncoderProcess]) -> Callable[..., EncoderInfo]:
    return lambda path, **named: start(str(path), **named).info


def test_everything_that_makes_an_encoder_changes_its_hash_and_nothing_else_does(
    identify: Callable[..., EncoderInfo], folder: Path, tmp_path: Path
) -> None:
    first = identify(folder / "mine.py")
    names = {Path(path).name for path in first.files}
    assert names == {"mine.py", "sibling.py", "weights.npy", "late.json"}
    assert first.packages["torch"].startswith(torch.__version__.split("+")[0])
    assert first.packages["numpy"] == np.__version__

    (folder / "unrelated.py").write_text("x = 2")
    os.utime(folder / "sibling.py", (1, 1))
    assert identify(folder / "mine.py").content_hash == first.content_hash
    moved = tmp_path / "two"
    folder.rename(moved)
    (moved / "mine.py").rename(moved / "yours.py")
    assert identify(moved / "yours.py").content_hash == first.content_hash
    named = identify(f"{moved / 'yours.py'}:MyEncoder")
    assert named.content_hash == first.content_hash

    seen = {first.content_hash}
    (moved / "sibling.py").write_text("FACTOR = 2.0\n")
    seen.add(identify(moved / "yours.py").content_hash)
    np.save(moved / "weights.npy", np.ones(1) * 3)
    seen.add(identify(moved / "yours.py").content_hash)
    (moved / "late.json").write_text("2")
    seen.add(identify(moved / "yours.py").content_hash)
    seen.add(identify(moved / "yours.py", arguments={"weights": "other.npy"}).content_hash)
    assert len(seen) == 5


def test_a_source_edited_within_its_timestamp_is_run_as_it_reads(
    start: Callable[..., EncoderProcess], folder: Path
) -> None:
    """A .pyc is trusted by time and size alone; local code must never run from one."""
    window = np.zeros(100, np.float32)
    for factor in ("1.0", "5.0"):
        (folder / "sibling.py").write_text(f"FACTOR = {factor}\n")
        os.utime(folder / "sibling.py", (1_000_000, 1_000_000))
        process = start(str(folder / "mine.py"))
        encoded = process.encode([window], labels=["x"])[0]
        assert encoded.frames[0, 0] == float(factor)
        process.close()


def test_files_read_behind_pythons_back_are_seen(
    identify: Callable[..., EncoderInfo], folder: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "elsewhere" / "x.safetensors"
    weights.parent.mkdir()
    (folder / "mine.py").write_text(SOURCE.replace("extra=None", f"extra={str(weights)!r}"))
    hashes = set()
    for value in (1.0, 2.0):
        save_file({"x": torch.tensor(value)}, str(weights))
        info = identify(folder / "mine.py")
        assert str(weights) in info.files
        hashes.add(info.content_hash)
    assert len(hashes) == 2


def test_a_file_named_by_an_argument_counts_by_content(
    identify: Callable[..., EncoderInfo], folder: Path, tmp_path: Path
) -> None:
    hashes = []
    for place, value in (("a", 1.0), ("b", 1.0), ("b", 2.0)):
        path = tmp_path / place / "x.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_file({"x": torch.tensor(value)}, str(path))
        info = identify(folder / "mine.py", arguments={"extra": str(path)})
        hashes.append(info.content_hash)
    assert hashes[0] == hashes[1]
    assert hashes[1] != hashes[2]


def test_an_argument_that_is_a_folder_counts_whole(tmp_path: Path) -> None:
    (tmp_path / "model" / "deep").mkdir(parents=True)
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "deep" / "w.bin").write_bytes(b"1")
    arguments = {"model": "model", "n": 3, "nested": [{"x": "model/config.json"}], "text": "a\0b"}
    found = argument_files(arguments, base=tmp_path)
    assert sorted(path.name for path in found) == ["config.json", "config.json", "w.bin"]


def test_a_vanished_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(EncoderLoadError, match="cannot be hashed"):
        hash_files([tmp_path / "gone.bin"])


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert hash_files([tmp_path / "pipe", tmp_path]) == {}


def test_the_builtin_knows_itself_and_its_python(identify: Callable[..., EncoderInfo]) -> None:
    info = identify("logmel")
    assert [Path(path).name for path in info.files] == ["logmel.py"]
    assert info.python == sys.version.split()[0]
    assert info.num_parameters == 0
    assert len(info.content_hash) == 64
