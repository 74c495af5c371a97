"""`wrap`: locks around a command, from a policy to a prefix that stands before any command.

What is covered and what is not stands in docs/security.md. In short: strangers' code cannot see
files, processes, users or the network of the machine, nor use more memory, processes or scratch
than it was given; it can still attack the kernel, the GPU's driver and the checks on its answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auricle.files import scratch_folder
from auricle.sandbox.bubblewrap import Bubblewrap, SandboxError, find_bubblewrap, plan_command
from auricle.sandbox.limits import Group, make_group
from auricle.sandbox.policy import PASSED_VARIABLES, Policy
from auricle.sandbox.seccomp import seccomp_program

_LAUNCH = Path(__file__).resolve().parent / "launch.py"


@dataclass(frozen=True, slots=True)
class Lock:
    """Locks that are ready for use, as long as the `wrap` block lasts."""

    prefix: tuple[str, ...]
    """Stands before a command; file descriptors that the command inherits go through it."""
    description: dict[str, str]
    """What locks these are, for receipts."""
    folder: Path
    """A private folder for files that belong to the locks; it goes with them."""
    group: Group | None
    start: Path | None = None
    """Where the command starts, where no sandbox sees to that."""
    memory_bytes: int | None = None
    """The memory that everything behind the locks may use; None where it is not held."""

    def python(self, interpreter: Path, name: str = "python") -> Path:
        """Make a program that runs an interpreter behind the locks, e.g. for --encoder-python."""
        path = self.folder / name
        words = " ".join(shlex.quote(word) for word in [*self.prefix, str(interpreter)])
        first = f"cd {shlex.quote(str(self.start))} || exit 1\n" if self.start else ""
        path.write_text(f'#!/bin/sh\n{first}exec {words} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
        return path

    def peak_memory_bytes(self) -> int | None:
        """The most memory that everything behind the locks used, where it is counted."""
        return self.group.peak_memory_bytes() if self.group else None

    def was_out_of_memory(self) -> bool:
        """Whether something behind the locks was ended for using too much memory."""
        return self.group.was_out_of_memory() if self.group else False


Locks = Callable[[Policy], contextlib.AbstractContextManager[Lock]]
"""`wrap`, `wrap_without_sandbox` or `no_locks`: how much a command is trusted."""


@contextlib.contextmanager
def wrap(policy: Policy) -> Iterator[Lock]:
    """Make the locks of a policy and take them away at the end, with all that still runs in them.

    Args:
        policy: What the command may see and use.

    Raises:
        SandboxError: bubblewrap is missing or does not work here.
    """
    bubblewrap = find_bubblewrap()
    plan = plan_command(policy, bubblewrap)
    if plan.user is not None:
        _check_readable(policy)
    group = make_group(policy)
    config = {
        "bwrap": plan.before,
        "last": plan.last,
        "inner": plan.inner,
        "data": plan.data,
        "environment": plan.environment,
        "passed": list(PASSED_VARIABLES),
        "joins": group.joins() if group else [],
        "rlimits": _rlimits(policy, group, has_own_user=plan.user is not None),
        "seccomp": seccomp_program().hex(),
    }
    try:
        with _own_folders(policy.writable, plan.user), _lock_folder(config) as (folder, prefix):
            facts = _describe(bubblewrap, group)
            yield Lock(prefix, facts, folder, group, memory_bytes=policy.memory_bytes)
            if group:  # before the folders are handed back
                group.close()
    finally:
        if group:
            group.close()


@contextlib.contextmanager
def wrap_without_sandbox(policy: Policy) -> Iterator[Lock]:
    """Limits and a clean environment, but no locks: for --unsafe-no-sandbox, and said in receipts.

    Args:
        policy: Memory, processes and environment are held; files and network are open.
    """
    group = make_group(policy)
    config = {
        "bwrap": [],
        "environment": {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": tempfile.gettempdir(),
            "LANG": "C.UTF-8",
            **policy.environment,
        },
        "passed": list(PASSED_VARIABLES),
        "joins": group.joins() if group else [],
        "rlimits": _rlimits(policy, group, has_own_user=False),
    }
    try:
        with _lock_folder(config) as (folder, prefix):
            facts = _describe(None, group)
            yield Lock(prefix, facts, folder, group, policy.folder, policy.memory_bytes)
    finally:
        if group:
            group.close()


@contextlib.contextmanager
def no_locks(policy: Policy) -> Iterator[Lock]:
    """The plain process: for a participant's own code on their own machine.

    Args:
        policy: Left aside, but for the folder where the command starts.
    """
    with scratch_folder("auricle-lock-") as folder:
        description = {"sandbox": "none (own code)", "limits": "none", "system_calls": "unfiltered"}
        yield Lock((), description, folder, None, policy.folder)


@contextlib.contextmanager
def _lock_folder(config: dict[str, Any]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    with scratch_folder("auricle-lock-") as folder:
        path = folder / "lock.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        yield folder, (sys.executable, "-I", "-S", str(_LAUNCH), str(path))


def _check_readable(policy: Policy) -> None:
    """Behind locks another user reads what is named; what is closed to others fails obscurely."""
    for path in policy.readable:
        needed = 0o005 if path.is_dir() else 0o004
        if path.exists() and path.stat().st_mode & needed != needed:
            raise SandboxError(
                f"{path} is closed to other users, and behind locks a user of its own must read "
                f"it. Open it: chmod -R o+rX {shlex.quote(str(path))}"
            )


def _rlimits(policy: Policy, group: Group | None, *, has_own_user: bool) -> dict[str, int]:
    limits = {"FSIZE": policy.file_bytes, "CORE": 0, "NOFILE": 4096}
    if policy.cpu_time_s is not None:
        limits["CPU"] = policy.cpu_time_s
    if group is None and not policy.gpu:  # CUDA maps far more addresses than it uses memory
        limits["AS"] = policy.memory_bytes
    if has_own_user:
        limits["NPROC"] = policy.processes
    return limits


def _describe(bubblewrap: Bubblewrap | None, group: Group | None) -> dict[str, str]:
    if bubblewrap is None:
        kind = "none (--unsafe-no-sandbox)"
    else:
        user = "own user id" if bubblewrap.as_root else "user namespace"
        kind = f"bubblewrap {bubblewrap.version}, {user}"
    return {
        "sandbox": kind,
        "limits": group.kind if group else "per process",
        "system_calls": "filtered" if bubblewrap and seccomp_program() else "unfiltered",
    }


@contextlib.contextmanager
def _own_folders(folders: tuple[Path, ...], user: int | None) -> Iterator[None]:
    """Give writable folders to the sandbox's user, and take them back with plain permissions."""
    try:
        if user is not None:
            for folder in folders:
                _give(folder, user)
        yield
    finally:
        if user is not None:
            for folder in folders:
                _give(folder, os.getuid())


def _give(folder: Path, user: int) -> None:
    """Change the owner of a tree that a stranger may have written: links are never followed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _give_below(descriptor, user, _DEEPEST)
        os.fchown(descriptor, user, user)
    finally:
        os.close(descriptor)


_DEEPEST = 150
"""Below that nothing is given: whoever watches a tree refuses one that is nested so deep."""


def _give_below(folder: int, user: int, levels: int) -> None:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        os.chown(name, user, user, dir_fd=folder, follow_symlinks=False)
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            continue
        plain = stat.S_IMODE(mode) & 0o755 | (0o755 if stat.S_ISDIR(mode) else 0o644)
        os.chmod(name, plain, dir_fd=folder)
        if stat.S_ISDIR(mode) and levels > 0:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            inner = os.open(name, flags, dir_fd=folder)
            try:
                _give_below(inner, user, levels - 1)
            finally:
                os.close(inner)
