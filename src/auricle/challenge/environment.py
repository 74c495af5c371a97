"""The fetch stage: a virtual environment from ``requirements.txt``, and the encoder made once.

This is the only stage with a network, and it sees no data. The environment inherits the packages
of auricle's own (torch is two gigabytes, and the same version for all is fairer); what a submission
asks for in another version is installed over them. Afterwards everything is read-only, and hashed.

On disk::

    environment/venv    the virtual environment
    environment/home    HOME of the encoder: what it fetched lies in its caches
    environment/build   for pip alone, removed afterwards
"""

from __future__ import annotations

import configparser
import hashlib
import importlib.util
import json
import os
import stat
import subprocess
import sys
import time
import venv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from auricle.challenge.limits import FetchLimits
from auricle.challenge.processes import (
    KILLED,
    TOO_DEEP,
    Bounds,
    Outcome,
    clean_environment,
    disk_is_full,
    load_of_machine,
    run_bounded,
)
from auricle.challenge.submission import Submission
from auricle.challenge.verdicts import Problem, UncertainError, Verdict, shown, told
from auricle.encoder.protocol import MAX_COUNT, EncoderSpec, load_order
from auricle.errors import UserError
from auricle.files import make_folder, remove_tree, sha256_json, write_failure, write_text
from auricle.progress import bytes_text
from auricle.sandbox.policy import Policy, own_python_paths, package_folders
from auricle.sandbox.wrap import Lock, Locks

ENCODER_ROOM = Path(__file__).resolve().parents[1] / "encoder"
_CONSTRUCT = Path(__file__).resolve().parent / "construct.py"
_PIP_VARIABLES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT"),
    *("PIP_DEFAULT_TIMEOUT", "PIP_RETRIES"),
)
_PIP_CONFIGURATION = Path("/etc/pip.conf")

_NO_INDEX = (
    "requirements.txt could not be installed, and no package index answers pip here: nothing is "
    "said about the submission. Mend the network, or set PIP_INDEX_URL to an index that can be "
    "reached"
)


@dataclass(frozen=True, slots=True)
class Environment:
    """A submission's environment."""

    folder: Path
    variables: Mapping[str, str]
    """Environment variables of the encoder when it is judged."""
    num_parameters: int | None = None
    """How many the constructed encoder said that it has."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def home(self) -> Path:
        """HOME of the encoder: what it fetched lies in its caches."""
        return self.folder / "home"

    def readable(self) -> tuple[Path, ...]:
        """What the encoder's process needs to see, beside the submission."""
        children = tuple(sorted(ENCODER_ROOM.glob("child*.py")))
        return (*own_python_paths(), *children, self.folder)


class EnvironmentFailedError(Exception):
    """The environment could not be made; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def build_environment(
    submission: Submission,
    folder: Path,
    *,
    into: Path,
    locks: Locks,
    limits: FetchLimits,
    logs: Path,
) -> Environment:
    """Install a submission's requirements and construct its encoder once.

    Args:
        submission: Its declaration.
        folder: Its files.
        into: The environment's folder; it must not exist.
        locks: How strangers' code is locked in.
        limits: What all this may take.
        logs: Folder for the output of pip and of the encoder.

    Raises:
        EnvironmentFailedError: The requirements or the encoder's construction failed.
        UncertainError: They may have, by no fault of theirs: no package index answers, our disk is
            full, the machine is loaded, somebody ended a process.
        UserError: There is no pip here to install with, or the folder cannot be written.
    """
    environment = Environment(into, _offline_variables(into))
    for name in ("home", "build"):
        make_folder(into / name)
    create_venv(into / "venv", package_folders())
    policy = Policy(
        readable=(*environment.readable(), _CONSTRUCT, folder),
        writable=(into,),
        folder=folder,
        network=True,
        tools=True,
        memory_bytes=limits.memory_bytes,
        file_bytes=limits.disk_bytes,
        environment=_online_variables(into),
    )
    with locks(policy) as lock:
        if (folder / "requirements.txt").is_file():
            words = ["-m", "pip", "install", "--no-input", "--no-cache-dir"]
            words += ["--disable-pip-version-check", "-r", "requirements.txt"]
            bounds = Bounds(limits.install_s, into, limits.disk_bytes)
            done = _locked(environment, lock, words, bounds=bounds, place=(folder, logs, "install"))
            ours: Mapping[str, str] = os.environ
            if lock.prefix:  # the locks show no configuration of ours, so nor may this
                ours = clean_environment(**_pip_variables(), HOME=os.devnull)
            may_be_network = done.code != 0 and done.stopped in (None, Verdict.TIME_LIMIT)
            if may_be_network and not index_answers(ours):
                raise UncertainError(None, _NO_INDEX)
            _judge(done, lock, "requirements.txt could not be installed", (folder, into))
        order = _construction(submission, folder)
        words = [str(_CONSTRUCT), str(ENCODER_ROOM), json.dumps(order)]
        bounds = Bounds(limits.construct_s, into, limits.disk_bytes)
        done = _locked(environment, lock, words, bounds=bounds, place=(folder, logs, "construct"))
        _judge(done, lock, f"{submission.encoder} could not be constructed", (folder, into))
    remove_tree(into / "build")
    return replace(environment, num_parameters=_count_parameters(done))


def index_answers(variables: Mapping[str, str]) -> bool:
    """Whether a package index can be reached: our own pip asks it for pip.

    It runs outside the locks, where no file of a submission steers it.

    Args:
        variables: Environment variables, with the index that the installation was given.

    Returns:
        True too where we have no pip of our own to ask with.
    """
    if importlib.util.find_spec("pip") is None:
        return True
    words = [sys.executable, "-m", "pip", "index", "versions", "pip"]
    words += ["--no-input", "--disable-pip-version-check", "--retries", "1", "--timeout", "15"]
    try:
        asked = subprocess.run(  # noqa: S603
            words, check=False, capture_output=True, timeout=120, cwd="/", env=variables
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def _count_parameters(done: Outcome) -> int | None:
    """The last line of `construct.py`; a stranger's process wrote it, so it is only compared."""
    try:
        number = json.loads(done.stdout.splitlines()[-1])["num_parameters"]
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        return None
    return number if type(number) is int and 0 <= number <= MAX_COUNT else None


def _locked(
    environment: Environment,
    lock: Lock,
    words: list[str],
    *,
    bounds: Bounds,
    place: tuple[Path, Path, str],
) -> Outcome:
    folder, logs, name = place
    variables = dict(os.environ)  # a participant's own caches serve a participant's own code
    if lock.prefix:
        variables = clean_environment(**_online_variables(environment.folder))
    return run_bounded(
        [*lock.prefix, str(environment.python), *words],
        bounds=bounds,
        logs=logs,
        name=name,
        folder=folder,
        environment=variables,
    )


def _judge(done: Outcome, lock: Lock, what: str, places: tuple[Path, ...]) -> None:
    if done.stopped is None and done.code == 0:
        return
    tail = told(done.tail(), *places, width=300)
    if done.stopped is Verdict.TIME_LIMIT:
        problem = Problem(done.stopped, f"{what}: it did not end within {done.wall_s:.0f} s.")
        if load := load_of_machine():
            raise UncertainError(problem, load)
        problem = replace(problem, evidence="the clock of a machine that was not loaded")
    elif done.stopped is Verdict.TOO_DEEP:
        problem = Problem(done.stopped, f"{what}: {TOO_DEEP}.")
    elif done.stopped is not None:
        size = f" ({bytes_text(done.bounds.folder_bytes)})" if done.bounds else ""
        problem = Problem(done.stopped, f"{what}: it filled more disk than it may{size}.")
    elif lock.was_out_of_memory():
        size = f" ({bytes_text(lock.memory_bytes)})" if lock.memory_bytes else ""
        problem = Problem(Verdict.MEMORY_LIMIT, f"{what}: it used up all memory that it may{size}.")
    else:
        problem = Problem(
            Verdict.ENVIRONMENT_FAILED, f"{what} (exit code {done.code}). The last lines:\n{tail}"
        )
        if done.code in KILLED:
            evidence = "its process was ended by signal 9, which its memory limit did not send"
            raise UncertainError(problem, evidence)
        if disk_is_full(places[-1]):
            evidence = f"{what}, and our own disk is full ({places[-1]})"
            raise UncertainError(None, evidence)
    raise EnvironmentFailedError(problem)


def _construction(submission: Submission, folder: Path) -> dict[str, Any]:
    """The order that `auricle check` would give for the same encoder, on the CPU."""
    spec = EncoderSpec(
        text=submission.encoder,
        name=submission.encoder_file,
        kind="file",
        target=str(folder / submission.encoder_file),
        class_name=submission.encoder.partition(":")[2] or None,
        arguments=submission.arguments,
        folder=folder,
    )
    return load_order(spec, device="cpu", threads=1)


def create_venv(folder: Path, inherited: Sequence[Path]) -> None:
    """Make a virtual environment with other packages behind its own: the latter are found first.

    Args:
        folder: Its folder.
        inherited: Folders of packages. It has a pip of its own only where they have none, as in
            environments that uv makes.

    Raises:
        UserError: There is no pip, and this Python brings none along.
        OutputError: The folder cannot be written.
    """
    with_pip = not any((path / "pip").is_dir() for path in inherited)
    try:
        venv.EnvBuilder(symlinks=True, with_pip=with_pip).create(folder)
    except subprocess.CalledProcessError as error:
        raise UserError(
            "There is no pip beside auricle to install requirements with, so there is no verdict. "
            "Install pip there."
        ) from error
    except OSError as error:
        raise write_failure(folder, error) from error
    site = next(folder.glob("lib/python*/site-packages"))
    write_text(site / "inherited.pth", "".join(f"{path}\n" for path in inherited))


def _offline_variables(folder: Path) -> dict[str, str]:
    return {
        "HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PATH": f"{folder / 'venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin",
    }


def _online_variables(folder: Path) -> dict[str, str]:
    variables = _offline_variables(folder) | {"TMPDIR": str(folder / "build")}
    del variables["HF_HUB_OFFLINE"], variables["TRANSFORMERS_OFFLINE"]
    return variables | _pip_variables()


def _pip_variables() -> dict[str, str]:
    """Where pip looks for packages: by our variables, else by the machine's configuration.

    What holds a password or a token stays here, and no file of configuration is shown.
    """
    found = _configured(_PIP_CONFIGURATION)
    found |= {name: os.environ[name] for name in _PIP_VARIABLES if name in os.environ}
    words = {
        name: " ".join(w for w in value.split() if not _has_secret(w))
        for name, value in found.items()
    }
    return {name: value for name, value in words.items() if value} | {"PIP_CONFIG_FILE": os.devnull}


def _configured(path: Path) -> dict[str, str]:
    """What a pip.conf says of where packages are, as pip's own variables."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return {}
    found = {}
    for section in ("global", "install"):
        for name, value in parser.items(section) if parser.has_section(section) else ():
            variable = f"PIP_{name.upper().replace('-', '_')}"
            if variable in _PIP_VARIABLES:
                found[variable] = value
    return found


def _has_secret(word: str) -> bool:
    parts = urlsplit(word)
    return "@" in word or bool(parts.scheme and (parts.query or parts.fragment))


def freeze_environment(environment: Environment, *, limit_s: float = 1800.0) -> dict[str, Any]:
    """Facts about a finished environment for the receipt: its hash and its packages' versions.

    A stranger's code wrote it, so links are noted but never followed, and only plain files read.
    What takes no space on disk can be endless to read.

    Args:
        environment: The environment.
        limit_s: How long this may take.

    Raises:
        EnvironmentFailedError: It took longer.
        UncertainError: It took longer on a loaded machine.
    """
    digest = hashlib.sha256()
    count = 0
    deadline = time.monotonic() + limit_s
    for base, folders, names in os.walk(environment.folder, followlinks=False):
        folders.sort()
        for name in sorted([*names, *(f for f in folders if Path(base, f).is_symlink())]):
            path = Path(base, name)
            relative = os.fsencode(path.relative_to(environment.folder))
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                content = f"link {os.fsencode(path.readlink()).hex()}"
            elif stat.S_ISREG(mode) and not name.endswith(".pyc"):
                content = f"file {_hash_within(path, deadline, limit_s)}"
            else:
                continue
            count += 1
            digest.update(b"%s\0%s\n" % (relative, content.encode()))
    inherited = _versions(package_folders())
    own = _versions(environment.folder.glob("venv/lib/*/site-packages"))
    files = digest.hexdigest()
    return {
        "sha256": sha256_json({"files": files, "inherited": inherited}),
        "files": count,
        "installed": own,
        "inherited": inherited,
    }


def _hash_within(path: Path, deadline: float, limit_s: float) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            if time.monotonic() > deadline:
                break
    if time.monotonic() <= deadline:
        return digest.hexdigest()
    problem = Problem(
        Verdict.TIME_LIMIT,
        f"The environment could not be hashed within {limit_s:.0f} s. Leave out of "
        "requirements.txt and of the constructor's downloads what the encoder does not need.",
    )
    if load := load_of_machine():
        raise UncertainError(problem, load)
    raise EnvironmentFailedError(problem)


def _versions(folders: Iterable[Path]) -> dict[str, str]:
    """Versions by the names of metadata folders: nothing of a stranger's is parsed."""
    found: dict[str, str] = {}
    for distribution in (p for folder in folders for p in sorted(folder.glob("*.dist-info"))):
        name, _, version = distribution.name.removesuffix(".dist-info").partition("-")
        found.setdefault(shown(name, 80), shown(version, 40))
    return found
