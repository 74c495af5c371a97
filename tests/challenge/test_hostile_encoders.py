"""Hostile encoders, each run for real behind the locks of a judged run.

An attack that fails quietly leaves a good encoder: it is *contained*, and its log must hold no
secret. Every other one ends with a typed verdict. Nothing outside of the scratch may change.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from auricle.challenge.commands import VERDICT_OF_ERROR, encoder_policy
from auricle.challenge.environment import Environment
from auricle.challenge.verdicts import Verdict
from auricle.encoder.host import EncoderProcess
from auricle.encoder.load import parse_encoder
from auricle.encoder.protocol import judged_variables
from auricle.errors import EncoderError
from auricle.sandbox.wrap import wrap

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("bubblewrap")]

ENCODER = """
import os, sys, time, socket, signal, struct, json
import torch

def attack():
{attack}

def attempt(action):
    try:
        print("GOT", action())
    except BaseException as error:
        print("failed", type(error).__name__, error)

{start}

class TheEncoder(torch.nn.Module):
    output_dim = 4

    def forward(self, audio, mask):
        {call}
        return torch.ones(len(audio), 3, 4), None
"""
CONTAINED = None
MEBI = 1 << 20


@dataclass(frozen=True)
class Attack:
    code: str
    verdict: Verdict | None = CONTAINED
    at_import: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    memory_bytes: int = 2 << 30
    file_bytes: int = 4 << 30
    timeout_s: float = 60.0


def reads(path: str) -> Attack:
    return Attack(f"attempt(lambda: open({path!r}).read())")


ATTACKS: dict[str, Attack] = {
    "reads labels": reads("MACHINE/shards/labels.json"),
    "reads a token": reads("MACHINE/home/.cache/huggingface/token"),
    "reads another submission": reads("MACHINE/other/submission/encoder.py"),
    "reads hidden scores": reads("MACHINE/runs/judged/scores.json"),
    "reads the shadow file": reads("/etc/shadow"),
    "reads through the root of its parent": reads("/proc/1/root/etc/shadow"),
    "reads its parent's environment": Attack(
        "attempt(lambda: open('/proc/1/environ').read())\nattempt(lambda: dict(os.environ))"
    ),
    "reads its parent's memory": Attack("attempt(lambda: open('/proc/1/mem', 'rb').read(1))"),
    "reads a disk": Attack(
        "attempt(lambda: [open('/dev/' + n, 'rb').read(9) for n in ('sda', 'vda', 'mem')])"
    ),
    "follows a link out": Attack(
        "attempt(lambda: os.symlink('MACHINE/shards/labels.json', '/tmp/link'))\n"
        "attempt(lambda: open('/tmp/link').read())"
    ),
    "lists the machine": Attack(
        "attempt(lambda: os.listdir('MACHINE'))\nattempt(lambda: os.listdir('/home'))"
    ),
    "connects by TCP": Attack(
        "attempt(lambda: socket.create_connection(('127.0.0.1', PORT), 2).recv(99))\n"
        "attempt(lambda: socket.create_connection(('1.1.1.1', 443), 2).recv(99))"
    ),
    "sends by UDP": Attack(
        "attempt(lambda: socket.socket(2, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53)))"
    ),
    "asks for a name": Attack("attempt(lambda: socket.getaddrinfo('pypi.org', 443))"),
    "connects to the host's abstract sockets": Attack(
        "attempt(lambda: socket.socket(socket.AF_UNIX).connect('\\0NAME'))"
    ),
    "plants scores": Attack(
        "attempt(lambda: open('MACHINE/runs/judged/scores.json', 'w').write('{\"mean\": 1}'))"
    ),
    "plants features": Attack(
        "attempt(lambda: open('MACHINE/features/store.bin', 'wb').write(b'x'))"
    ),
    "plants a checkpoint": Attack(
        "attempt(lambda: os.makedirs('MACHINE/runs/judged/checkpoints'))\n"
        "attempt(lambda: open('MACHINE/runs/judged/final.safetensors', 'wb').write(b'x'))"
    ),
    "patches the metrics": Attack(
        "attempt(lambda: open('MACHINE/metrics.py', 'a').write('evil'))\n"
        "attempt(lambda: __import__('auricle.metrics.text').metrics)\n"
        "import builtins; builtins.round = lambda *a: 1.0; sys.modules['auricle'] = None",
    ),
    "changes its own files": Attack(
        "attempt(lambda: open(__file__, 'a').write('# evil'))\nattempt(lambda: os.unlink(__file__))"
    ),
    "changes the environment": Attack(
        "attempt(lambda: open(torch.__file__, 'a').write('# evil'))\n"
        "attempt(lambda: open(os.path.join(os.path.dirname(torch.__file__), 'x.pth'), 'w'))"
    ),
    "signals its parent": Attack(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "attempt(lambda: os.kill(PARENT, signal.SIGKILL))\n"
        "attempt(lambda: os.kill(os.getppid(), signal.SIGTERM))\n"
        "attempt(lambda: os.killpg(PARENT, signal.SIGKILL))"
    ),
    "traces the first process": Attack(
        "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\n"
        "print('ptrace', c.ptrace(16, 1, 0, 0))"
    ),
    "makes namespaces": Attack(
        "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\n"
        "assert c.unshare(0x10000000) == -1 and c.setns(0, 0) == -1\n"
        "assert c.mount(b'x', b'/tmp', b'tmpfs', 0, 0) == -1"
    ),
    "becomes root": Attack("attempt(lambda: os.setuid(0))\nattempt(lambda: os.chroot('/tmp'))"),
    "leaves a daemon": Attack(
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        time.sleep(600)\n    os._exit(0)"
    ),
    "preloads a library": Attack(
        "os.environ['LD_PRELOAD'] = '/tmp/evil.so'\n"
        "os.execv(sys.executable, [sys.executable, '-c', 'print(open(\"/etc/shadow\").read())'])",
        Verdict.ENCODER_FAILED,
    ),
    "brings sitecustomize": Attack(
        "pass",
        files={
            "sitecustomize.py": b"open('MACHINE/metrics.py', 'w')",
            "usercustomize.py": b"open('MACHINE/metrics.py', 'w')",
            "evil.pth": b"import os; os._exit(0)",
        },
    ),
    "stands in for the library": Attack(
        "import json as other; attempt(lambda: other.EVIL)",
        files={"torch.py": b"EVIL = 1", "numpy.py": b"EVIL = 1", "child_output.py": b"EVIL = 1"},
    ),
    "unpickles its weights": Attack(
        "import pickle\n"
        "attempt(lambda: pickle.load(open(os.path.dirname(__file__) + '/w.pkl', 'rb')))",
        files={"w.pkl": b"cposix\nsystem\n(S'cat /etc/shadow > MACHINE/metrics.py'\ntR."},
    ),
    "forks without end": Attack(
        "children = []\n"
        "try:\n"
        "    while True:\n"
        "        pid = os.fork()\n"
        "        if pid == 0:\n            time.sleep(600); os._exit(0)\n"
        "        children.append(pid)\n"
        "except OSError:\n    print('stopped at', len(children))\n"
        "assert len(children) < 512"
    ),
    "fills the memory": Attack(
        "hoard = []\nwhile True: hoard.append(torch.ones(16 << 20))",
        Verdict.MEMORY_LIMIT,
    ),
    "fills the memory with files": Attack(
        "out = os.memfd_create('x')\nwhile True: os.write(out, bytes(1 << 24))",
        Verdict.MEMORY_LIMIT,
    ),
    "fills the scratch": Attack(
        "out = open('/tmp/x', 'wb')\nwhile True: out.write(bytes(1 << 24))",
        Verdict.ENCODER_FAILED,
        memory_bytes=6 << 30,
    ),
    "computes without end": Attack("while True: pass", Verdict.TIME_LIMIT, timeout_s=5),
    "sleeps": Attack("time.sleep(600)", Verdict.TIME_LIMIT, timeout_s=5),
    "sleeps at its import": Attack(
        "time.sleep(600)", Verdict.TIME_LIMIT, at_import=True, timeout_s=20
    ),
    "leaves": Attack("os._exit(0)", Verdict.ENCODER_FAILED),
    "kills its first process": Attack(
        "os.kill(1, signal.SIGKILL); os.kill(-1, signal.SIGKILL); os._exit(9)",
        Verdict.ENCODER_FAILED,
    ),
    "floods the log": Attack(
        "print('\\x1b]0;pwned\\x07')\nwhile True: print('x' * 1_000_000)",
        Verdict.ENCODER_FAILED,
        file_bytes=32 * MEBI,
    ),
    "writes to every descriptor": Attack(
        "for number in range(3, 64):\n"
        "    try: os.write(number, b'\\xff' * 64)\n"
        "    except OSError: pass",
        Verdict.CONTRACT_BROKEN,
    ),
    "closes every descriptor": Attack("os.closerange(3, 64)", Verdict.ENCODER_FAILED),
    "says that it sends four gigabytes": Attack(
        "for number in range(3, 64):\n"
        "    try: socket.socket(fileno=number).sendall(b'\\xff\\xff\\xff\\xff')\n"
        "    except OSError: pass\n"
        "time.sleep(60)",
        Verdict.CONTRACT_BROKEN,
    ),
    "drips an answer": Attack(
        "line = next(s for s in sockets() if s)\n"
        "line.sendall(struct.pack('>I', 4000))\n"
        "while True: line.sendall(b' '); time.sleep(0.2)",
        Verdict.TIME_LIMIT,
        timeout_s=5,
    ),
    "answers nonsense": Attack(
        "line = next(s for s in sockets() if s)\n"
        "line.sendall(struct.pack('>I', 9) + b'not json!'); time.sleep(60)",
        Verdict.CONTRACT_BROKEN,
    ),
    "answers with a pickle": Attack(
        "line = next(s for s in sockets() if s)\n"
        "data = b\"cposix\\nsystem\\n(S'echo evil > MACHINE/metrics.py'\\ntR.\"\n"
        "line.sendall(struct.pack('>I', len(data)) + data); time.sleep(60)",
        Verdict.CONTRACT_BROKEN,
    ),
    "answers with numbers of another size": Attack(
        "answer = {'ok': True, 'features': {'shape': [1, 10**9, 4], 'dtype': 'float32', "
        "'bytes': 16 * 10**9}, 'mask': None}\n"
        "line = next(s for s in sockets() if s)\n"
        "data = json.dumps(answer).encode()\n"
        "line.sendall(struct.pack('>I', len(data)) + data); time.sleep(60)",
        Verdict.CONTRACT_BROKEN,
    ),
    "promises more than it wrote": Attack(
        "answer = {'ok': True, 'features': {'shape': [1, 1000, 4], 'dtype': 'float32', "
        "'bytes': 16000}, 'mask': None}\n"
        "line = next(s for s in sockets() if s)\n"
        "data = json.dumps(answer).encode()\n"
        "line.sendall(struct.pack('>I', len(data)) + data); time.sleep(60)",
        Verdict.CONTRACT_BROKEN,
    ),
}
SOCKETS = """
def sockets():
    for number in range(3, 64):
        try:
            yield socket.socket(fileno=os.dup(number))
        except OSError:
            yield None
"""


def indented(code: str, width: int) -> str:
    return "\n".join(" " * width + line for line in code.splitlines())


def write_submission(attack: Attack, folder: Path, names: dict[str, str]) -> Path:
    source = ENCODER.format(
        attack=indented(attack.code, 4),
        start=SOCKETS + ("attack()" if attack.at_import else ""),
        call="pass" if attack.at_import else "attack()",
    )
    folder.mkdir(parents=True)
    files = attack.files | {"encoder.py": source.encode()}
    for name, data in files.items():
        text = data
        for old, new in names.items():
            text = text.replace(old.encode(), new.encode())
        (folder / name).write_bytes(text)
    return folder / "encoder.py"


def attempt(attack: Attack, tmp_path: Path, names: dict[str, str]) -> tuple[Verdict | None, str]:
    work = tmp_path / "work"
    path = write_submission(attack, work / "submission", names)
    (work / "environment").mkdir()
    policy = encoder_policy(
        Environment(work / "environment", {"HF_HUB_OFFLINE": "1"}),
        path.parent,
        gpu=False,
        memory_bytes=attack.memory_bytes,
    )
    policy = replace(policy, file_bytes=attack.file_bytes)
    verdict, log = CONTAINED, tmp_path / "log.txt"
    with wrap(policy) as lock:
        spec = parse_encoder(str(path), python=lock.python(Path(sys.executable)))
        process = EncoderProcess(
            spec,
            log_path=log,
            batch_timeout_s=attack.timeout_s,
            start_timeout_s=attack.timeout_s,
        )
        try:
            with process:
                process.encode([np.zeros(16_000, np.float32)], labels=["silence"])
        except EncoderError as error:
            verdict = VERDICT_OF_ERROR[type(error).__name__]
            assert "\x1b" not in str(error) + error.quoted
        if lock.was_out_of_memory():
            verdict = Verdict.MEMORY_LIMIT
        if lock.group is None and verdict is Verdict.ENCODER_FAILED:
            verdict = attack.verdict or verdict  # nothing counts memory: it crashed of it
    return verdict, log.read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_encoder_is_refused_or_contained(
    name: str, tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "SECRET")
    attack = ATTACKS[name]
    taken: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)

        def listen() -> None:
            try:
                while True:
                    taken.append(server.accept()[0].recv(1))
            except OSError:
                pass

        names = {
            "MACHINE": str(machine),
            "PORT": str(server.getsockname()[1]),
            "PARENT": str(os.getpid()),
            "NAME": "auricle-test",
        }
        started = time.monotonic()
        verdict, log = attempt(attack, tmp_path, names)
        took_s = time.monotonic() - started
        listener = threading.Thread(target=listen)
        listener.start()
        listener.join()
    expected = attack.verdict
    assert verdict is expected, log[-2000:]
    assert "SECRET" not in log
    assert "root:" not in log
    assert not taken, "it reached the machine's own server"
    assert took_s < attack.timeout_s + 90
    assert len(log) <= attack.file_bytes


def test_nothing_of_a_hostile_encoder_outlives_its_locks(tmp_path: Path, machine: Path) -> None:
    marker = f"auricle-outlives-{os.getpid()}"
    attack = Attack(
        f"import ctypes\nctypes.CDLL(None).prctl(15, b'{marker[-15:]}')\n"
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(600)"
    )
    attempt(attack, tmp_path, {})
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        names = []
        for path in Path("/proc").glob("[0-9]*/comm"):
            try:
                names.append(path.read_text().strip())
            except OSError:
                continue
        if marker[-15:] not in names:
            return
        time.sleep(0.1)
    raise AssertionError("a process of the encoder still runs")


@pytest.mark.parametrize(
    "named", [["/etc/shadow", "/root/x"], ["MACHINE/shards/labels.json"], ["MACHINE/nothing"]]
)
def test_a_file_that_an_encoder_says_it_opened_is_not_opened_by_us(
    named: list[str], tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We run as the organiser, outside of the locks: a name must not be a question to us."""
    said = {"files": [name.replace("MACHINE", str(machine)) for name in named]}
    attack = Attack(
        f"said = {{**{said!r}, 'packages': {{}}, 'python': '3.11.7'}}\n"
        "sys.modules['child_import'].recorded = lambda also: said"
    )
    path = write_submission(attack, tmp_path / "submission", {})
    environment = Environment(tmp_path / "environment", {})
    environment.home.mkdir(parents=True)
    for name, value in judged_variables(path.parent, environment.home).items():
        monkeypatch.setenv(name, value)
    with wrap(encoder_policy(environment, path.parent, gpu=False)) as lock:
        spec = parse_encoder(str(path), python=lock.python(Path(sys.executable)))
        with EncoderProcess(spec, log_path=tmp_path / "log.txt") as process:
            info = process.info
    assert list(info.files) == [str(path)]
    assert info.packages == {}


def test_the_parent_keeps_its_signal_handlers(tmp_path: Path, machine: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGPIPE)}
    attempt(ATTACKS["signals its parent"], tmp_path, {"PARENT": str(os.getpid())})
    assert {number: signal.getsignal(number) for number in before} == before
