"""The training step: ours against the plain baseline, on the same batches in turn.

    python benchmarks/train_step.py [--seconds 10] [--steps 20] [--precision float32]
                                    [--dropout 0] [--threads 1] [--pairs 5] [--device cpu]
                                    [--eager]

SmolLM2-135M's shape with random weights, a 12-layer 768-wide encoder, clips of equal length at 25
frames a second, batch 4, official recipe. Both train from the same weights on the same batches:
``--steps`` steps show that the losses stay equal, the first ``--pairs`` of them, after one to warm
up, are timed in alternation. Ours reads features from memory, as after the feature stage; the
encoder's own time is measured beside the baseline's step, with and without it. Memory is measured
in a process for each side: how far its resident peak rises above what it held before the steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import machine
import plain_baseline as plain
import torch

from auricle.catalog.recipe import Recipe
from auricle.lalm.batch import Example, pack
from auricle.lalm.gradients import PackedGradients, gradients_of
from auricle.lalm.lora import LoraSettings, save_adapter
from auricle.lalm.model import LALM, build_lalm
from auricle.lalm.optimiser import Optimiser, learning_rate
from auricle.lalm.pieces import values

BATCH = 4


def recipe_of(decoder: Path, arguments: argparse.Namespace) -> Recipe:
    """The official recipe around a local decoder, with a warm-up that a short test can see."""
    data: dict[str, Any] = {
        "name": "benchmark",
        "decoder": str(decoder),
        "decoder_config": None,
        "lora": {"rank": 8, "alpha": 32.0, "dropout": arguments.dropout},
        "train": {
            "steps": max(arguments.steps, 6),
            "batch_size": BATCH,
            "lr": 1e-4,
            "warmup": 5,
            "weight_decay": 0.01,
            "max_grad_norm": 1.0,
            "train_decoder": False,
        },
        "features": {"dtype": None, "concat": 1},
        "crop": {"length_s": 30.0, "grid_s": 5.0},
        "answer": {"max_new_tokens": 150, "repetition_penalty": 1.05},
        "precision": arguments.precision,
    }
    return Recipe.model_validate(data)


def samples(seconds: float, count: int) -> list[plain.Sample]:
    """Clips of one length; prompts of 7 to 9 tokens, targets of 3 to 12 with EOS."""
    generator = torch.Generator().manual_seed(1)

    def words(low: int, high: int) -> tuple[int, ...]:
        size = int(torch.randint(low, high + 1, (), generator=generator))
        return tuple(torch.randint(1, 49152, (size,), generator=generator).tolist())

    frames = round(seconds * plain.FRAME_RATE)
    return [
        plain.Sample(
            f"clip-{i}",
            torch.randn(frames, plain.WIDTH, generator=generator),
            words(7, 9),
            (*words(2, 11), 0),
        )
        for i in range(count)
    ]


class Ours:
    """The steps as `auricle.lalm.train.Trainer` does them, with features at hand."""

    def __init__(self, recipe: Recipe, device: str, *, captured: bool = True) -> None:
        self.recipe = recipe
        no_tokens: Any = None  # only a mini decoder asks for them
        self.lalm: LALM = build_lalm(
            recipe, tokens=no_tokens, feature_dim=plain.WIDTH, seed=1, device=device
        )
        self.gradients = gradients_of(self.lalm) if captured else PackedGradients(self.lalm)
        self.optimiser = Optimiser(self.lalm.pieces(), train=recipe.train)

    def step(self, batch: list[plain.Sample], features: list[torch.Tensor], number: int) -> float:
        """One training step."""
        examples = [Example(0, s.name, 0.0, s.prompt, s.target) for s in batch]
        packed = pack(examples, features, concat=1)
        seed = number if self.recipe.lora is not None and self.recipe.lora.dropout else None
        loss = self.gradients(packed, seed)
        self.optimiser.step(number)
        return float(loss.item())


def model_flops(rows: int, labelled: int) -> float:
    """Least work of a step: each frozen matrix forward and for the input's gradient, attention.

    The last block's query, output and MLP and the head count for labelled rows alone.
    """
    q, kv, mlp = 576 * 576, 2 * 576 * 192, 3 * 576 * 1536
    full, tail = 29 * (2 * q + kv + mlp) + kv, 2 * q + mlp + 576 * 49152
    length = rows / BATCH
    attention = 29 * BATCH * 9 * 64 * length**2 / 2 * 2  # scores and values, causal half
    return 2 * (2 * (rows * full + labelled * tail) + 3.5 * attention)


def compare(arguments: argparse.Namespace, decoder: Path, adapter: Path) -> dict[str, Any]:
    """Alternate both sides on the same batches."""
    recipe = recipe_of(decoder, arguments)
    torch.manual_seed(0)
    encoder = plain.make_encoder().to(arguments.device)
    ours = Ours(recipe, arguments.device, captured=not arguments.eager)
    start = values(ours.lalm.pieces())
    save_adapter(adapter, start, LoraSettings(8, 32, arguments.dropout))
    theirs = plain.PlainLALM(
        decoder,
        encoder=encoder,
        dropout=arguments.dropout,
        adapter=adapter,
        device=arguments.device,
    )
    theirs.set_projector(start["projector.weight"], start["projector.bias"])
    clips = samples(arguments.seconds, BATCH * arguments.steps)
    rows: list[dict[str, float]] = []
    worst = 0.0
    for number in range(arguments.steps):
        batch = clips[BATCH * number : BATCH * (number + 1)]
        rate = learning_rate(number, train=recipe.train)
        frames = torch.stack([s.frames for s in batch]).to(arguments.device)
        with torch.no_grad():
            encode = machine.timed(lambda frames=frames: encoder(frames), device=arguments.device)
        features = list(encode.result.cpu())
        sides = {
            "plain": lambda batch=batch, rate=rate: theirs.step(batch, rate=rate),
            "ours": lambda batch=batch, features=features, number=number: ours.step(
                batch, features, number
            ),
        }
        row = {"encode_cpu": encode.cpu_s, "encode_wall": encode.wall_s}
        losses = {}
        for name in ("plain", "ours") if number % 2 else ("ours", "plain"):
            done = machine.timed(sides[name], device=arguments.device)
            row |= {f"{name}_cpu": done.cpu_s, f"{name}_wall": done.wall_s}
            losses[name] = done.result
        worst = max(worst, abs(losses["plain"] - losses["ours"]))
        if 1 <= number <= arguments.pairs:
            rows.append(row)
        print(f"step {number}: {losses} {row}", file=sys.stderr, flush=True)
    median = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    unit = "cpu" if arguments.device == "cpu" else "wall"
    whole, encode, own = f"plain_{unit}", f"encode_{unit}", f"ours_{unit}"
    ratios = {
        "ratio_with_encoder": [r[whole] / r[own] for r in rows],
        "ratio_without_encoder": [(r[whole] - r[encode]) / r[own] for r in rows],
    }
    labelled = statistics.mean(len(s.target) for s in clips) * BATCH
    length = statistics.mean(len(s.frames) + len(s.prompt) + len(s.target) - 1 for s in clips)
    dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    peak = machine.measure(dtype, arguments.device)
    flops = model_flops(round(length * BATCH), round(labelled))
    return {
        **median,
        **{name: statistics.median(found) for name, found in ratios.items()},
        "largest_loss_difference": worst,
        "peak_gflops": peak.flops / 1e9,
        "copy_gb_per_s": peak.bytes_per_s / 1e9,
        "least_gflop": flops / 1e9,
        "roofline_share": flops / peak.flops / median[own],
    }


def remember(arguments: argparse.Namespace, decoder: Path) -> float:
    """Rise of this process's peak memory over three steps of one side, in MB."""
    clips = samples(arguments.seconds, BATCH * 3)
    batches = [clips[BATCH * i : BATCH * (i + 1)] for i in range(3)]
    if arguments.memory_of == "ours":
        recipe = recipe_of(decoder, arguments)
        ours = Ours(recipe, arguments.device, captured=not arguments.eager)
        steps = [
            lambda i=i, b=b: ours.step(b, [s.frames for s in b], i) for i, b in enumerate(batches)
        ]
    else:
        theirs = plain.PlainLALM(decoder, dropout=arguments.dropout, device=arguments.device)
        steps = [lambda b=b: theirs.step(b, rate=1e-4) for b in batches]
    return machine.timed(lambda: [step() for step in steps], device=arguments.device).memory_mb


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--eager", action="store_true", help="on a GPU: launch ours operation by operation"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead")
    parser.add_argument("--memory-of", choices=("ours", "plain"))
    parser.add_argument("--decoder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        print(json.dumps(remember(arguments, arguments.decoder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        decoder = arguments.decoder or Path(folder) / "decoder"
        if not decoder.exists():
            plain.save_decoder(decoder)
        memory = {}
        for side in ("plain", "ours"):
            command = [sys.executable, __file__, *sys.argv[1:], "--memory-of", side]
            command += ["--decoder", str(decoder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            memory[side] = json.loads(done.stdout)
        found = compare(arguments, decoder, Path(folder) / "adapter")
    if arguments.json:
        print(json.dumps({**found, "memory_mb": memory}))
        return
    show(arguments, found, memory)


def show(arguments: argparse.Namespace, found: dict[str, Any], memory: dict[str, float]) -> None:
    """Print a Markdown table."""
    print(
        f"\nTraining step, {arguments.precision}, {arguments.seconds:g}-s clips, batch {BATCH}, "
        f"adapter dropout {arguments.dropout:g}, {arguments.threads} thread(s); medians of "
        f"{arguments.pairs} pairs\n"
    )
    print("| | plain | plain without its encoder | ours | ratio | ratio without encoder |")
    print("|---|---|---|---|---|---|")
    bare = found["plain_cpu"] - found["encode_cpu"]
    print(
        f"| CPU s a step | {found['plain_cpu']:.2f} | {bare:.2f} | {found['ours_cpu']:.2f} "
        f"| {found['ratio_with_encoder']:.2f} | {found['ratio_without_encoder']:.2f} |"
    )
    print(
        f"| wall s a step | {found['plain_wall']:.2f} | | {found['ours_wall']:.2f} "
        f"| {found['plain_wall'] / found['ours_wall']:.2f} | |"
    )
    print(
        f"| memory MB | {memory['plain']:.0f} | | {memory['ours']:.0f} "
        f"| {memory['plain'] / memory['ours']:.2f} | |"
    )
    print(
        f"\nLargest difference of losses over {arguments.steps} steps: "
        f"{found['largest_loss_difference']:.1e}. "
        f"Least work {found['least_gflop']:.0f} GFLOP; this core reaches "
        f"{found['peak_gflops']:.0f} GFLOP/s in a product and "
        f"{found['copy_gb_per_s']:.1f} GB/s in a copy: ours is at "
        f"{100 * found['roofline_share']:.0f} % of the product's roofline."
    )


if __name__ == "__main__":
    main()
