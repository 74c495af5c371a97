"""Where our own packages are, however auricle was installed."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import auricle


def test_packages_of_every_folder_that_is_searched_are_our_own(tmp_path: Path) -> None:
    venv.EnvBuilder(symlinks=True).create(tmp_path / "venv")
    own = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    shared = tmp_path / "shared" / "dist-packages"
    shared.mkdir(parents=True)
    (own / "shared.pth").write_text(f"{shared}\n")  # as the system's packages, or a user's
    code = (
        f"import sys; sys.path.append({str(Path(auricle.__file__).parents[1])!r});"
        "from auricle.sandbox.policy import own_python_paths, package_folders;"
        "print(*package_folders()); print(*own_python_paths())"
    )
    python = tmp_path / "venv" / "bin" / "python"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    folders, readable = (line.split() for line in done.stdout.splitlines())
    assert folders == [str(own), str(shared)]
    assert {str(own), str(shared)} < set(readable)


def test_this_interpreters_packages_are_among_them() -> None:
    from auricle.sandbox.policy import package_folders

    assert any((folder / "numpy").is_dir() for folder in package_folders()), sys.path
