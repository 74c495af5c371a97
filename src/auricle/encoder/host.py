"""Our side of an encoder's process: start it, know what it is, have it encode batches.

One call is one batch, padded to its longest window. Two calls may be under way, so that the child
finds its next batch laid out when it has finished one (`begin`, `finish`). Nothing that comes back
is believed before `contract.py` has checked it, and any error but a lack of memory ends the
process: a child that broke a rule once has no second word.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.channel import MemoryFile
from auricle.encoder.contract import (
    SAMPLE_RATE,
    Encoded,
    WindowNames,
    check_output_dim,
    read_batch,
    split_batch,
)
from auricle.encoder.failures import clean, nonsense
from auricle.encoder.identity import content_hash, identity_files
from auricle.encoder.process import BANKS, ChildProcess, Isolation
from auricle.encoder.protocol import Batch, EncoderSpec, Loaded, Report, Sums, load_order
from auricle.errors import EncoderMemoryError
from auricle.seeding import random_words, stream_key, unit_floats

START_TIMEOUT_S = 900.0
BATCH_TIMEOUT_S = 300.0
_PLAIN = Isolation()


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What a started encoder is.

    ``dtype`` is that of its features: float32, float16 or bfloat16. ``files`` maps each local file
    that its import, construction and first window opened to its SHA-256; ``packages`` maps
    installed distributions to versions. ``notes`` are what was assumed or left out of its files.
    """

    class_name: str
    output_dim: int
    dtype: str
    num_parameters: int
    content_hash: str
    files: dict[str, str]
    packages: dict[str, str]
    python: str
    pid: int
    notes: list[str]


class Usage(NamedTuple):
    """What the latest batch cost; memory as the child says, so an estimate and no verdict."""

    wall_s: float
    resident_bytes: int | None
    device_bytes: int | None


class _Call(NamedTuple):
    """A batch that was begun."""

    windows: WindowNames
    bank: int
    started: float


class EncoderProcess:
    """An encoder in a process of its own; a context manager.

    Args:
        spec: From `parse_encoder`.
        device: Where it computes, as torch names devices.
        threads: Threads of its number libraries.
        log_path: Where its standard output and error go, appended.
        batch_timeout_s: Limit for one batch.
        start_timeout_s: Limit for importing and constructing it; downloads count.
        isolation: Its environment variables and the sandbox around it.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        *,
        log_path: Path,
        device: str = "cpu",
        threads: int = 1,
        batch_timeout_s: float = BATCH_TIMEOUT_S,
        start_timeout_s: float = START_TIMEOUT_S,
        isolation: Isolation = _PLAIN,
    ) -> None:
        self.spec = spec
        self.device = device
        self.threads = threads
        self.batch_timeout_s = batch_timeout_s
        self.start_timeout_s = start_timeout_s
        self.usage = Usage(0.0, None, None)
        self.baseline_bytes: int | None = None
        self.output_dim = 0
        self.class_name = ""
        self.notes: list[str] = []
        self.takes_mask = True
        self.mask_name = "mask"
        self._log_path = log_path
        self._isolation = isolation
        self._child: ChildProcess | None = None
        self._info: EncoderInfo | None = None
        self._in_flight: deque[_Call] = deque()
        self._begun = 0
        self._answered_bank = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def info(self) -> EncoderInfo:
        """What the encoder is; known once it has started."""
        if self._info is None:
            raise RuntimeError("the encoder has not been started")
        return self._info

    def start(self) -> Self:
        """Load the encoder, have it encode one second of noise, and find out what it is.

        Raises:
            EncoderError: Any of that failed; the process is gone.
        """
        try:
            self.load()
            first = self.encode([probe_audio(0, SAMPLE_RATE)], labels=["one second of noise"])
            self._info = self._identify(first[0].dtype)
        except BaseException:
            self.close()
            raise
        return self

    def load(self) -> None:
        """Start the process, import the encoder and construct it, and no more.

        Raises:
            EncoderError: It could not be; the process is gone.
        """
        self._in_flight.clear()
        self._child = ChildProcess(
            self.spec,
            log_path=self._log_path,
            threads=self.threads,
            isolation=self._isolation,
        )
        try:
            answer = self._child.ask(
                load_order(self.spec, device=self.device, threads=self.threads),
                Loaded,
                timeout_s=self.start_timeout_s,
                doing=f"starting {self.spec.text}",
            )
            self.baseline_bytes = answer.baseline_bytes
            self.class_name = clean(answer.class_name, 100)
            is_ours = self.spec.kind in ("builtin", "hf")
            self.notes = [clean(note) for note in answer.notes] if is_ours else []
            self.takes_mask = answer.arguments_taken != 1
            self.mask_name = answer.mask_argument or "mask"
            seen = clean(answer.output_dim_seen, 300)
            self.output_dim = check_output_dim(answer.output_dim, seen)
        except BaseException:
            self.close()
            raise

    def encode(
        self, audio: Sequence[NDArray[np.float32]], *, labels: Sequence[str]
    ) -> list[Encoded]:
        """Encode one batch.

        Args:
            audio: Windows, float32 ``[samples]`` at 16 kHz; padded with zeros to the longest.
            labels: A name for each window, for errors.

        Returns:
            Each window's frames, masked ones dropped.

        Raises:
            EncoderError: The encoder failed on this batch; the process is gone.
        """
        try:
            self.begin(audio, labels=labels)
            return self.finish()
        except BaseException:
            self.close()
            raise

    def begin(
        self, audio: Sequence[NDArray[np.float32]], *, labels: Sequence[str], seed: int = 0
    ) -> None:
        """Hand a batch over and do not wait; at most two may be without their `finish`.

        Args:
            audio: As for `encode`.
            labels: As for `encode`.
            seed: For the global random generators of the child; a frozen encoder does not care.

        Raises:
            EncoderError: The child is gone.
        """
        windows = WindowNames(labels, [len(samples) for samples in audio], self.mask_name)
        if not windows.lengths or min(windows.lengths) < 1 or len(labels) != len(audio):
            raise ValueError("a batch needs windows of at least one sample, and a label for each")
        if len(self._in_flight) >= BANKS:
            raise ValueError(f"at most {BANKS} batches can be under way")
        started = time.monotonic()
        batch = np.zeros((len(audio), max(windows.lengths)), np.float32)
        for row, samples in enumerate(audio):
            batch[row, : len(samples)] = samples
        bank = self._begun % BANKS
        order = {
            "op": "encode",
            "bank": bank,
            "shape": list(batch.shape),
            "lengths": list(windows.lengths),
            "seed": seed,
        }
        child = self._running()
        child.put_audio(batch, bank=bank)
        child.send(order, timeout_s=self.batch_timeout_s, doing=f"encoding {windows.all()}")
        self._begun += 1
        self._in_flight.append(_Call(windows, bank, started))

    def finish(self) -> list[Encoded]:
        """Wait for the oldest batch that was begun; returns what `encode` does.

        Raises:
            EncoderMemoryError: The batch did not fit; the process lives on, what else was begun
                is still being encoded.
            EncoderError: The encoder failed on this batch; the process is gone.
        """
        try:
            answer, windows = self._answer()
            raw = read_batch(
                answer, self.features_file, output_dim=self.output_dim, windows=windows
            )
            return split_batch(raw, windows=windows)
        except EncoderMemoryError:
            raise
        except BaseException:
            self.close()
            raise

    def ask_batch(
        self, audio: Sequence[NDArray[np.float32]], *, labels: Sequence[str], seed: int = 0
    ) -> tuple[Batch, WindowNames]:
        """Have the child encode a batch, and judge nothing: the checker wants to see everything.

        Args:
            audio: As for `encode`.
            labels: As for `encode`.
            seed: As for `begin`.

        Returns:
            The child's answer, which describes what lies in `features_file`.

        Raises:
            EncoderError: The child could not; it may live on.
        """
        self.begin(audio, labels=labels, seed=seed)
        return self._answer()

    def _answer(self) -> tuple[Batch, WindowNames]:
        windows, self._answered_bank, started = self._in_flight.popleft()
        answer = self._running().receive(
            Batch, timeout_s=self.batch_timeout_s, doing=f"encoding {windows.all()}"
        )
        if answer.device_bytes is not None and not self.device.startswith("cuda"):
            self.close()
            raise nonsense(f"the memory of a GPU that it took on the device {self.device}")
        wall_s = time.monotonic() - started
        self.usage = Usage(wall_s, answer.resident_bytes, answer.device_bytes)
        return answer, windows

    def parameter_sums(self) -> Sums:
        """Sums of the encoder's parameters and of its buffers, as its process says.

        Raises:
            EncoderError: The child could not say.
        """
        return self._running().ask(
            {"op": "sums"}, Sums, timeout_s=self.batch_timeout_s, doing="adding up its parameters"
        )

    @property
    def features_file(self) -> MemoryFile:
        """Where the child has laid the features of the batch that it answered last."""
        return self._running().features[self._answered_bank]

    @property
    def is_running(self) -> bool:
        """Whether it has been started and nothing has ended it."""
        return self._child is not None and self._child.is_open

    def _running(self) -> ChildProcess:
        if self._child is None:
            raise RuntimeError("the encoder has not been started")
        return self._child

    def cpu_s(self) -> float:
        """Processor seconds of its process so far; 0 when it does not run."""
        return self._child.cpu_s() if self._child is not None and self.is_running else 0.0

    def log_tail(self) -> str:
        """The last lines that the encoder printed."""
        return self._child.log_tail() if self._child else ""

    def close(self) -> None:
        """End the process and everything that it started."""
        if self._child is not None:
            self._child.close()

    def _identify(self, dtype: str) -> EncoderInfo:
        own = [self.spec.target] if self.spec.kind != "module" else []
        answer = self._running().ask(
            {"op": "report", "also": own},
            Report,
            timeout_s=self.batch_timeout_s,
            doing="saying which files it opened",
        )
        files = identity_files(self.spec, answer.files)
        return EncoderInfo(
            class_name=self.class_name,
            output_dim=self.output_dim,
            dtype=dtype,
            num_parameters=answer.num_parameters,
            content_hash=content_hash(
                self.spec,
                class_name=self.class_name,
                files=files,
                packages=answer.packages,
                python=answer.python,
            ),
            files=files,
            packages=answer.packages,
            python=answer.python,
            pid=self._running().pid,
            notes=self.notes,
        )


def probe_audio(index: int, num_samples: int) -> NDArray[np.float32]:
    """A fixed test signal: noise that swells and ebbs, and a rising tone.

    Made from raw counter-based words, so it is the same in every numpy release.
    """
    words = random_words(stream_key("encoder probe", index), 0, -(-num_samples // 4))
    noise = unit_floats(words).reshape(-1)[:num_samples] * 2 - 1
    time_s = np.arange(num_samples) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * (200 + 40 * index + 150 * time_s) * time_s)
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * (1.3 + 0.2 * index) * time_s)
    return (0.2 * noise * swell + 0.2 * tone).astype(np.float32)
