"""Locks, each tried from inside: what a locked command cannot see, reach or use up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auricle.sandbox import bubblewrap as bubblewrap_module
from auricle.sandbox.bubblewrap import Bubblewrap, SandboxError, plan_command
from auricle.sandbox.limits import Group, make_group
from auricle.sandbox.policy import Policy, own_python_paths, python_paths
from auricle.sandbox.wrap import Lock, Locks, no_locks, wrap, wrap_without_sandbox

MEBI = 1 << 20
PYTHON = Path(sys.executable)

pytestmark = pytest.mark.usefixtures("bubblewrap")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """Open to others: behind locks another user reads it."""
    tmp_path.chmod(0o755)
    return tmp_path


def policy(**changes: object) -> Policy:
    given = {"readable": own_python_paths(), "memory_bytes": 512 * MEBI, "processes": 64}
    return Policy(**(given | changes))  # type: ignore[arg-type]


def inside(lock: Lock, code: str, **named: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(lock.python(PYTHON)), "-S", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **named,  # type: ignore[call-overload]
    )


def said(lock: Lock, code: str, **named: object) -> str:
    done = inside(lock, code, **named)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_only_what_is_named_can_be_read(tmp_path: Path) -> None:
    for name in ("labels", "given"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    code = f"""
import os
for path in ("/etc/shadow", "/root/.ssh", "/home", "{tmp_path}/labels/file"):
    print(os.path.exists(path))
print(open("{tmp_path}/given/file").read())
print(sorted(os.listdir("{tmp_path}")))
"""
    with wrap(policy(readable=(*own_python_paths(), tmp_path / "given"))) as lock:
        assert said(lock, code).split("\n") == [*["False"] * 4, "given", "['given']"]


def test_no_process_inside_can_end_one_by_signal_9_itself_included() -> None:
    """So whatever ends so was ended from outside, and no submission is blamed."""
    code = """
import ctypes, fcntl, os, resource, signal, subprocess, threading
libc = ctypes.CDLL(None, use_errno=True)
child = subprocess.Popen(["/proc/self/exe", "-S", "-c", "import time; time.sleep(60)"])
me, it = os.getpid(), child.pid
for number in (9, 19):
    for call in (
        lambda: libc.kill(me, number), lambda: libc.kill(0, number), lambda: libc.kill(-1, number),
        lambda: libc.kill(it, number), lambda: libc.tgkill(me, me, number),
        lambda: libc.syscall(200, me, number), lambda: libc.sigqueue(me, number, 0),
        lambda: signal.pthread_kill(threading.get_ident(), number),
        lambda: libc.syscall(424, libc.syscall(434, me, 0), number, 0, 0),
        lambda: fcntl.fcntl(os.pipe()[0], 10, number),
        lambda: libc.syscall(56, number, 0, 0, 0, 0),
        lambda: libc.syscall(222, 0, 0, 0), lambda: libc.syscall(244, 0, 0),
    ):
        try:
            call()
        except OSError:
            pass
for limit in (resource.RLIMIT_CPU, 15):
    try:
        resource.setrlimit(limit, (1, 1))
    except (OSError, ValueError):
        pass
sum(i for i in range(30_000_000))
assert child.poll() is None
child.terminate()
print("alive", child.wait())
"""
    with wrap(policy()) as lock:
        done = inside(lock, code)
    assert (done.returncode, done.stdout) == (0, "alive -15\n"), done.stderr


def test_a_process_that_was_ended_from_outside_is_told_from_one_without_memory() -> None:
    mark = f"sleeper-{os.getpid()}"
    code = f"import time; print('{mark}', flush=True); time.sleep(600)"
    with wrap(policy()) as lock:
        words = [str(lock.python(PYTHON)), "-S", "-c", code]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{mark}\n"
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    first, *rest = path.read_bytes().split(b"\0")
                except OSError:
                    continue
                if first == bytes(PYTHON) and any(mark.encode() in word for word in rest):
                    os.kill(int(path.parent.name), 9)
            assert process.wait(60) == 137
        assert not lock.was_out_of_memory()


def test_nothing_can_be_written_but_the_scratch(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    code = f"""
import os
for path in ("/x", "/dev/x", "/etc/x", "/usr/lib/x", "{tmp_path}/x", "{tmp_path}/file",
             "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"):
    try:
        open(path, "w"); print("wrote", path)
    except OSError as error:
        pass
open("/tmp/x", "w").write("y"); open("/dev/shm/x", "w").write("y")
print(os.getcwd())
"""
    with wrap(policy(readable=(*own_python_paths(), tmp_path))) as lock:
        assert said(lock, code) == "/tmp"
        assert (
            said(lock, "import os; print('x' in os.listdir('/tmp'))") == "False"
        )  # a new scratch each time
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_link_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/shadow")
    with wrap(policy(readable=(*own_python_paths(), tmp_path))) as lock:
        assert said(lock, f"import os; print(os.path.exists('{tmp_path}/link'))") == "False"


def test_there_is_no_network() -> None:
    code = """
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()   # its own loopback works
for kind, address in ((socket.SOCK_STREAM, ("1.1.1.1", 53)), (socket.SOCK_DGRAM, ("8.8.8.8", 53))):
    try:
        out = socket.socket(socket.AF_INET, kind); out.settimeout(3); out.connect(address)
        print("connected", address)
    except OSError:
        pass
try:
    print(socket.getaddrinfo("pypi.org", 443))
except OSError:
    print("no names")
"""
    with wrap(policy()) as lock:
        assert said(lock, code) == "no names"


def test_the_machines_own_services_cannot_be_reached() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server, wrap(policy()) as lock:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 3)"
        assert "refused" in inside(lock, code).stderr


def test_other_processes_are_not_there_to_be_seen_or_signalled() -> None:
    code = f"""
import os, signal
print([p for p in os.listdir("/proc") if p.isdigit() and int(p) > 10])
for pid in ({os.getpid()}, os.getppid()):
    try:
        os.kill(pid, 0 if pid == 1 else signal.SIGKILL); print("signalled", pid)
    except OSError:
        pass
"""
    with wrap(policy()) as lock:
        assert "signalled" not in said(lock, code).replace("signalled 1", "")


def test_environment_variables_are_clean_for_the_first_process_too() -> None:
    given = {**os.environ, "HF_TOKEN": "secret-token", "LD_PRELOAD": "/tmp/evil.so"}
    code = """
import os
print("HF_TOKEN" in os.environ, "LD_PRELOAD" in os.environ, os.environ["OMP_NUM_THREADS"])
try:
    print(b"secret" in open("/proc/1/environ", "rb").read())
except OSError:
    print(False)
"""
    given.pop("LD_PRELOAD")
    with wrap(policy(environment={"MODE": "offline", "OMP_NUM_THREADS": "9"})) as lock:
        assert said(lock, code, env=given | {"OMP_NUM_THREADS": "3"}) == "False False 3\nFalse"
        assert said(lock, "import os; print(os.environ['MODE'])") == "offline"


def test_there_are_no_capabilities_and_no_new_privileges() -> None:
    code = """
import os
lines = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "Seccomp"):
    print(int(lines[name], 16), end=" ")
try:
    os.setuid(0); print("root" if os.getuid() == 0 else "other")
except OSError:
    print("denied")
"""
    with wrap(policy()) as lock:
        assert said(lock, code) == "0 0 0 0 1 2 denied"


def test_namespaces_cannot_be_made_inside() -> None:
    code = """
import ctypes
c = ctypes.CDLL(None, use_errno=True)
print(c.unshare(0x10000000), c.unshare(0x20000), c.mount(b"x", b"/tmp", b"tmpfs", 0, 0))
print(c.ptrace(0, 0, 0, 0), c.syscall(425, 8, 0))
"""
    with wrap(policy()) as lock:
        assert said(lock, code) == "-1 -1 -1\n-1 -1"


def test_a_fork_bomb_meets_a_limit() -> None:
    code = """
import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            time.sleep(30); os._exit(0)
        count += 1
except OSError:
    pass
print(count)
"""
    with wrap(policy()) as lock:
        started = time.monotonic()
        assert 10 < int(said(lock, code)) < 64
        assert time.monotonic() - started < 10  # and what it left is ended with it


def test_a_memory_bomb_ends_itself_alone() -> None:
    with wrap(policy()) as lock:
        done = inside(lock, "x = []\nwhile True: x.append(bytearray(16 << 20))")
        assert done.returncode != 0
        if lock.group is not None:
            assert lock.was_out_of_memory()
            assert lock.peak_memory_bytes() == pytest.approx(512 * MEBI, rel=0.05)
        assert said(lock, "print('next')") == "next"


def test_a_disk_bomb_meets_the_scratchs_size() -> None:
    code = """
written = 0
try:
    with open("/tmp/big", "wb") as out:
        while True:
            written += out.write(bytes(1 << 20))
except OSError as error:
    print(written >> 20, error.errno)
"""
    with wrap(policy(scratch_bytes=32 * MEBI)) as lock:
        megabytes, number = said(lock, code).split()
        assert int(megabytes) <= 33
        assert number == "28"  # ENOSPC


def test_a_file_has_a_largest_size(tmp_path: Path) -> None:
    with wrap(policy(file_bytes=4 * MEBI)) as lock, (tmp_path / "log").open("wb") as log:
        subprocess.run(
            [str(lock.python(PYTHON)), "-S", "-c", "while True: print('x' * 10000)"],
            stdout=log,
            stderr=log,
            timeout=60,
            check=False,
        )
    assert (tmp_path / "log").stat().st_size <= 4 * MEBI


def test_an_endless_computation_meets_its_time() -> None:
    with wrap(policy(cpu_time_s=1)) as lock:
        started = time.monotonic()
        assert inside(lock, "while True: pass").returncode != 0
        assert time.monotonic() - started < 20


def test_everything_dies_with_its_starter() -> None:
    code = (
        "import os, time\nif os.fork() == 0: os.setsid()\nprint('up', flush=True)\ntime.sleep(600)"
    )
    with wrap(policy()) as lock:
        child = subprocess.Popen(
            [str(lock.python(PYTHON)), "-S", "-c", code], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
        child.wait()
        deadline = time.monotonic() + 5
        while child.stdout.read(1) and time.monotonic() < deadline:
            pass  # the pipe closes when the last of them is gone
        child.stdout.close()
        assert time.monotonic() < deadline


def test_inherited_descriptors_reach_the_command() -> None:
    reader, writer = os.pipe()
    with wrap(policy()) as lock:
        code = f"import os; os.write({writer}, b'through')"
        assert inside(lock, code, pass_fds=(writer,)).returncode == 0
    os.close(writer)
    assert os.read(reader, 100) == b"through"
    os.close(reader)


def test_a_writable_folder_is_handed_back_plain(tmp_path: Path) -> None:
    target = tmp_path / "environment"
    target.mkdir()
    code = f"""
import os
os.mkdir("{target}/a"); open("{target}/a/tool", "w").write("x")
os.chmod("{target}/a/tool", 0o6777); os.symlink("/etc/shadow", "{target}/link")
os.chmod("{target}/a", 0)
"""
    before = Path("/etc/shadow").stat()
    with wrap(policy(writable=(target,))) as lock:
        said(lock, code)
    tool = target / "a" / "tool"
    assert tool.stat().st_mode & 0o7777 == 0o755
    assert (tool.stat().st_uid, (target / "link").lstat().st_uid) == (os.getuid(), os.getuid())
    assert Path("/etc/shadow").stat() == before


def test_a_user_namespace_locks_as_well(tmp_path: Path, bubblewrap: Bubblewrap) -> None:
    """The way of whoever is not root, tried as whoever we are."""
    other = Bubblewrap(bubblewrap.path, bubblewrap.version, as_root=False)
    plan = plan_command(policy(), other)
    code = "import os; print(os.path.exists('/etc/shadow'), os.listdir('/tmp'), open('/x', 'w'))"
    command = [*plan.before, *plan.last, "--", *plan.inner, str(PYTHON), "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={}, timeout=60)
    if "setting up uid map" in done.stderr or "No permissions" in done.stderr:
        pytest.skip("user namespaces are not allowed here")
    assert "Read-only file system: '/x'" in done.stderr


def test_groups_are_removed_when_the_locks_go() -> None:
    with wrap(policy()) as lock:
        if lock.group is None:
            pytest.skip("there are no control groups here that can be written")
        folders = list(lock.group.folders.values())
        assert all(folder.is_dir() for folder in folders)
        child = subprocess.Popen([str(lock.python(PYTHON)), "-S", "-c", "input()"], stdin=-1)
    assert not any(folder.exists() for folder in folders)
    assert child.wait(10) != 0
    assert child.stdin is not None
    child.stdin.close()


def test_a_gpus_locks_close_where_there_is_none() -> None:
    given = policy(gpu=True, gpu_memory_fraction=0.25, tools=True)
    code = "import os; print(os.environ['PYTORCH_CUDA_ALLOC_CONF'], os.path.exists('/etc/shadow'))"
    with wrap(given) as lock:
        assert said(lock, code) == "per_process_memory_fraction:0.2500 False"


def test_without_a_sandbox_the_environment_is_still_clean() -> None:
    with wrap_without_sandbox(policy()) as lock:
        assert lock.description["sandbox"] == "none (--unsafe-no-sandbox)"
        code = "import os; print('HF_TOKEN' in os.environ)"
        assert said(lock, code, env={**os.environ, "HF_TOKEN": "x"}) == "False"


@pytest.mark.parametrize("locks", [wrap, wrap_without_sandbox, no_locks])
def test_an_interpreter_starts_in_the_policys_folder(locks: Locks, tmp_path: Path) -> None:
    given = policy(readable=(*own_python_paths(), tmp_path), folder=tmp_path)
    with locks(given) as lock:
        assert said(lock, "import os; print(os.getcwd())") == str(tmp_path)


def test_a_missing_bubblewrap_names_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bubblewrap_module.find_bubblewrap.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(SandboxError, match=r"apt-get install bubblewrap.*--unsafe-no-sandbox"):
        bubblewrap_module.find_bubblewrap()
    monkeypatch.undo()
    bubblewrap_module.find_bubblewrap.cache_clear()


def test_an_interpreters_paths_cover_its_links(tmp_path: Path) -> None:
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "env" / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    found = python_paths(tmp_path / "env" / "bin" / "python")
    assert tmp_path / "env" in found
    assert any(Path(sys.base_prefix).resolve() in (path, *path.parents) for path in found)


def test_a_group_counts_what_its_limits_are() -> None:
    group = make_group(policy(cpus=0.5))
    if group is None:
        pytest.skip("there are no control groups here that can be written")
    try:
        names = {"memory.max", "memory.limit_in_bytes"}
        limits = [p for p in group.folders["memory"].iterdir() if p.name in names]
        assert [int(path.read_text()) for path in limits] == [512 * MEBI]
        assert (group.folders["pids"] / "pids.max").read_text().strip() == "64"
        quota = [group.folders["cpu"] / name for name in ("cpu.max", "cpu.cfs_quota_us")]
        assert [p.read_text().split()[0] for p in quota if p.exists()] == ["50000"]
    finally:
        group.close()
    assert not group.folders["memory"].exists()


WITHOUT_GROUPS = """
import subprocess, sys
from pathlib import Path
from auricle.sandbox.policy import Policy, own_python_paths
from auricle.sandbox.wrap import wrap

with wrap(Policy(readable=own_python_paths(), memory_bytes=256 << 20, processes=40)) as lock:
    print(lock.description["limits"])
    for code in sys.argv[1:]:
        command = [str(lock.python(Path(sys.executable))), "-S", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        print(done.stdout.strip() or done.stderr.strip().splitlines()[-1])
"""


def test_without_control_groups_each_process_has_its_limits(bubblewrap: Bubblewrap) -> None:
    """Tried where the groups are mounted read-only, as in many containers."""
    if not bubblewrap.as_root:
        pytest.skip("only root can mount the groups read-only for this test")
    forks = """
import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            time.sleep(20); os._exit(0)
        count += 1
except OSError:
    print(0 < count < 40)
"""
    memory = "x = []\nwhile True: x.append(bytearray(16 << 20))"
    outer = [bubblewrap.path, "--dev-bind", "/", "/", "--cap-add", "ALL"]
    for place in ("/sys/fs/cgroup", *(str(p) for p in Path("/sys/fs/cgroup").iterdir())):
        if Path(place).is_mount():
            outer += ["--ro-bind", place, place]
    command = [*outer, "--", sys.executable, "-c", WITHOUT_GROUPS, forks, memory]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines() == ["per process", "True", "MemoryError"], done.stderr


def test_what_another_user_cannot_read_is_named(tmp_path: Path, bubblewrap: Bubblewrap) -> None:
    if not bubblewrap.as_root:
        pytest.skip("only root takes another user id")
    tmp_path.chmod(0o700)
    with pytest.raises(SandboxError, match=r"chmod -R o\+rX"), wrap(policy(readable=(tmp_path,))):
        pass


V1 = {"memory.limit_in_bytes": "536870912\n", "memory.max_usage_in_bytes": "536870912\n"}
V1_FREE = V1 | {"memory.max_usage_in_bytes": "402653184\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # As the kernel wrote them in version 2: its own limit met, and the whole machine full.
        ({"memory.events": "low 0\nhigh 0\nmax 4\noom 1\noom_kill 1\noom_group_kill 0\n"}, True),
        ({"memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 1\noom_group_kill 0\n"}, False),
        ({"memory.events": "low 0\nhigh 0\nmax 9\noom 0\noom_kill 0\noom_group_kill 0\n"}, False),
        # Version 1.
        (V1 | {"memory.oom_control": "under_oom 0\noom_kill 1\n"}, True),
        (V1 | {"memory.oom_control": "under_oom 0\noom_kill 0\n"}, False),
        (V1_FREE | {"memory.oom_control": "under_oom 0\noom_kill 1\n"}, False),
        ({}, False),
    ],
)
def test_a_full_machine_is_told_from_a_limit_that_was_met(
    tmp_path: Path, files: dict[str, str], expected: bool
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert Group("cgroup", {"memory": tmp_path}).was_out_of_memory() is expected
