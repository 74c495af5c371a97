"""Control groups for a locked command: memory, processes and processor time of all of it together.

Version 2 is tried first, then version 1; where neither can be written, `make_group` gives None and
limits per process (`setrlimit`, in `launch.py`) must do. The wall clock is the caller's.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auricle.sandbox.policy import Policy

_PREFIX = "auricle-"
_PERIOD_US = 100_000
_MOUNTS = Path("/proc/self/mountinfo")
_OWN = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Group:
    """Control groups that hold one locked command at a time or several.

    ``kind`` is ``cgroup v2`` or ``cgroup v1``; ``folders`` maps controllers to their groups, which
    are one and the same in version 2.
    """

    kind: str
    folders: dict[str, Path]

    def joins(self) -> list[str]:
        """Files into which a process writes ``0`` to come under the limits."""
        return [f"{folder}/cgroup.procs" for folder in dict.fromkeys(self.folders.values())]

    def peak_memory_bytes(self) -> int | None:
        """The most memory that was ever used, where the system counts it."""
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            with contextlib.suppress(KeyError, OSError, ValueError):
                return int((self.folders["memory"] / name).read_text())
        return None

    def was_out_of_memory(self) -> bool:
        """Whether a process was ended because these groups' own memory was used up.

        A process of theirs that the system ended because the whole machine had no memory left is
        counted among the killed too, but then they never met their limit.
        """
        if self._count("memory.events", "oom_kill"):
            return self._count("memory.events", "oom") > 0
        limit = self._count("memory.limit_in_bytes", "")  # version 1 counts no meetings of it
        met = self._count("memory.max_usage_in_bytes", "") >= limit > 0
        return met and self._count("memory.oom_control", "oom_kill") > 0

    def _count(self, file: str, name: str) -> int:
        with contextlib.suppress(KeyError, OSError):
            text = (self.folders["memory"] / file).read_text()
            count = re.search(rf"^{name} ?(\d+)$", text, re.MULTILINE)
            return int(count[1]) if count else 0
        return 0

    def close(self) -> None:
        """End whatever still runs in the groups and remove them."""
        for folder in dict.fromkeys(self.folders.values()):
            for _ in range(200):
                if not folder.is_dir():
                    break
                _kill_all(folder)
                with contextlib.suppress(OSError):
                    folder.rmdir()
                time.sleep(0.01)


def make_group(policy: Policy) -> Group | None:
    """Make control groups with a policy's limits; None where the system does not let us."""
    mounts = dict(_mounts())
    if "v2" in mounts:
        for base in _bases(mounts["v2"], _own_groups().get("", "/")):
            group = _make_v2(base, policy)
            if group is not None:
                return group
    return _make_v1(mounts, policy)


def _mounts() -> Iterator[tuple[str, Path]]:
    """Controllers, or ``v2``, with the folder where they are mounted."""
    with contextlib.suppress(OSError):
        for line in _MOUNTS.read_text().splitlines():
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ", 2)
            place = Path(before.split(" ")[4].replace("\\040", " "))
            if kind == "cgroup2":
                yield "v2", place
            elif kind == "cgroup":
                for option in options.split(" ")[-1].split(","):
                    if option in ("memory", "pids", "cpu"):
                        yield option, place


def _own_groups() -> dict[str, str]:
    """Our own group per controller; under ``""`` that of version 2."""
    groups: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in _OWN.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            groups |= dict.fromkeys(controllers.split(","), path)
    return groups


def _bases(mount: Path, own: str) -> list[Path]:
    """Where a group could be made: in our own, beside it, at the top."""
    here = mount / own.strip("/")
    found = [here, here.parent, mount] if own != "/" else [mount]
    return [
        path for path in dict.fromkeys(found) if path.is_dir() and mount in (path, *path.parents)
    ]


def _new_folder(base: Path) -> Path | None:
    _clean_stale(base)
    folder = base / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
    except OSError:
        return None
    return folder


def _make_v2(base: Path, policy: Policy) -> Group | None:
    with contextlib.suppress(OSError):
        (base / "cgroup.subtree_control").write_text("+memory +pids +cpu")
    folder = _new_folder(base)
    if folder is None:
        return None
    try:
        (folder / "memory.max").write_text(str(policy.memory_bytes))
        (folder / "pids.max").write_text(str(policy.processes))
    except OSError:
        folder.rmdir()
        return None
    with contextlib.suppress(OSError):
        (folder / "memory.swap.max").write_text("0")
    with contextlib.suppress(OSError):
        (folder / "memory.oom.group").write_text("1")
    if policy.cpus is not None:
        with contextlib.suppress(OSError):
            quota = int(policy.cpus * _PERIOD_US)
            (folder / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
    return Group("cgroup v2", dict.fromkeys(("memory", "pids", "cpu"), folder))


def _make_v1(mounts: dict[str, Path], policy: Policy) -> Group | None:
    settings = {
        "memory": {"memory.limit_in_bytes": policy.memory_bytes},
        "pids": {"pids.max": policy.processes},
    }
    if policy.cpus is not None:
        settings["cpu"] = {
            "cpu.cfs_period_us": _PERIOD_US,
            "cpu.cfs_quota_us": int(policy.cpus * _PERIOD_US),
        }
    own = _own_groups()
    folders: dict[str, Path] = {}
    group = Group("cgroup v1", folders)
    for controller, values in settings.items():
        mount = mounts.get(controller)
        for base in _bases(mount, own.get(controller, "/")) if mount else []:
            folder = _new_folder(base)
            if folder is None:
                continue
            folders[controller] = folder
            try:
                for name, value in values.items():
                    (folder / name).write_text(str(value))
            except OSError:
                group.close()
                return None
            break
    if not {"memory", "pids"} <= folders.keys():
        group.close()
        return None
    with contextlib.suppress(OSError):  # only where swap is counted
        limit = folders["memory"] / "memory.memsw.limit_in_bytes"
        limit.write_text(str(policy.memory_bytes))
    return group


def _kill_all(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / "cgroup.kill").write_text("1")
    with contextlib.suppress(OSError, ValueError):
        for line in (folder / "cgroup.procs").read_text().splitlines():
            if int(line) > 1:
                with contextlib.suppress(OSError):
                    os.kill(int(line), signal.SIGKILL)


def _clean_stale(base: Path) -> None:
    """Remove groups whose maker was killed; a group with processes cannot be removed."""
    for folder in base.glob(f"{_PREFIX}*"):
        maker = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if maker.isdigit() and not Path(f"/proc/{maker}").exists():
            _kill_all(folder)
            with contextlib.suppress(OSError):
                folder.rmdir()
