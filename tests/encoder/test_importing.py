"""Importing an encoder's code: siblings, packages, other interpreters, and all that can fail."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auricle.encoder.host import EncoderProcess
from auricle.errors import EncoderContractError, EncoderLoadError

pytestmark = pytest.mark.slow  # each test starts processes that import torch

Start = Callable[..., EncoderProcess]
GOOD = """
    output_dim = 2
    def forward(self, audio, mask):
        return torch.ones(len(audio), 1, 2), None
"""
GOOD_CLASS = f"import torch\nclass {{}}(torch.nn.Module):{GOOD}"


def write(folder: Path, source: str, name: str = "mine.py") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return str(path)


def test_relative_and_absolute_imports_of_siblings_work(start: Start, tmp_path: Path) -> None:
    write(tmp_path, "WIDTH = 2", "layers.py")
    source = "from .layers import WIDTH\nimport layers\nassert layers.WIDTH == WIDTH\n"
    assert start(write(tmp_path, source + GOOD_CLASS.format("MyEncoder"))).info.output_dim == 2


def test_a_file_in_a_package_is_imported_as_its_part(start: Start, tmp_path: Path) -> None:
    write(tmp_path, "", "pack/__init__.py")
    write(tmp_path, "", "pack/inner/__init__.py")
    write(tmp_path, "WIDTH = 2", "pack/layers.py")
    source = "from ..layers import WIDTH\nassert __name__ == 'pack.inner.mine'\n"
    path = write(tmp_path, source + GOOD_CLASS.format("MyEncoder"), "pack/inner/mine.py")
    assert start(path).info.output_dim == 2


def test_a_module_is_found_from_the_working_folder(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, GOOD_CLASS.format("MyEncoder"), "folder/inside.py")
    monkeypatch.chdir(tmp_path)
    info = start("folder.inside:MyEncoder").info
    assert info.class_name == "MyEncoder"
    assert str(tmp_path / "folder" / "inside.py") in info.files


def test_a_file_named_like_an_installed_package_may_import_that(
    start: Start, tmp_path: Path
) -> None:
    source = "import json\nassert hasattr(json, 'loads')\n" + GOOD_CLASS.format("MyEncoder")
    assert start(write(tmp_path, source, "json.py")).info.output_dim == 2


def test_xares_llm_encoder_files_run_unchanged(start: Start, tmp_path: Path) -> None:
    """In the shape of that project's example: keyword arguments, long mask, two return values."""
    source = """
import torch


class DummyEncoder(torch.nn.Module):
    def __init__(self, width=256, **kwargs) -> None:
        super().__init__()
        self.output_dim = width

    def forward(self, audio, audio_attention_mask=None):
        output = torch.randn(len(audio), 10, self.output_dim)
        lengths = audio_attention_mask.sum(-1) * 10 // audio.shape[1]
        kept = torch.arange(10)[None] < lengths[:, None].clamp(min=1)
        return output, kept.long()


if __name__ == "__main__":
    raise SystemExit("never here")
"""
    process = start(write(tmp_path, source), arguments={"width": 8, "other": None})
    assert process.info.output_dim == 8


def test_a_submission_runs_in_its_own_folder(start: Start, tmp_path: Path) -> None:
    source = "import os\nassert os.path.exists('submission.yaml')\n"
    write(tmp_path, source + GOOD_CLASS.format("MyEncoder"), "sub/inner.py")
    write(tmp_path, "encoder: inner.py:MyEncoder", "sub/submission.yaml")
    assert start(str(tmp_path / "sub")).info.class_name == "MyEncoder"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import torch, nowhere_to_be_found", r"ModuleNotFoundError: .*Install that package"),
        ("def f(:", r"Importing the encoder raised SyntaxError"),
        ("raise RuntimeError('boo')", r"Importing the encoder raised RuntimeError: boo"),
        ("import sys; sys.exit(1)", r"Importing the encoder raised SystemExit: 1"),
        (
            "class MyEncoder:\n    output_dim = 2",
            r"MyEncoder makes a MyEncoder; an encoder is a torch.nn.Module",
        ),
        (
            GOOD_CLASS.format("MyEncoder") + "    def __init__(self, layer): pass",
            r"MyEncoder\(layer\) cannot be constructed .*missing a required argument: 'layer'",
        ),
        (
            GOOD_CLASS.format("MyEncoder") + "    def __init__(self): self.x = 1 / 0",
            r"Constructing the encoder raised ZeroDivisionError",
        ),
        ("MyEncoder = 5", r"What should be the encoder's class is a int: 5"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_a_sentence(
    start: Start, tmp_path: Path, source: str, says: str
) -> None:
    with pytest.raises(EncoderLoadError, match=says):
        start(write(tmp_path, source), loaded=True)


def test_a_module_that_is_nowhere_is_told(start: Start) -> None:
    with pytest.raises(EncoderLoadError, match="There is no module nowhere_at_all in the"):
        start("nowhere_at_all.inside:MyEncoder", loaded=True)


def test_output_dim_must_be_there(start: Start, tmp_path: Path) -> None:
    source = "import torch\nclass MyEncoder(torch.nn.Module):\n    pass\n"
    with pytest.raises(EncoderContractError, match="output_dim is missing"):
        start(write(tmp_path, source), loaded=True)


def test_a_device_that_is_not_there_is_told(start: Start, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD_CLASS.format("MyEncoder"))
    with pytest.raises(EncoderLoadError, match=r"cannot use the device.*Choose another"):
        start(path, loaded=True, device="nonsense")


def test_an_interpreter_without_torch_is_told(tmp_path: Path) -> None:
    import venv

    from auricle.encoder.load import parse_encoder

    venv.create(tmp_path / "bare", symlinks=True)
    spec = parse_encoder("logmel", python=tmp_path / "bare" / "bin" / "python")
    process: Any = EncoderProcess(spec, log_path=tmp_path / "log")
    with pytest.raises(EncoderLoadError, match="cannot import numpy and torch"):
        process.load()


def test_another_interpreter_runs_the_encoder(tmp_path: Path) -> None:
    from auricle.encoder.load import parse_encoder

    link = tmp_path / "python"
    link.write_text(f'#!/bin/sh\nexport ANOTHER=1\nexec {sys.executable} "$@"\n')
    link.chmod(0o755)
    source = GOOD_CLASS.format("MyEncoder") + "    import os; assert os.environ['ANOTHER']\n"
    spec = parse_encoder(write(tmp_path, source), python=link)
    with EncoderProcess(spec, log_path=tmp_path / "log") as process:
        assert process.info.python == sys.version.split()[0]
