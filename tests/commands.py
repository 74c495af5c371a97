"""The command line as a child process, with a data home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

QUICK = ("--set", "train.steps=110", "--set", "answer.max_new_tokens=6", "--workers", "2")
"""Short, but every stage has several units of commit."""


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "auricle", *map(str, arguments)]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AURICLE", "XARES"))}
    return kept | {"AURICLE_HOME": str(home)} | more


def auricle(
    *arguments: str | Path, home: Path, expect: int | Sequence[int] = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments),
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    codes = (expect,) if isinstance(expect, int) else expect
    assert done.returncode in codes, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done


def predictions(run: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((run / "predictions").glob("*.jsonl"))}
