"""The command line of bubblewrap for a policy, and whether bubblewrap works here at all.

Two ways. As root, bubblewrap makes the namespaces, and inside a user id that nobody else has is
taken for good (``setpriv``): host permissions then protect us too, and a limit on processes binds.
As anyone else, the sandbox gets a user namespace of its own. Both have their own process, network,
mount, IPC and host name space, no capabilities, no-new-privileges and a session of their own.
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from auricle.errors import UserError
from auricle.sandbox.policy import SCRATCH, Policy

_OLDEST = (0, 6)
_SYSTEM = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64")
_NETWORK_FILES = (
    *("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/ca-certificates"),
    *("/etc/pki", "/usr/share/ca-certificates"),
)
_GPU_DEVICES = ("nvidia*", "dri", "kfd")


class SandboxError(UserError):
    """There are no locks here for strangers' code."""


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """A bubblewrap that was found to work."""

    path: str
    version: str
    as_root: bool
    """Whether a user id of its own is taken; else a user namespace."""


@functools.cache
def find_bubblewrap() -> Bubblewrap:
    """Find bubblewrap and try it.

    Raises:
        SandboxError: It is not installed, too old, or cannot make namespaces here.
    """
    path = shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")
    if path is None:
        raise SandboxError(
            "bubblewrap (bwrap) is not installed, so a stranger's code cannot be locked in. "
            "Install it (apt-get install bubblewrap), or type --unsafe-no-sandbox if you trust "
            "the code."
        )
    said = subprocess.run(  # noqa: S603
        [path, "--version"], capture_output=True, text=True, check=False, timeout=30
    ).stdout
    match = re.search(r"(\d+)\.(\d+)(\.\d+)?", said)
    if match is None or (int(match[1]), int(match[2])) < _OLDEST:
        raise SandboxError(
            f"bubblewrap here is '{said.strip()}'; {_OLDEST[0]}.{_OLDEST[1]} or newer is needed. "
            "Install a newer one, or type --unsafe-no-sandbox if you trust the code."
        )
    reasons = []
    for as_root in [True, False] if os.geteuid() == 0 else [False]:
        found = Bubblewrap(path, match[0], as_root)
        plan = plan_command(Policy(tools=True), found)
        trial = subprocess.run(  # noqa: S603
            [*plan.before, *plan.last, "--", *plan.inner, "/usr/bin/true"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env={},
        )
        if trial.returncode == 0:
            return found
        reasons.append(trial.stderr.strip()[:300])
    raise SandboxError(
        f"bubblewrap {match[0]} is installed but cannot start here ({'; '.join(reasons)}). Allow "
        "unprivileged user namespaces or run as root on a machine that may make namespaces; or "
        "type --unsafe-no-sandbox if you trust the code."
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts of the command; data files stand between ``before`` and ``last``."""

    before: list[str]
    last: list[str]
    inner: list[str]
    data: dict[str, str]
    environment: dict[str, str]
    user: int | None
    """The user id that is taken inside, where one is."""


def plan_command(policy: Policy, bubblewrap: Bubblewrap) -> Plan:
    """Build the command line for a policy."""
    user = _free_user() if bubblewrap.as_root else None
    before = [bubblewrap.path, *_namespaces(policy, bubblewrap)]
    seen: dict[str, None] = {}
    size = str(policy.scratch_bytes)
    # The scratch comes first: what is bound may lie in the machine's own /tmp.
    mounts = ["--perms", "1777", "--size", size, "--tmpfs", SCRATCH]
    mounts += _system_mounts(policy, seen)
    writable = {path.absolute() for path in policy.writable}
    readable = {path.absolute() for path in policy.readable} - writable
    for path in sorted(readable, key=lambda path: (len(path.parts), path)):
        mounts += _bind("--ro-bind", path, seen)
    for path in sorted(writable):
        mounts += _bind("--bind", path, seen)
    mounts += ["--proc", "/proc", "--dev", "/dev"]
    if policy.gpu:
        for pattern in _GPU_DEVICES:
            for device in sorted(Path("/dev").glob(pattern)):
                mounts += ["--dev-bind", str(device), str(device)]
    mounts += ["--perms", "1777", "--size", size, "--tmpfs", "/dev/shm"]  # noqa: S108
    data = {} if "/etc" in seen else {"/etc/passwd": _passwd(user), "/etc/group": _group(user)}
    # Folders that bubblewrap makes on the way to a bind are closed to others; our user is another.
    last = [word for name in sorted(_parents(seen, data)) for word in ("--chmod", "0755", name)]
    last += ["--remount-ro", "/dev", "--remount-ro", "/"]
    last += ["--chdir", str(policy.folder.absolute() if policy.folder else SCRATCH)]
    return Plan(
        before=[*before, *mounts],
        last=last,
        inner=_inner(policy, user),
        data=data,
        environment=_environment(policy),
        user=user,
    )


def _namespaces(policy: Policy, bubblewrap: Bubblewrap) -> list[str]:
    words = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if not policy.network:
        words.append("--unshare-net")
    words += ["--hostname", "encoder", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if bubblewrap.as_root:
        for name in ("SETUID", "SETGID", "SETPCAP"):
            words += ["--cap-add", f"CAP_{name}"]  # until setpriv has dropped them for good
    else:
        words += ["--unshare-user"]
    return words


def _inner(policy: Policy, user: int | None) -> list[str]:
    if user is None:
        return ["/usr/bin/prlimit", f"--nproc={policy.processes}", "--"]
    return [
        *("/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"),
        *("--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"),
    ]


def _system_mounts(policy: Policy, seen: dict[str, None]) -> list[str]:
    mounts: list[str] = []
    if policy.tools:
        mounts += _bind("--ro-bind", Path("/usr"), seen)
        names: tuple[str, ...] = ("/lib", "/lib32", "/lib64", "/bin", "/sbin")
    else:
        names = _SYSTEM
        for program in ("setpriv", "prlimit"):
            mounts += _bind("--ro-bind", Path("/usr/bin", program), seen)
    for name in names:
        path = Path(name)
        if path.is_symlink():
            mounts += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            mounts += _bind("--ro-bind", path, seen)
    for name in ("/etc/ld.so.cache", "/etc/alternatives"):
        mounts += _bind("--ro-bind", Path(name), seen)
    for name in _NETWORK_FILES if policy.network else ():
        mounts += _bind("--ro-bind", Path(name), seen)
    return mounts


def _bind(how: str, path: Path, seen: dict[str, None]) -> list[str]:
    """Bind a path at its own place; a chain of links is resolved, what is not there left out."""
    name = str(path)
    there = how == "--ro-bind" and any(str(parent) in seen for parent in path.parents)
    if name in seen or there or not path.exists():
        return []
    seen[name] = None
    return [how, str(path.resolve()) if how == "--ro-bind" else name, name]


def _parents(seen: dict[str, None], data: dict[str, str]) -> set[str]:
    bound = {Path(name) for name in seen}
    parents = {parent for name in [*seen, *data] for parent in Path(name).parents}
    inside = {path for path in parents if any(path == b or b in path.parents for b in bound)}
    return {str(path) for path in parents - inside - {Path("/"), Path(SCRATCH)}}


def _environment(policy: Policy) -> dict[str, str]:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": SCRATCH,
        # Whoever hashes the files that an encoder opened leaves out what lies below /dev.
        "TMPDIR": "/dev/shm",  # noqa: S108
        "LANG": "C.UTF-8",
        "USER": "encoder",
        "LOGNAME": "encoder",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if policy.gpu and policy.gpu_memory_fraction is not None:
        cap = f"per_process_memory_fraction:{policy.gpu_memory_fraction:.4f}"
        environment["PYTORCH_CUDA_ALLOC_CONF"] = cap
    return environment | dict(policy.environment)


def _passwd(user: int | None) -> str:
    number = os.getuid() if user is None else user
    return f"encoder:x:{number}:{number}:encoder:{SCRATCH}:/usr/sbin/nologin\n"


def _group(user: int | None) -> str:
    return f"encoder:x:{os.getgid() if user is None else user}:\n"


def _free_user() -> int:
    """A user id that no account and no other sandbox has."""
    size = 1 << 16
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, _, count = (int(word) for word in line.split())
        size = max(size, inside + count)
    if size > 1 << 31:
        return 1_900_000_000 + secrets.randbelow(100_000_000)
    return size - 6_000 + secrets.randbelow(5_000)
