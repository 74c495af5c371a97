"""Options of `auricle run` and `auricle plan`, and sizes as people write them."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from auricle.cli.run import parse_size, plan_command, run_command
from auricle.errors import UserError


@pytest.mark.parametrize(
    ("text", "size"),
    [("200GB", 200e9), ("1.5T", 1.5e12), ("800MiB", 800 * 2**20), ("7", 7), ("2 kb", 2000)],
)
def test_sizes_are_read(text: str, size: float) -> None:
    assert parse_size(text, "--disk-budget") == size


@pytest.mark.parametrize("text", ["", "many", "-3GB", "1.2.3G", "0"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no size"):
        parse_size(text, "--disk-budget")


def test_plan_takes_every_option_of_run() -> None:
    found = [set(inspect.signature(command).parameters) for command in (run_command, plan_command)]
    assert found[0] <= found[1]
    assert found[1] - found[0] == {"time_limit"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "nosuch.py"), "There is no file"),
        (("plan", "nosuch.py"), "There is no file"),
        (("check", "nosuch.py"), "There is no file"),
        (("run", "logmel", "--suite", "nosuch"), "no suite or task named 'nosuch'"),
        (("plan", "logmel", "--eval", "nosuch"), "no suite or task named 'nosuch'"),
        (("run", "logmel", "--set", "train.steps=x"), "train.steps is 'x'"),
        (("plan", "logmel", "--disk-budget", "many"), "'many' is no size"),
        (("run", "logmel", "--encode-budget", "-1"), "--encode-budget is -1"),
        (("run", "logmel", "--recipe", "big"), "no recipe named 'big'"),
        (("run", "e.py", "task1", "task1"), "Type: auricle run e.py --suite task1\n"),
        (("plan", "e.py", "a b.yaml", "c.yaml"), "auricle plan e.py --suite 'a b.yaml' --eval c.y"),
    ],
    ids=str,
)
def test_wrong_arguments_are_told_before_torch_is_imported(
    words: tuple[str, ...], said: str
) -> None:
    program = (
        "import sys; from auricle.cli.app import execute; code = execute(sys.argv[1:]); "
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
