"""Answering: ours against the plain baseline, on the same clips in turn.

    python benchmarks/answering.py [--precision float32] [--device cpu] [--threads 1] [--pairs 3]
                                   [--chunk 64] [--batch 4]

Three tasks: keywords of 1-s clips and captions with five references of 10-s clips, at
SmolLM2-135M's shape with random weights, every answer ended at the length of its reference; and
keywords again with a mini decoder that is trained here and ends its answers by itself. Ours
answers a chunk as `auricle.lalm.answer.Answerer` does, from features at hand, once for a clip. The
baseline answers one batch of the same clips: encoder inside, adapters beside the weights, once for
each reference. Clips of a task have one length and one prompt, so that no row is padded: where
rows are, transformers counts the repetition penalty otherwise (its tokens would differ). Tokens
are compared; what the encoder takes of the baseline's time is measured beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import plain_baseline as plain
import torch
from torch import Tensor

from auricle.catalog.load import get_recipe
from auricle.catalog.recipe import Recipe, apply_settings
from auricle.lalm.batch import Example, pack
from auricle.lalm.decode import Generator
from auricle.lalm.greedy import Settings
from auricle.lalm.lora import LoraSettings, save_adapter
from auricle.lalm.model import LALM, build_lalm
from auricle.lalm.optimiser import Optimiser
from auricle.lalm.pieces import values

KEYWORDS = 30
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Clip:
    """A question and the length of its reference, EOS included; 0 = the answer ends by itself."""

    frames: Tensor
    prompt: tuple[int, ...]
    limit: int


class Ended(Generator):
    """Every answer ends at its reference's length, as if the decoder had said EOS there."""

    limits: Sequence[int] = ()

    def choose(self, logits: Tensor, rows: Any) -> Tensor:
        """As ever, but EOS where the reference ends."""
        chosen = super().choose(logits, rows)
        for place, owner in enumerate(rows.owners):
            if len(rows.answers[owner]) + 1 == self.limits[owner]:
                chosen[place] = rows.settings.eos_id
        return chosen


class Ours:
    """A LALM ready to answer chunks."""

    def __init__(self, lalm: LALM, recipe: Recipe, eos_id: int) -> None:
        self.lalm = lalm
        self.settings = Settings(
            eos_id, recipe.answer.max_new_tokens, recipe.answer.repetition_penalty
        )
        self.generator = Ended(lalm.decoder)

    @torch.inference_mode()
    def answer(self, clips: Sequence[Clip], features: Sequence[Tensor]) -> list[list[int]]:
        """One chunk."""
        self.generator.limits = [clip.limit for clip in clips]
        audio = [self.lalm.positions(x) for x in features]
        return self.generator.generate(audio, [clip.prompt for clip in clips], self.settings)


def words(generator: torch.Generator, count: int, vocabulary: int) -> tuple[int, ...]:
    """Random tokens, none of them EOS."""
    return tuple(torch.randint(1, vocabulary, (count,), generator=generator).tolist())


def clips_of(seconds: float, count: int, lengths: tuple[int, int], vocabulary: int) -> list[Clip]:
    """Clips of one length with one prompt, references of random lengths."""
    generator = torch.Generator().manual_seed(3)
    prompt = words(generator, 8, vocabulary)
    frames = round(seconds * plain.FRAME_RATE)
    return [
        Clip(
            torch.randn(frames, plain.WIDTH, generator=generator),
            prompt,
            int(torch.randint(lengths[0], lengths[1] + 1, (), generator=generator)),
        )
        for _ in range(count)
    ]


def official(folder: Path, device: str, precision: str) -> tuple[Ours, plain.PlainLALM]:
    """Both sides with the official recipe, the same random weights and adapters."""
    decoder = folder / "decoder"
    plain.save_decoder(decoder)
    recipe = apply_settings(
        get_recipe("official"), [f"decoder={decoder}", f"precision={precision}"]
    )
    no_tokens: Any = None  # only a mini decoder asks for them
    lalm = build_lalm(recipe, tokens=no_tokens, feature_dim=plain.WIDTH, seed=1, device=device)
    with torch.no_grad():
        for piece in lalm.pieces():
            if "lora_B" in piece.name:  # zero at first: as if trained
                piece.of(piece.parameter).normal_(0, 0.02)
    start = values(lalm.pieces())
    save_adapter(folder / "adapter", start, LoraSettings(8, 32, 0.1))
    theirs = plain.PlainLALM(
        decoder, encoder=plain.make_encoder(), adapter=folder / "adapter", device=device
    )
    theirs.set_projector(start["projector.weight"], start["projector.bias"])
    return Ours(lalm, recipe, eos_id=0), theirs


def mini(folder: Path, device: str) -> tuple[Ours, plain.PlainLALM, list[Clip]]:
    """Both sides with a mini decoder that has learnt to name prototypes, and clips to ask about."""
    generator = torch.Generator().manual_seed(4)
    recipe = apply_settings(get_recipe("mini"), ["train.steps=150", "train.warmup=20"])
    # A mini decoder asks its tokenizer for the number of tokens and for EOS alone.
    tokens: Any = type("Words", (), {"__len__": lambda _: 600, "eos_id": 0})()
    lalm = build_lalm(recipe, tokens=tokens, feature_dim=plain.WIDTH, seed=1, device=device)
    prompt = words(generator, 8, 600)
    names = [words(generator, 1 + number % 3, 600) for number in range(KEYWORDS)]
    sounds = torch.randn(KEYWORDS, plain.FRAME_RATE, plain.WIDTH, generator=generator)

    def heard(number: int) -> Tensor:
        noise = torch.randn(plain.FRAME_RATE, plain.WIDTH, generator=generator)
        return sounds[number] + 2 * noise

    optimiser = Optimiser(lalm.pieces(), train=recipe.train)
    for step in range(recipe.train.steps):
        drawn = torch.randint(KEYWORDS, (32,), generator=generator).tolist()
        examples = [Example(0, "", 1.0, prompt, (*names[n], 0)) for n in drawn]
        batch = pack(examples, [heard(n) for n in drawn], concat=recipe.features.concat)
        lalm.loss(batch.to(lalm.device)).backward()
        optimiser.step(step)
    trained = values(lalm.pieces())
    assert recipe.decoder_config is not None
    shape = {**recipe.decoder_config.model_dump(), "vocab_size": 600}
    plain.save_decoder(folder / "mini", shape=shape, values=trained)
    theirs = plain.PlainLALM(
        folder / "mini", encoder=plain.make_encoder(), lora=False, concat=4, device=device
    )
    theirs.set_projector(trained["projector.weight"], trained["projector.bias"])
    clips = [Clip(heard(n % KEYWORDS), prompt, 0) for n in range(64)]
    return Ours(lalm, recipe, eos_id=0), theirs, clips


def compare(
    ours: Ours,
    theirs: plain.PlainLALM,
    clips: Sequence[Clip],
    arguments: argparse.Namespace,
    *,
    references: int,
) -> dict[str, Any]:
    """Alternate a chunk of ours and a batch of theirs; CPU and wall seconds of a clip."""
    encoder = theirs.encoder
    chunk, batch = clips[: arguments.chunk], arguments.batch
    longest = ours.settings.max_new_tokens
    penalty = ours.settings.repetition_penalty
    with torch.inference_mode():
        features = [x for c in chunk for x in encoder(c.frames[None].to(theirs.device))]
    rows: list[dict[str, float]] = []
    for number in range(arguments.pairs + 1):
        first = number * batch % (len(chunk) - batch + 1)
        asked = chunk[first : first + batch]
        frames, prompts = [c.frames for c in asked], [c.prompt for c in asked]
        limits = [c.limit or longest for c in asked]

        def plainly(
            frames: Any = frames, prompts: Any = prompts, limits: Any = limits
        ) -> list[list[int]]:
            for _ in range(references):
                said = theirs.answer(frames, prompts, limits, eos_id=0, penalty=penalty)
            return said

        def encode(frames: Any = frames) -> Tensor:
            with torch.inference_mode():
                return encoder(torch.stack(frames).to(theirs.device))

        sides: dict[str, Callable[[], Any]] = {
            "plain": plainly,
            "ours": lambda: ours.answer(chunk, features),
            "encode": encode,
        }
        row, said = {}, {}
        for name in ("encode", "plain", "ours") if number % 2 else ("ours", "plain", "encode"):
            cpu, wall, said[name], memory = machine.timed(sides[name], device=theirs.device)
            size = len(chunk) if name == "ours" else batch
            row |= {f"{name}_cpu": cpu / size, f"{name}_wall": wall / size, f"{name}_mb": memory}
        row["different"] = count_different(
            said["ours"][first : first + batch], said["plain"], asked
        )
        row["tokens"] = statistics.mean(map(len, said["ours"]))
        print(json.dumps(row), file=sys.stderr, flush=True)
        rows.append(row)
    rows_timed = rows[1:]
    found = {name: statistics.median(row[name] for row in rows_timed) for name in rows[0]}
    unit = "cpu" if theirs.device.type == "cpu" else "wall"
    ratios = [
        (
            r[f"plain_{unit}"] / r[f"ours_{unit}"],
            r[f"plain_{unit}"] / (r[f"ours_{unit}"] + r[f"encode_{unit}"]),
            (r[f"plain_{unit}"] - references * r[f"encode_{unit}"]) / r[f"ours_{unit}"],
        )
        for r in rows_timed
    ]
    names = ("ratio", "ratio_with_our_encoding", "ratio_without_encoders")
    found |= dict(zip(names, map(statistics.median, zip(*ratios, strict=True)), strict=True))
    # Memory that a side once took stays with the process, so the first time tells.
    found |= {f"{side}_mb": max(row[f"{side}_mb"] for row in rows) for side in ("plain", "ours")}
    found["different"] = sum(row["different"] for row in rows)
    found["compared"] = batch * len(rows)
    return found


def count_different(
    ours: Sequence[list[int]], theirs: Sequence[list[int]], clips: Sequence[Clip]
) -> int:
    """Answers that are not the same tokens; the last one before a forced end counts as EOS."""
    cut = [ids[: c.limit - 1] if c.limit else ids for ids, c in zip(theirs, clips, strict=True)]
    return sum(a != b for a, b in zip(ours, cut, strict=True))


def least_gflop(frames: int, prompt: int, tokens: float) -> float:
    """Least work of a clip at SmolLM2-135M's shape, attention left out.

    Every matrix once for each position, the head once for each token that is said.
    """
    layer = 2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536
    return 2 * ((frames + prompt + tokens) * 30 * layer + (tokens + 1) * 576 * 49152) / 1e9


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """All three tasks."""
    torch.manual_seed(0)
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = official(folder, arguments.device, arguments.precision)
        peak = machine.measure(DTYPES[arguments.precision], arguments.device)
        for task, seconds, lengths, references in (
            ("keywords, 135M shape", 1, (2, 4), 1),
            ("captions, 135M shape", 10, (10, 30), 5),
        ):
            clips = clips_of(seconds, arguments.chunk, lengths, 49152)
            row = compare(ours, theirs, clips, arguments, references=references)
            work = least_gflop(seconds * plain.FRAME_RATE, 8, row["tokens"])
            seconds_of_a_clip = row["ours_cpu" if arguments.device == "cpu" else "ours_wall"]
            row["roofline_share"] = work * 1e9 / peak.flops / seconds_of_a_clip
            found[task] = row
        del ours, theirs
        ours, theirs, clips = mini(folder, arguments.device)
        found["keywords, trained mini decoder"] = compare(
            ours, theirs, clips, arguments, references=1
        )
    return found


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=DTYPES, default="float32", help="of ours, official")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--chunk", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = measure(arguments)
    if arguments.json:
        print(json.dumps(found))
        return
    show(found, arguments)


def show(found: dict[str, dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Print a Markdown table."""
    print(
        f"\nAnswering in {arguments.precision} on {arguments.device}, {arguments.threads} "
        f"thread(s), ours in a chunk of {arguments.chunk}, the baseline in batches of "
        f"{arguments.batch}; medians of {arguments.pairs} pairs, CPU (wall) seconds of a clip\n"
    )
    print(
        "| task | plain | one pass of its encoder | ours | ratio | with our encoding counted "
        "| without encoders | memory MB, plain and ours | roofline | answers that differ |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for task, row in found.items():
        plain_s, encode_s, ours_s = (
            f"{row[f'{side}_cpu']:.4f} ({row[f'{side}_wall']:.4f})"
            for side in ("plain", "encode", "ours")
        )
        share = f"{100 * row['roofline_share']:.0f} %" if "roofline_share" in row else ""
        print(
            f"| {task} | {plain_s} | {encode_s} | {ours_s} | {row['ratio']:.1f} "
            f"| {row['ratio_with_our_encoding']:.1f} | {row['ratio_without_encoders']:.1f} "
            f"| {row['plain_mb']:.0f} {row['ours_mb']:.0f} | {share} "
            f"| {row['different']} of {row['compared']} |"
        )


if __name__ == "__main__":
    main()
