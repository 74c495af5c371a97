"""The fetch stage: strangers' build scripts and constructors run behind locks, within bounds."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from auricle.challenge.commands import encoder_policy
from auricle.challenge.environment import (
    Environment,
    EnvironmentFailedError,
    build_environment,
    create_venv,
    freeze_environment,
    index_answers,
)
from auricle.challenge.limits import FetchLimits
from auricle.challenge.submission import Submission
from auricle.challenge.verdicts import UncertainError, Verdict
from auricle.sandbox.wrap import no_locks, wrap

pytestmark = pytest.mark.slow

ENCODER = "import torch\nclass MyEncoder(torch.nn.Module):\n    output_dim = 4\n"
BACKEND = """
import base64, hashlib, os, sys, time, zipfile

def attempt(action):
    try:
        print("GOT", action(), file=sys.stderr)
    except BaseException as error:
        print("failed", error, file=sys.stderr)

exec(compile(open("setup.py").read(), "setup.py", "exec"))  # as setuptools' own backend does

def build_wheel(folder, config=None, metadata=None):
    name = "evil-1.0-py3-none-any.whl"
    files = {{
        "evil/__init__.py": b"",
        "evil.pth": {pth!r},
        "evil-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\\nName: evil\\nVersion: 1.0\\n",
        "evil-1.0.dist-info/WHEEL": (
            b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        ),
    }}
    record = "".join(f"{{n}},," + chr(10) for n in [*files, "evil-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, data in files.items():
            wheel.writestr(path, data)
        wheel.writestr("evil-1.0.dist-info/RECORD", record)
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "evil"
version = "1.0"
"""


def declaration(**changes: Any) -> Submission:
    return Submission.model_construct(encoder="encoder.py:MyEncoder", arguments={}, **changes)


def submission(tmp_path: Path, code: str, *, pth: bytes = b"", encoder: str = ENCODER) -> Path:
    """A submission whose requirement builds itself with a program of its own."""
    folder = tmp_path / "work" / "submission"
    (folder / "evil").mkdir(parents=True)
    (folder / "encoder.py").write_text(encoder)
    if code or pth:
        (folder / "requirements.txt").write_text("./evil\n")
        (folder / "evil" / "setup.py").write_text(code)
        (folder / "evil" / "backend.py").write_text(BACKEND.format(pth=pth))
        (folder / "evil" / "pyproject.toml").write_text(PROJECT)
    return folder


LIMITS = FetchLimits(install_s=120, construct_s=120, disk_bytes=1 << 30, memory_bytes=2 << 30)


def build(folder: Path, limits: FetchLimits = LIMITS, locks: Any = wrap) -> Environment:
    return build_environment(
        declaration(),
        folder,
        into=folder.parent / "environment",
        locks=locks,
        limits=limits,
        logs=folder.parent / "logs",
    )


def log_of(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in (folder.parent / "logs").iterdir())


def verdict_of(folder: Path, limits: FetchLimits = LIMITS) -> Verdict:
    with pytest.raises(EnvironmentFailedError) as caught:
        build(folder, limits)
    return caught.value.problem.verdict


ASKED = "auricle.challenge.environment.index_answers"


@pytest.fixture(autouse=True)
def _reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed installation is the submission's fault wherever these tests run."""
    monkeypatch.setattr(ASKED, lambda _: True)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """The only package index that pip knows, on loopback; call it to switch it off."""
    page = tmp_path / "index" / "simple" / "pip" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text('<a href="pip-99.0-py3-none-any.whl">pip-99.0-py3-none-any.whl</a>')
    handler = functools.partial(QuietHandler, directory=tmp_path / "index")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(ASKED, index_answers)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)

    def stop() -> None:
        if thread.is_alive():
            server.shutdown()
            server.server_close()
            thread.join()

    yield stop
    stop()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.usefixtures("bubblewrap")
@pytest.mark.parametrize("locks", [no_locks, wrap])
def test_only_without_an_index_a_failed_installation_is_nobodys_fault(
    locks: Any, tmp_path: Path, index: Callable[[], None]
) -> None:
    folder = submission(tmp_path, "")
    (folder / "requirements.txt").write_text("surely-no-such-package\n")
    with pytest.raises(EnvironmentFailedError, match=r"surely-no-such-package"):
        build(folder, locks=locks)
    index()
    shutil.rmtree(folder.parent / "environment")
    with pytest.raises(UncertainError, match="no package index answers"):
        build(folder, locks=locks)


@pytest.mark.usefixtures("bubblewrap")
def test_a_build_script_sees_nothing_of_the_machine(
    tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "SECRET")
    code = f"""
for path in ("{machine}/shards/labels.json", "{machine}/other/submission/encoder.py",
             "/etc/shadow", "/proc/1/environ"):
    attempt(lambda: open(path).read())
attempt(lambda: os.environ["HF_TOKEN"])
attempt(lambda: open("{machine}/metrics.py", "w"))
attempt(lambda: open(os.path.dirname(os.__file__) + "/sitecustomize.py", "w"))
attempt(lambda: os.kill({os.getpid()}, 9))
"""
    folder = submission(tmp_path, code, pth=f"import os; open('{machine}/x', 'w')".encode())
    environment = build(folder)
    assert "SECRET" not in log_of(folder)
    assert "root:" not in log_of(folder)
    assert freeze_environment(environment)["installed"] == {"evil": "1.0"}


@pytest.mark.usefixtures("bubblewrap")
@pytest.mark.parametrize("line", ["-r MACHINE/shards/labels.json", "-r /etc/shadow"])
def test_requirements_cannot_name_the_machines_files(
    line: str, tmp_path: Path, machine: Path
) -> None:
    """pip quotes the first line that it does not understand."""
    folder = submission(tmp_path, "")
    (folder / "requirements.txt").write_text(line.replace("MACHINE", str(machine)))
    assert verdict_of(folder) is Verdict.ENVIRONMENT_FAILED
    assert "No such file" in log_of(folder)


@pytest.mark.usefixtures("bubblewrap")
def test_an_encoder_may_replace_its_interpreter_and_is_still_locked(
    tmp_path: Path, machine: Path
) -> None:
    script = f"#!/bin/sh\\ncat {machine}/shards/labels.json /etc/shadow\\n"
    code = (
        "import os, sys, torch\nclass MyEncoder(torch.nn.Module):\n    output_dim = 4\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        os.unlink(sys.executable)\n"
        f"        open(sys.executable, 'w').write('{script}')\n"
        "        os.chmod(sys.executable, 0o6755)\n"
    )
    folder = submission(tmp_path, "", encoder=code)
    environment = build(folder)
    assert environment.python.stat().st_mode & 0o7777 == 0o755
    with wrap(encoder_policy(environment, folder, gpu=False)) as lock:
        done = subprocess.run(
            [lock.python(environment.python)], capture_output=True, text=True, check=False
        )
    assert "SECRET" not in done.stdout
    assert "root:" not in done.stdout


@pytest.mark.usefixtures("bubblewrap")
@pytest.mark.parametrize(
    ("code", "limits", "verdict"),
    [
        ("time.sleep(600)", replace(LIMITS, install_s=6), Verdict.TIME_LIMIT),
        ("sys.exit('no wheel today')", LIMITS, Verdict.ENVIRONMENT_FAILED),
        (
            "out = open(sys.prefix + '/big', 'wb')\nfor _ in range(3000): out.write(bytes(1 << 17))"
            "\nout.flush(); time.sleep(60)",
            replace(LIMITS, disk_bytes=100 << 20),
            Verdict.DISK_LIMIT,
        ),
        (
            "for number in range(3000):\n"
            "    with open(f'{sys.prefix}/big{number}', 'wb') as out: out.write(bytes(1 << 17))\n"
            "time.sleep(60)",
            replace(LIMITS, disk_bytes=100 << 20),
            Verdict.DISK_LIMIT,
        ),
        ("x = []\nwhile True: x.append(bytearray(1 << 24))", LIMITS, Verdict.MEMORY_LIMIT),
    ],
    ids=["sleeps", "fails", "one big file", "many files", "memory"],
)
def test_a_build_script_meets_its_bounds(
    code: str, limits: FetchLimits, verdict: Verdict, tmp_path: Path
) -> None:
    assert verdict_of(submission(tmp_path, code), limits) is verdict


@pytest.mark.usefixtures("bubblewrap")
def test_a_constructor_that_fails_is_quoted(tmp_path: Path) -> None:
    code = ENCODER + "    def __init__(self):\n        raise ValueError('weights are gone')\n"
    with pytest.raises(EnvironmentFailedError, match=r"could not be constructed(?s:.*)are gone"):
        build(submission(tmp_path, "", encoder=code))


@pytest.mark.usefixtures("bubblewrap")
def test_what_the_constructor_fetched_is_kept_for_the_judged_run(tmp_path: Path) -> None:
    code = (
        "import os, torch\nclass MyEncoder(torch.nn.Module):\n    output_dim = 4\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        home = os.environ['HOME']\n        open(home + '/weights', 'w').write('w')\n"
        "        assert 'HF_HUB_OFFLINE' not in os.environ\n"
    )
    environment = build(submission(tmp_path, "", encoder=code))
    assert (environment.folder / "home" / "weights").read_text() == "w"
    assert environment.variables["HOME"] == str(environment.folder / "home")
    assert environment.variables["HF_HUB_OFFLINE"] == "1"
    assert not (environment.folder / "build").exists()


def test_an_own_encoder_is_built_without_locks(tmp_path: Path) -> None:
    environment = build(submission(tmp_path, ""), locks=no_locks)
    assert environment.python.exists()


def test_hashing_an_environment_follows_no_link_and_waits_for_no_pipe(tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    (folder / "venv" / "lib" / "python3" / "site-packages").mkdir(parents=True)
    (folder / "venv" / "link").symlink_to("/etc/shadow")
    (folder / "venv" / "folder").symlink_to("/")
    os.mkfifo(folder / "venv" / "pipe")
    (folder / "venv" / "file").write_text("x")
    environment = Environment(folder, {})
    before = freeze_environment(environment)
    assert before["files"] == 3
    (folder / "venv" / "link").unlink()
    (folder / "venv" / "link").symlink_to("/etc/passwd")
    assert freeze_environment(environment)["sha256"] != before["sha256"]


@pytest.mark.parametrize(
    ("says", "fraction"),
    [("81559\n", 24e9 / (81559 << 20)), ("24564\n81559\n", 24e9 / (24564 << 20)), ("", None)],
    ids=["a large card", "two cards", "no card"],
)
def test_a_large_card_is_cut_to_the_challenges_size(
    says: str, fraction: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\nprintf '{says}'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    policy = encoder_policy(Environment(tmp_path, {}), tmp_path, gpu=True)
    assert policy.gpu_memory_fraction == (None if fraction is None else pytest.approx(fraction))


def test_an_environment_has_pip_even_where_auricle_has_none(tmp_path: Path) -> None:
    create_venv(tmp_path / "venv", [tmp_path])
    words = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert f"from {tmp_path / 'venv'}" in done.stdout
