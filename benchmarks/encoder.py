"""What encoding costs beside the encoder: start, calls, bytes; and how fast the built-ins are.

    python benchmarks/encoder.py [ENCODER ...]
    python benchmarks/encoder.py --products   # transformers through torch, and as we do

Prints one line per figure; medians over repetitions, one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


def measure_products() -> None:
    """Transformers with random weights: as torch computes them, and as an encoder's process does.

    Both sides in turn, CPU milliseconds a batch; medians of 5 pairs. They are the same where MKL is
    fast.
    """
    import torch

    from auricle.encoder import child_products

    print("| encoder | batch | torch, ms | ours, ms | ratio | largest difference |")
    print("|---|---|---|---|---|---|")
    for name, batch, forward in models():
        taken: tuple[list[float], list[float]] = ([], [])
        features = []
        with torch.no_grad():
            for number in range(6):
                for side, ours in ((0, False), (1, True)):
                    with child_products.fast_products() if ours else contextlib.nullcontext():
                        started = time.process_time()
                        output = forward()
                        taken[side].append(time.process_time() - started)
                    if not number:  # the first pair only warms up
                        features.append(output)
        plain, own = (statistics.median(times[1:]) * 1e3 for times in taken)
        difference = float((features[0] - features[1]).abs().max())
        print(
            f"| {name} | {batch} | {plain:.0f} | {own:.0f} | {plain / own:.2f} "
            f"| {difference:.1e} |",
            flush=True,
        )


def models() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Name, batch and forward of each: the benchmarks' own, and base sizes of four families."""
    import torch
    import transformers as hf
    from base_encoder import BaseEncoder
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(0)
    base = BaseEncoder().eval()
    for count, seconds in ((1, 1), (1, 2), (1, 10), (8, 2), (4, 10)):
        windows = [probe_audio(n, seconds * SAMPLE_RATE) for n in range(count)]
        audio = torch.from_numpy(np.stack(windows))
        kept = torch.ones(audio.shape, dtype=torch.int32)
        yield "12 layers of 768", f"{count} x {seconds} s", lambda a=audio, m=kept: base(a, m)[0]
    sizes = {"encoder_layers": 12, "encoder_attention_heads": 12, "encoder_ffn_dim": 3072}
    audio = torch.randn(4, 10 * SAMPLE_RATE)
    for name, batch, model, given in (
        ("wav2vec 2.0 base", "4 x 10 s", hf.Wav2Vec2Model(hf.Wav2Vec2Config()), audio),
        ("WavLM base", "4 x 10 s", hf.WavLMModel(hf.WavLMConfig()), audio),
        (
            "Whisper small's encoder",
            "1 x 30 s",
            WhisperEncoder(hf.WhisperConfig(d_model=768, **sizes)),
            torch.randn(1, 80, 3000),
        ),
        ("AST", "2 x 10.24 s", hf.ASTModel(hf.ASTConfig()), torch.randn(2, 1024, 128)),
    ):
        model.eval()
        yield name, batch, lambda m=model, x=given: m(x).last_hidden_state


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoders", nargs="*", metavar="ENCODER")
    parser.add_argument(
        "--products", action="store_true", help="transformers through torch, and as we do, instead"
    )
    arguments = parser.parse_args()
    if arguments.products:
        measure_products()
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure_channel(folder)
        examples = Path(__file__).parents[1] / "examples"
        own = [str(examples / "mean_1s.py"), str(examples / "eight_band.py")]
        for text in arguments.encoders or ["logmel", "noise", *own]:
            measure_encoder(text, folder)


if __name__ == "__main__":
    main()
