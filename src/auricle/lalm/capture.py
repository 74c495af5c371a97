"""Work that a GPU captures once and then replays at one launch: CUDA graphs.

A training step of SmolLM2-135M is some four thousand operations, each of which takes a CPU longer
to ask for than an H100 to do. Captured, they are asked for once. What is captured replays the same
operations on the same memory: it may read nothing back, and its inputs are tensors that stay.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

import torch
from torch import Tensor

# A capture keeps its own list of operations on the GPU; the longest unused one makes room. So
# many are enough for clips of all lengths (benchmarks/shapes.py).
MOST = 64
# Settings with which torch takes cuBLAS for repeatable.
_REPEATABLE = (":4096:8", ":16:8")
# How far a repetition may be from the work itself: what a changed order of additions can explain.
_TOLERANCE = 1e-2

logger = logging.getLogger(__name__)

Work = Callable[[], object]


class Capturer(Protocol):
    """Captures work on one device."""

    def warm_up(self, work: Work) -> None:
        """Do the work once where it will be captured, so that libraries are set up."""

    def capture(self, work: Work, generator: torch.Generator | None) -> Work:
        """What replays the work; ``generator`` is read where it then stands."""


class CudaCapturer:
    """CUDA graphs that share their memory, since no two of them run at a time."""

    def __init__(self, device: torch.device) -> None:
        """Prepare a stream and a pool of memory."""
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Work) -> None:
        """See `Capturer`."""
        outside = torch.cuda.current_stream()
        self._stream.wait_stream(outside)
        with torch.cuda.stream(self._stream):
            work()
        outside.wait_stream(self._stream)

    def capture(self, work: Work, generator: torch.Generator | None) -> Work:
        """See `Capturer`."""
        graph = torch.cuda.CUDAGraph()
        if generator is not None:
            graph.register_generator_state(generator)
        # A capture that fails leaves its stream in use, so ours is named again around it. Other
        # threads prepare batches meanwhile; what they do is no business of this capture.
        with (
            torch.cuda.stream(torch.cuda.current_stream()),
            torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ),
        ):
            work()
        return graph.replay


def prepare_gpu(device: torch.device) -> None:
    """Make a GPU this process' own, with results that repeat; before its first product there."""
    if device.index is not None:
        torch.cuda.set_device(device)
    if os.environ.get("CUBLAS_WORKSPACE_CONFIG") not in _REPEATABLE:  # read at that product
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = _REPEATABLE[0]
    # With fewer than 8 key heads cuDNN's attention can be wrong without a word, on a B200 at least
    # (github.com/pytorch/pytorch/issues/193893); SmolLM2-135M has 3.
    torch.backends.cuda.enable_cudnn_sdp(False)


def capturer_of(device: torch.device) -> Capturer | None:
    """The capturer of a device, None where capture gains nothing."""
    return CudaCapturer(device) if device.type == "cuda" else None


def round_up(count: int, *, least: int, sizes: int) -> int:
    """The next of few sizes, further apart the larger they are.

    Args:
        count: At least 1.
        least: All sizes are multiples of it.
        sizes: Between a power of two and the next, where ``least`` allows as many.
    """
    step = max(least, (1 << (count - 1).bit_length()) // 2 // sizes)
    return -(-count // step) * step


class Captures:
    """Work by key, each captured when it is first asked for and compared with itself.

    Where a capture fails or gives other numbers than the work, everything is done step by step
    from there on: slower, with the same operations in the same order.
    """

    def __init__(self, capturer: Capturer, *, patience: int = 0) -> None:
        """Nothing is captured yet; ``given_up`` says why nothing is any more, if so.

        Args:
            capturer: Of the work's device.
            patience: How often work is done as it is before it is worth a capture.
        """
        self._capturer: Capturer | None = capturer
        self._patience = patience
        self._uses: Counter[Hashable] = Counter()
        self._made: OrderedDict[Hashable, Work] = OrderedDict()
        self.given_up = ""

    def clear(self) -> None:
        """Forget all captures, and so their memory."""
        self._made.clear()

    def run(
        self,
        key: Hashable,
        work: Work,
        results: Callable[[], Sequence[Tensor]],
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        """Do the work.

        Args:
            key: Names the operations and the memory that they use.
            work: May be done twice: the second time gives the same.
            results: Where the work leaves what it computed.
            generator: What the work draws from; it is seeded.
        """
        if key in self._made:
            self._made.move_to_end(key)
            self._made[key]()
            return
        self._uses[key] += 1
        if self._capturer is None or self._uses[key] <= self._patience:
            work()
            return
        seed = 0 if generator is None else generator.initial_seed()

        def seed_again() -> None:
            if generator is not None:
                generator.manual_seed(seed)

        try:
            self._capturer.warm_up(work)
            why = ""
        except torch.OutOfMemoryError as error:
            if not self._made:
                raise
            why = _first_line(error)  # the work might fit where the captures are not
        if why:
            self._give_up(why)
            seed_again()
            work()
            return
        expected = [result.clone() for result in results()]
        try:
            replay = self._capturer.capture(work, generator)
            seed_again()
            replay()
            found = results()
            same = all(_close(a, b) for a, b in zip(found, expected, strict=True))
            why = "" if same else "its replay gives other numbers"
        except RuntimeError as error:
            why = _first_line(error.__context__ or error)  # what came before a capture's end
        if why:
            self._give_up(why)
            for result, value in zip(results(), expected, strict=True):
                result.copy_(value)
            return
        self._made[key] = replay
        if len(self._made) > MOST:
            self._made.popitem(last=False)

    def _give_up(self, why: str) -> None:
        self.given_up = (
            f"The GPU's work cannot be captured as a CUDA graph ({why}); it is launched step by "
            "step, which is slower and gives the same results."
        )
        logger.warning("%s", self.given_up)
        self._capturer = None
        self._made.clear()
        torch.cuda.empty_cache()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _close(found: Tensor, expected: Tensor) -> bool:
    """Whether two results are the same but for rounding; not-a-number equals itself."""
    found, expected = found.double().nan_to_num(), expected.double().nan_to_num()
    return bool((found - expected).norm() <= _TOLERANCE * expected.norm() + 1e-9)
