"""What encoding costs beside the encoder: start, calls, bytes; and how fast the built-ins are.

    python benchmarks/encoder.py [ENCODER ...]

Prints one line per figure; medians over repetitions, one thread.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from auricle.encoder.contract import SAMPLE_RATE
from auricle.encoder.host import EncoderProcess, probe_audio
from auricle.encoder.load import parse_encoder

EMPTY = """
import torch

class EmptyEncoder(torch.nn.Module):
    output_dim = {dim}

    def forward(self, audio, mask):
        return torch.zeros(len(audio), max(audio.shape[1] // 640, 1), {dim}), None
"""


def median_s(action: Callable[[], object], repetitions: int) -> float:
    """Median duration of an action, after one that does not count."""
    action()
    taken = []
    for _ in range(repetitions):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def measure_channel(folder: Path) -> None:
    """Start-up and the cost of a call, with an encoder that does nothing."""
    path = folder / "empty.py"
    path.write_text(EMPTY.format(dim=768))
    started = time.perf_counter()
    with EncoderProcess(parse_encoder(str(path)), log_path=folder / "log") as process:
        print(f"start to first features          {time.perf_counter() - started:8.2f} s")
        small = [np.zeros(1_600, np.float32)]
        call_s = median_s(lambda: process.encode(small, labels=["x"]), 200)
        print(f"one call, 0.1 s of audio         {call_s * 1e3:8.2f} ms")
        large = [probe_audio(n, 30 * SAMPLE_RATE) for n in range(8)]
        call_s = median_s(lambda: process.encode(large, labels=list("abcdefgh")), 10)
        print(f"one call, 8 x 30 s, D 768        {call_s * 1e3:8.2f} ms")
        print(f"   so at most                    {240 / call_s:8.0f} x real time")


def measure_encoder(text: str, folder: Path) -> None:
    """Times real time of one encoder, in long and in short windows."""
    with EncoderProcess(parse_encoder(text), log_path=folder / "log") as process:
        for count, seconds in ((16, 10), (64, 2), (4, 30)):
            batch = [probe_audio(n, seconds * SAMPLE_RATE) for n in range(count)]
            labels = [str(n) for n in range(count)]
            call_s = median_s(lambda b=batch, names=labels: process.encode(b, labels=names), 10)
            rate = count * seconds / call_s
            print(f"{text[-24:]:24} {count:3} x {seconds:2} s {rate:8.0f} x real time")


def main() -> None:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure_channel(folder)
        examples = Path(__file__).parents[1] / "examples"
        own = [str(examples / "mean_1s.py"), str(examples / "eight_band.py")]
        for text in sys.argv[1:] or ["logmel", "noise", *own]:
            measure_encoder(text, folder)


if __name__ == "__main__":
    main()
