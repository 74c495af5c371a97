"""Runs commands of their own processes within bounds: time, output, and the disk that they fill.

Output goes to files, so that a flood cannot fill our memory, and only their ends are read. At a
bound the whole process group is killed; where we are killed ourselves, so is the command.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auricle.challenge.verdicts import Verdict
from auricle.files import make_folder

_POLL_S = 0.05
_MEASURE_EVERY_S = 2.0
_MAX_READ = 16 << 20
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|_KEY\b|API_?KEY|AUTH", re.IGNORECASE)


# PR_SET_PDEATHSIG is 1, and stays with a process that becomes another program.
_BECOME = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.execvp(sys.argv[1], sys.argv[1:])
"""
_DIES_WITH_US = (sys.executable, "-I", "-S", "-c", _BECOME) if sys.platform == "linux" else ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a command may take before it is ended."""

    time_s: float
    folder: Path | None = None
    """The folder whose size is watched."""
    folder_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended; ``stopped`` names the bound that ended it."""

    code: int
    stdout: bytes
    stderr: str
    wall_s: float
    stopped: Verdict | None = None
    bounds: Bounds | None = None
    """What it was allowed to take."""

    def tail(self, lines: int = 12) -> str:
        """The last lines of its standard error."""
        return "\n".join(self.stderr.strip().splitlines()[-lines:])


def run_bounded(
    command: Sequence[str],
    *,
    bounds: Bounds,
    logs: Path,
    name: str,
    folder: Path,
    environment: Mapping[str, str],
) -> Outcome:
    """Run a command until it ends or meets a bound.

    Args:
        command: The program and its arguments.
        bounds: When to end it.
        logs: Folder for its output, as ``<name>.out`` and ``<name>.err``.
        name: What it is called there.
        folder: Where it starts.
        environment: Its environment variables, all of them.
    """
    make_folder(logs)
    started = time.monotonic()
    out_path, err_path = logs / f"{name}.out", logs / f"{name}.err"
    with out_path.open("wb") as out, err_path.open("wb") as err:
        process = subprocess.Popen(  # noqa: S603
            [*_DIES_WITH_US, *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        try:
            stopped = _watch(process, bounds, started)
        finally:
            # Not reaped before, so its number cannot have gone to another group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Outcome(
        code=process.returncode,
        stdout=_last_bytes(out_path),
        stderr=_last_bytes(err_path).decode("utf-8", "replace"),
        wall_s=time.monotonic() - started,
        stopped=stopped,
        bounds=bounds,
    )


def _watch(process: subprocess.Popen[bytes], bounds: Bounds, started: float) -> Verdict | None:
    measured = started
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        now = time.monotonic()
        if now - started > bounds.time_s:
            return Verdict.TIME_LIMIT
        if bounds.folder is not None and now - measured > _MEASURE_EVERY_S:
            if (verdict := _disk_verdict(bounds)) is not None:
                return verdict
            measured = time.monotonic()
        time.sleep(_POLL_S)
    return _disk_verdict(bounds)


def _disk_verdict(bounds: Bounds) -> Verdict | None:
    if bounds.folder is None:
        return None
    size = folder_bytes(bounds.folder)
    if size is None:
        return Verdict.TOO_DEEP
    return Verdict.DISK_LIMIT if size > bounds.folder_bytes else None


MAX_NESTING = 100
TOO_DEEP = f"it nested folders more than {MAX_NESTING} deep"


def folder_bytes(folder: Path) -> int | None:
    """Disk space of a tree; a tree that changes meanwhile, and links, are borne.

    Returns:
        None for folders that are nested so deep that they cannot be looked into.
    """
    total = 0
    waiting = [(str(folder), 0)]
    while waiting:
        path, depth = waiting.pop()
        if depth > MAX_NESTING:
            return None
        with contextlib.suppress(OSError), os.scandir(path) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def _last_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _MAX_READ))
        return stream.read()


KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Exit codes of signal 9: as we are told it, and as bubblewrap passes it on."""
_FREE_BYTES = 64 << 20


def load_of_machine() -> str:
    """How busy the machine is if it has more to do than it can, in words; empty if it has not."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    if load <= 1.25 * (cores or 1):
        return ""
    return f"the machine was loaded ({load:.1f} processes for {cores} cores)"


def disk_is_full(folder: Path) -> bool:
    """Whether there is hardly any space left where a folder lies."""
    return shutil.disk_usage(folder).free < _FREE_BYTES


def clean_environment(**changes: str) -> dict[str, str]:
    """Our own environment variables without secrets and without what steers Python.

    Args:
        changes: Variables to set.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not _SECRET.search(name)
        and not name.startswith(("PYTHON", "LD_", "AURICLE_", "COV_", "PYTEST_"))
        and "://" not in value.partition("@")[0]
    }
    return kept | changes
