"""Law 5: an encoder is found by what it is, never by what it is called."""

import hashlib
import json
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
from auricle.encoder.load import parse_encoder
from auricle.encoder.protocol import EncoderSpec, judged_variables
from auricle.errors import EncoderLoadError
from puppet import changed, write_puppet

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


@pytest.mark.slow  # starts processes that import torch
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


@pytest.mark.slow  # starts processes that import torch
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


@pytest.mark.slow  # starts processes that import torch
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


@pytest.mark.slow  # starts processes that import torch
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
    found = argument_files(EncoderSpec("x", "x", "file", "x", None, arguments, folder=tmp_path))
    assert sorted(path.name for path in found) == ["config.json", "config.json", "w.bin"]


def test_a_vanished_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(EncoderLoadError, match="cannot be hashed"):
        hash_files([tmp_path / "gone.bin"])


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert hash_files([tmp_path / "pipe", tmp_path]) == {}


@pytest.mark.slow  # starts processes that import torch
def test_the_builtin_knows_itself_and_its_python(identify: Callable[..., EncoderInfo]) -> None:
    info = identify("logmel")
    assert [Path(path).name for path in info.files] == ["logmel.py"]
    assert info.python == sys.version.split()[0]
    assert info.num_parameters == 0
    assert len(info.content_hash) == 64


SECRET = "e0f0c9c1"


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EncoderInfo]:
    """Start a submission's encoder, whose process says that it opened some files."""
    submission, fetched = tmp_path / "submission", tmp_path / "environment" / "home"
    fetched.mkdir(parents=True)

    def start(*named: str, arguments: str | None = None) -> EncoderInfo:
        write_puppet(tmp_path / "bin" / "puppet", changed("report", files=list(named)))
        (submission / "net").mkdir(parents=True, exist_ok=True)
        path = submission / "mine.py"
        path.write_text("class PuppetEncoder: pass")
        (submission / "net" / "layers.py").write_text("WIDTH = 4")
        for name, value in judged_variables(submission, fetched).items():
            monkeypatch.setenv(name, value)
        spec = parse_encoder(str(path), python=tmp_path / "bin" / "puppet", arguments=arguments)
        log = tmp_path / "log.txt"
        with EncoderProcess(spec, log_path=log, batch_timeout_s=20) as process:
            return process.info

    return start


def test_a_submission_learns_nothing_of_files_that_its_process_names(
    judge: Callable[..., EncoderInfo], tmp_path: Path
) -> None:
    """Neither what is in a file of the machine nor whether it is there changes anything."""
    secret = tmp_path / "root" / "secret"
    secret.parent.mkdir()
    secret.write_text(SECRET)
    (tmp_path / "environment" / "home" / "link").symlink_to(secret)
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "link").symlink_to(secret)
    honest = judge()
    assert sorted(Path(path).name for path in honest.files) == ["layers.py", "mine.py"]
    for names in (
        [str(secret)],
        [str(tmp_path / "root" / "gone")],
        ["/etc/shadow", "/root/x", "/root/.ssh/id_ed25519", "/proc/self/environ"],
        [f"{tmp_path}/submission/../root/secret"],
        [str(tmp_path / "environment" / "home" / "link")],
        [str(tmp_path / "submission" / "link")],
        ["/" + "x" * 4000],
    ):
        named = judge(*names)
        assert named.files == honest.files, names
        assert named.content_hash == honest.content_hash, names


def test_an_argument_of_a_submission_opens_no_file_of_the_machine(
    judge: Callable[..., EncoderInfo], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    seen = []
    for content in ("one", "two", None):
        secret.write_text(content) if content else secret.unlink()
        info = judge(arguments=json.dumps({"x": str(secret), "y": "../secret", "z": "/etc"}))
        assert not [path for path in info.files if not path.startswith(f"{tmp_path}/submission")]
        seen.append(info.content_hash)
    assert len(set(seen)) == 1
    inside = tmp_path / "submission" / "inside.bin"
    for content in ("one", "two"):
        inside.write_text(content)
        seen.append(judge(arguments='{"x": "inside.bin"}').content_hash)
    assert len(set(seen)) == 3


def test_what_a_submission_brought_and_fetched_is_hashed_named_or_not(
    judge: Callable[..., EncoderInfo], tmp_path: Path
) -> None:
    home = tmp_path / "environment" / "home"
    seen = {judge().content_hash}
    (home / "small.json").write_text("1")
    assert judge().content_hash in seen
    assert str(home / "small.json") in judge(str(home / "small.json")).files
    for content in (b"1", b"2"):
        (home / "weights.bin").write_bytes(content * (1 << 20))
        seen.add(judge().content_hash)
    (tmp_path / "submission" / "more.py").write_text("x = 1")
    seen.add(judge().content_hash)
    assert len(seen) == 4


def test_of_ones_own_encoder_every_file_counts_that_its_process_opens(tmp_path: Path) -> None:
    weights = tmp_path / "elsewhere" / "w.bin"
    weights.parent.mkdir()
    hashes = set()
    for content in ("one", "two"):
        weights.write_text(content)
        path = write_puppet(tmp_path / "own" / "puppet", changed("report", files=[str(weights)]))
        spec = parse_encoder(str(path), python=tmp_path / "own" / "puppet")
        with EncoderProcess(spec, log_path=tmp_path / "log.txt") as process:
            expected = hashlib.sha256(content.encode()).hexdigest()
            assert process.info.files == {str(weights): expected}
            hashes.add(process.info.content_hash)
    assert len(hashes) == 2
