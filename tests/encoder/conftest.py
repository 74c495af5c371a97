"""Encoders written into a temporary folder, started, and ended with the test."""

import importlib.util
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import auricle
from auricle.encoder.host import EncoderProcess
from auricle.encoder.load import parse_encoder

HEAD = "import os, sys, time\nimport numpy as np\nimport torch\n\n"


@pytest.fixture(scope="session")
def child_module() -> Callable[[str], ModuleType]:
    """Load a file of the child by path, as the child does; it is no module of auricle."""

    def load(name: str) -> ModuleType:
        path = Path(auricle.__file__).parent / "encoder" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def write_encoder(tmp_path: Path) -> Callable[..., str]:
    """Write a file whose class has the given lines as its forward; give its path."""

    def write(forward: str, *, init: str = "", name: str = "mine.py", dim: str = "4") -> str:
        source = f"{HEAD}class MyEncoder(torch.nn.Module):\n    def __init__(self):\n"
        source += f"        super().__init__()\n        self.output_dim = {dim}\n"
        source += textwrap.indent(textwrap.dedent(init), " " * 8)
        source += "\n    def forward(self, audio, mask):\n"
        source += textwrap.indent(textwrap.dedent(forward), " " * 8)
        path = tmp_path / name
        path.write_text(source + "\n", encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., EncoderProcess]]:
    """Start an encoder; `loaded=True` leaves out the first window."""
    started = []

    def begin(
        text: str,
        *,
        loaded: bool = False,
        arguments: Any = None,
        python: str | None = None,
        **named: Any,
    ) -> Any:
        spec = parse_encoder(text, arguments=arguments, python=python)
        process = EncoderProcess(spec, log_path=tmp_path / "encoder.log", **named)
        started.append(process)
        if loaded:
            process.load()
            return process
        return process.start()

    yield begin
    for process in started:
        process.close()
