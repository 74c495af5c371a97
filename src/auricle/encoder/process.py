"""Starts, watches and ends the process that runs an encoder (law 3).

The child leads a process group of its own, which is killed as a whole on a timeout, an error and
at the end; if we die first, it ends by itself (`child.die_with_parent`). Nothing of ours is in its
environment. `command_prefix` is where the sandbox wraps its command.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.channel import (
    Channel,
    ChannelClosedError,
    ChannelTimeoutError,
    MemoryFile,
)
from auricle.encoder.failures import clean, death, nonsense, refusal
from auricle.encoder.protocol import Answer, EncoderSpec, NonsenseError, Refusal
from auricle.errors import EncoderCrashError, EncoderLoadError, EncoderTimeoutError, OutputError
from auricle.files import make_folder, write_failure

_CHILD = Path(__file__).resolve().parent / "child.py"
BANKS = 2
_LOG_TAIL_BYTES = 4_000
_DYING_S = 5.0


def child_environment(base: Mapping[str, str] | None, *, threads: int) -> dict[str, str]:
    """The child's environment variables.

    Args:
        base: What it is given; our own when None. A judged run hands in a clean one.
        threads: Threads of the child's number libraries.
    """
    environment = {
        name: value
        for name, value in (os.environ if base is None else base).items()
        if not name.startswith(("AURICLE_", "COV_CORE_")) and name != "PYTHONHOME"
    }
    count = str(threads)
    # Active waiting on busy cores slows a run eightfold and more; these must be set before torch
    # loads. The hash seed and cuBLAS's workspace keep one batch's features the same in every run.
    # oneDNN's kernels are kept in two caches, about 1 MB for each shape of a batch: without both
    # limits a process grew past 1.6 GB (docs/log.md).
    return environment | {
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "OMP_WAIT_POLICY": "PASSIVE",
        "KMP_BLOCKTIME": "0",
        "GOMP_SPINCOUNT": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
        "LRU_CACHE_CAPACITY": "64",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def session_cpu_s(session: int) -> float:
    """Processor seconds of all processes of a session, ended ones that were waited for included."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in brackets may hold anything; behind it come state, parent, group, session.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += sum(map(int, fields[11:15]))  # user and system, its own and its children's
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Isolation:
    """What a child is allowed beside the plain process that it always is.

    ``environment`` are its environment variables, None for ours without AURICLE_*; a judged run
    hands in a clean set. ``command_prefix`` stands before its command: a sandbox.
    """

    environment: Mapping[str, str] | None = None
    command_prefix: Sequence[str] = ()


class ChildProcess:
    """A started child with its channel and its memory files.

    Audio and features have `BANKS` memory files each, so that a batch can be laid out, and another
    one's features be read, while the child works.
    """

    def __init__(
        self, spec: EncoderSpec, *, log_path: Path, threads: int, isolation: Isolation
    ) -> None:
        self._log_path = log_path
        self._python = spec.python
        self._answered = False
        self._channel = Channel()
        self._audio = [MemoryFile(f"auricle-audio-{bank}") for bank in range(BANKS)]
        self.features = [MemoryFile(f"auricle-features-{bank}") for bank in range(BANKS)]
        lifeline, self._lifeline = os.pipe()
        descriptors = (
            self._channel.child_descriptor,
            lifeline,
            *(file.descriptor for file in (*self._audio, *self.features)),
        )
        is_main = threading.current_thread() is threading.main_thread()
        numbers = [str(int(is_main)), *map(str, descriptors)]
        command = [
            *isolation.command_prefix,
            str(spec.python or sys.executable),
            str(_CHILD),
            *numbers,
        ]
        try:
            log = self._open_log()
        except OutputError:
            os.close(lifeline)
            self._release()
            raise
        try:
            with log:
                self._log_start = log.tell()
                self._process = subprocess.Popen(  # noqa: S603  the user named this interpreter
                    command,
                    cwd=spec.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=child_environment(isolation.environment, threads=threads),
                    pass_fds=descriptors,
                    start_new_session=True,
                )
        except OSError as error:
            os.close(lifeline)
            self._release()
            raise EncoderLoadError(
                f"{command[0]} could not be started ({error}). Check --encoder-python."
            ) from error
        os.close(lifeline)
        self._channel.close_child_end()
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether it may still be asked."""
        return not self._closed

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def cpu_s(self) -> float:
        """Processor seconds of the child and what it started; 0 where there is no /proc."""
        return session_cpu_s(self.pid)

    def put_audio(self, batch: NDArray[np.float32], *, bank: int) -> None:
        """Lay a padded batch where the child will read it."""
        self._require_open()
        self._audio[bank].write(batch)

    def ask(
        self, order: dict[str, Any], kind: type[Answer], *, timeout_s: float, doing: str
    ) -> Answer:
        """Have the child do something; as `send`, then `receive`."""
        self.send(order, timeout_s=timeout_s, doing=doing)
        return self.receive(kind, timeout_s=timeout_s, doing=doing)

    def send(self, order: dict[str, Any], *, timeout_s: float, doing: str) -> None:
        """Give the child an order, which it takes up when it is done with the one before.

        Args:
            order: The order.
            timeout_s: How long it may lie in a full line.
            doing: What it does, for the error's sentence: ``encoding a.wav (1.00 s)``.

        Raises:
            EncoderError: The child is gone or does not read.
        """
        self._require_open()
        with self._judged(timeout_s, doing):
            self._channel.send(order, timeout_s=timeout_s)

    def receive(self, kind: type[Answer], *, timeout_s: float, doing: str) -> Answer:
        """Wait for the answer to the oldest order that has none.

        A child that is late, gone or talks nonsense is ended; one that only says that it could not
        do it lives on, for whoever asks it more.

        Args:
            kind: The answer that is due.
            timeout_s: Limit for it.
            doing: What it does, for the error's sentence.

        Raises:
            EncoderError: The kind that fits what happened.
        """
        self._require_open()
        with self._judged(timeout_s, doing):
            answer = self._channel.receive(kind, timeout_s=timeout_s, is_alive=self._is_alive)
        self._answered = True
        if isinstance(answer, Refusal):
            raise refusal(answer, doing)
        return answer

    @contextlib.contextmanager
    def _judged(self, timeout_s: float, doing: str) -> Iterator[None]:
        """End the child when the line to it fails, and say why."""
        try:
            yield
        except ChannelTimeoutError:
            self.close()
            raise EncoderTimeoutError(
                f"The encoder did not finish {doing} within {timeout_s:g} s and was ended. If it "
                "is only slow, give it longer with --batch-timeout.",
                self.log_tail(),
            ) from None
        except NonsenseError as error:
            self.close()
            raise nonsense(clean(str(error), 400)) from error
        except ChannelClosedError:
            raise self._death(doing) from None
        except BaseException:  # Ctrl-C: the answer would come to the wrong order
            self.close()
            raise

    def log_tail(self) -> str:
        """The last lines of what this child printed."""
        try:
            with self._log_path.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, size - _LOG_TAIL_BYTES))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return clean("\n".join(lines[-30:]))

    def close(self) -> None:
        """End the child and everything that it started."""
        if self._closed:
            return
        self._closed = True
        # Not reaped yet, so its number cannot have gone to another process group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_DYING_S)
        self._release()

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("the encoder's process was closed")

    def _open_log(self) -> BinaryIO:
        make_folder(self._log_path.parent)
        try:
            return self._log_path.open("ab")
        except OSError as error:
            raise write_failure(self._log_path, error) from error

    def _release(self) -> None:
        self._channel.close()
        for file in (*self._audio, *self.features):
            file.close()
        os.close(self._lifeline)

    def _is_alive(self) -> bool:
        try:
            state = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return state is None

    def _death(self, doing: str) -> EncoderCrashError:
        deadline = time.monotonic() + _DYING_S
        while self._is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        died = not self._is_alive()
        self.close()
        code = self._process.returncode
        if self._python is not None and not self._answered and died and code >= 0:
            return EncoderCrashError(
                f"{self._python} ended with exit code {code} while {doing} and never answered. "
                "Name a Python interpreter with --encoder-python; if it is one, the encoder "
                "called exit.",
                self.log_tail(),
            )
        return death(
            code if died else None,
            doing=doing,
            log_path=self._log_path,
            log_tail=self.log_tail(),
        )
