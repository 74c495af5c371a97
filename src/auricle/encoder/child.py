"""The participant's code runs in this process and nowhere else (law 3).

It is started by path in the encoder's own interpreter, imports the standard library, numpy, torch
and nothing of auricle, and works on Python 3.9. Orders and answers are JSON messages, a 4-byte
big-endian length before each, on an inherited socket; audio comes and features go through
inherited memory files, two of each, and an order says which. Standard output and error are a log.
What is sent from here is only ever believed after the other side has checked it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib.util
import json
import os
import random
import signal
import struct
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
import child_find  # type: ignore[import-not-found]  # noqa: E402  found beside this file
import child_import  # type: ignore[import-not-found]  # noqa: E402
import child_output  # type: ignore[import-not-found]  # noqa: E402

if Path(sys.path[0]).resolve() == _HERE:  # this folder's names are not for the encoder to see
    del sys.path[0]

_LENGTH = struct.Struct(">I")
_MAX_TEXT = 20_000


class Child:
    """Answers orders until its parent is gone."""

    def __init__(self, channel: int, files: list[int]) -> None:
        self.channel = channel
        self.audio = files[: len(files) // 2]
        self.features = files[len(files) // 2 :]
        self.encoder: Any = None
        self.products: Any = None
        self.device: Any = None
        self.arguments_taken = 2
        self.stage = "start"

    def serve(self) -> None:
        """Read orders, answer each."""
        orders = {
            "load": self.load,
            "encode": self.encode,
            "report": self.report,
            "sums": self.sums,
        }
        while True:
            request = json.loads(self._read(_LENGTH.unpack(self._read(_LENGTH.size))[0]))
            try:
                answer = {"ok": True, **orders[request["op"]](request)}
            except BaseException as error:  # SystemExit too: the encoder must not end us unheard
                answer = {"ok": False, "stage": self.stage, **describe(error)}
            if answer.get("kind") == "memory":
                self._give_memory_back()
            self._write(answer)

    def _read(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            part = os.read(self.channel, size - len(parts))
            if not part:
                os._exit(0)
            parts += part
        return parts

    def _write(self, answer: dict[str, Any]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        data = json.dumps(answer).encode()
        view = memoryview(_LENGTH.pack(len(data)) + data)
        while view:
            view = view[os.write(self.channel, view) :]

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        """Import the encoder's code and construct it."""
        self.stage = "torch"
        import numpy  # noqa: F401
        import torch

        self.products = _import_beside("child_products")
        torch.set_num_threads(request["threads"])
        with contextlib.suppress(RuntimeError):
            torch.set_num_interop_threads(1)
        baseline = _resident_bytes("VmRSS:")
        self.stage = "device"
        self.device = torch.device(request["device"])
        torch.empty(1, device=self.device)
        _be_repeatable(self.device, 0)
        child_import.start_recording()
        self.stage = "import"
        try:
            module = child_import.import_encoder(request)
        except ModuleNotFoundError as error:
            child_find.check_module(error, request)
            raise
        factory = child_find.find_class(module, request)
        name = getattr(factory, "__name__", type(factory).__name__)
        child_find.check_arguments(factory, name, request["arguments"])
        self.stage = "construct"
        encoder = factory(**request["arguments"])
        if not isinstance(encoder, torch.nn.Module):
            raise child_find.RefusalError(
                f"{name} makes a {type(encoder).__name__}; an encoder is a torch.nn.Module: write "
                f"'class {name}(torch.nn.Module):' and call super().__init__() first.",
            )
        self.encoder = encoder.to(self.device)
        self._freeze()
        self.arguments_taken = child_find.positional_arguments(self.encoder.forward)
        output_dim = getattr(self.encoder, "output_dim", None)
        with contextlib.suppress(TypeError, AttributeError):
            output_dim = output_dim.__index__()  # type: ignore[union-attr]
        is_sensible = type(output_dim) is int and abs(output_dim) < 1 << 60
        notes = getattr(self.encoder, "loading_notes", []) if request.get("built_in") else []
        return {
            "class_name": _short(str(name)),
            "output_dim": output_dim if is_sensible else None,
            "output_dim_seen": _short(repr(getattr(self.encoder, "output_dim", None))),
            "baseline_bytes": baseline,
            "arguments_taken": self.arguments_taken,
            "mask_argument": child_find.mask_argument(self.encoder.forward),
            "notes": [_short(note, 1_000) for note in notes[:20]],
        }

    def _freeze(self) -> None:
        self.encoder.eval()
        self.encoder.requires_grad_(False)

    def encode(self, request: dict[str, Any]) -> dict[str, Any]:
        """Encode one padded batch; the windows' lengths give the mask."""
        import numpy
        import torch

        self.stage = "forward"
        audio = numpy.empty(request["shape"], dtype=numpy.float32)
        _read_file(self.audio[request["bank"]], audio.reshape(-1).view(numpy.uint8).data)
        batch = torch.from_numpy(audio).to(self.device)
        mask = torch.zeros(batch.shape, dtype=torch.int32)
        for row, length in enumerate(request["lengths"]):
            mask[row, :length] = 1
        mask = mask.to(self.device)
        _be_repeatable(self.device, request["seed"])
        self._freeze()
        on_cuda = self.device.type == "cuda"
        if on_cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        plain = torch.autocast(device_type=self.device.type, enabled=False)
        with torch.no_grad(), plain, self.products.fast_products():
            given = (batch, mask) if self.arguments_taken > 1 else (batch,)
            output = self.encoder(*given)
        answer: dict[str, Any] = {}
        try:
            target = self.features[request["bank"]]
            answer = child_output.send(*child_output.unpack(output, len(audio)), target)
        except child_output.BadOutputError as bad:
            answer["bad_output"] = {"rule": bad.rule, "seen": _short(str(bad))}
        answer["resident_bytes"] = _resident_bytes("VmHWM:")
        answer["device_bytes"] = torch.cuda.max_memory_reserved(self.device) if on_cuda else None
        answer["training"] = any(module.training for module in self.encoder.modules())
        return answer

    def _give_memory_back(self) -> None:
        """What a batch that did not fit has left must not keep its parts from fitting."""
        gc.collect()
        if self.device is not None and self.device.type == "cuda":
            import torch

            torch.cuda.empty_cache()

    def sums(self, request: dict[str, Any]) -> dict[str, Any]:
        """Sums of the parameters and of the buffers: they must not change."""
        self.stage = "sums"
        named = {"parameters": self.encoder.parameters(), "buffers": self.encoder.buffers()}
        return {name: [_sum(tensor) for tensor in tensors] for name, tensors in named.items()}

    def report(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say what was opened and imported; after this nothing more is recorded."""
        self.stage = "report"
        files: dict[str, Any] = child_import.recorded(request["also"])
        odd = next((path for path in files["files"] if _whole(path) != path), None)
        if odd is not None:
            raise child_find.RefusalError(
                f"The encoder opened {_short(odd)}, whose name is not UTF-8, so that no record can "
                "hold it. Rename the file."
            )
        return {"num_parameters": self.number_of_parameters(), **files}

    def number_of_parameters(self) -> int:
        """How many numbers the encoder has learned; lazy parameters count once they are made."""
        return sum(_size(parameter) for parameter in self.encoder.parameters())


def _import_beside(name: str) -> Any:
    """A file of this folder that needs torch, so it comes after torch."""
    place = importlib.util.spec_from_file_location(name, _HERE / f"{name}.py")
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    sys.modules[name] = module  # torch's compiler looks there
    place.loader.exec_module(module)
    return module


def _be_repeatable(device: Any, seed: int) -> None:
    """Set every switch that makes one batch give one answer; the encoder may have moved them."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    try:  # torch.use_deterministic_algorithms does this, and a second of unrelated imports
        torch._C._set_deterministic_algorithms(True, warn_only=True)
    except (AttributeError, TypeError):
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def describe(error: BaseException) -> dict[str, str]:
    """What an answer says of an error: its sentence, and its traceback without our own frames."""
    if getattr(error, "says_all", False):
        return {"kind": "load", "text": _short(str(error), 1_500)}
    memory = isinstance(error, MemoryError) or any(
        sign in str(error) for sign in ("out of memory", "can't allocate memory")
    )
    trace = traceback.TracebackException.from_exception(error)
    own = [frame for frame in trace.stack if Path(frame.filename).parent != _HERE]
    trace.stack = traceback.StackSummary.from_list(own)
    text = _whole("".join(trace.format()))
    if len(text) > _MAX_TEXT:
        text = f"{text[: _MAX_TEXT // 2]}\n[...]\n{text[-_MAX_TEXT // 2 :]}"
    kind = "memory" if memory else "crash"
    said = _ends(f"{type(error).__name__}: {error}")
    return {"kind": kind, "text": said, "traceback": text}


def _read_file(descriptor: int, into: memoryview) -> None:
    place = 0
    while place < len(into):
        count = os.preadv(descriptor, [into[place:]], place)
        if not count:
            raise RuntimeError("the audio that was promised is not there")
        place += count


def _size(parameter: Any) -> int:
    try:
        return int(parameter.numel())
    except (ValueError, RuntimeError):  # a lazy parameter that was never used
        return 0


def _sum(tensor: Any) -> str:
    import torch

    try:
        return float(tensor.detach().abs().sum(dtype=torch.float64)).hex()
    except (ValueError, RuntimeError, TypeError):  # lazy, complex, quantised
        return "unknown"


def _ends(text: str) -> str:
    """A long text's first and last line: the last one often names the cause."""
    lines = [line.strip() for line in _whole(text).splitlines() if line.strip()]
    if len(text) <= 500 or len(lines) < 2:
        return _short(text)
    return f"{lines[0][:240]} [...] {lines[-1][-240:]}"


def _short(text: str, limit: int = 500) -> str:
    text = _whole(text)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _whole(text: str) -> str:
    """Text without halves of characters, as bytes of a file's name that are no UTF-8 leave them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _resident_bytes(line: str) -> int | None:
    """This program's memory now (VmRSS) or at its peak (VmHWM).

    Linux's getrusage is no good for it: it counts the process that started this one too.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split(line)[1].split()[0]) * 1024
    return None


def die_with_parent(lifeline: int, *, thread_is_main: bool) -> None:
    """Have this process and what it started end when the parent's end of the lifeline closes.

    On Linux the kernel does it, so an encoder that never gives up the interpreter is ended too:
    the pipe's closing raises SIGKILL for the whole process group.
    """

    def watch() -> None:
        os.read(lifeline, 1)
        try:
            os.killpg(0, signal.SIGKILL)
        except PermissionError:  # behind locks, which end with the parent by themselves
            os._exit(1)

    if sys.platform == "linux":
        import ctypes
        import fcntl

        with contextlib.suppress(PermissionError):  # as above
            fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
            flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
            fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
        if thread_is_main:  # this signal comes when the parent's *thread* ends
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Take the descriptors' numbers from the command line and serve."""
    thread_is_main, channel, lifeline, *files = (int(text) for text in sys.argv[1:])
    for descriptor in (channel, lifeline, *files):
        os.set_inheritable(descriptor, False)
    sys.argv[1:] = []
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    die_with_parent(lifeline, thread_is_main=bool(thread_is_main))
    faulthandler.enable()
    Child(channel, files).serve()


if __name__ == "__main__":
    main()
