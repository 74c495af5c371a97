"""Law 8: importing loads nothing heavy, makes no folder, sets up no logging."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from commands import environment

HEAVY = ("torch", "numpy", "transformers", "peft", "soundfile", "matplotlib")

PROBE = """
import sys, logging, pathlib
before = set(pathlib.Path.cwd().rglob("*")), list(logging.getLogger().handlers)
{code}
after = set(pathlib.Path.cwd().rglob("*")), list(logging.getLogger().handlers)
assert before == after, (before, after)
print(" ".join(sorted(set(m.split(".")[0] for m in sys.modules))))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import auricle",
        "from auricle.cli.app import execute; assert execute(['--help']) == 0; print()",
        "from auricle.cli.app import execute; assert execute(['run', '--help']) == 0; print()",
    ],
)
def test_nothing_heavy_is_loaded(code: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    work = tmp_path / "cwd"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code)],
        env=environment(home),
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "auricle" in loaded
    assert not loaded & set(HEAVY)
    assert not home.exists()
