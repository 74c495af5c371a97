"""The whole job: `auricle run` as one types it, against the plain baseline on the same draws.

    python benchmarks/whole_job.py [--steps 200] [--batch 4] [--layers 12] [--width 768]
                                   [--train-clips 56] [--test-clips 24] [--threads 1]

Four synthetic tasks (keyword, environment, instrument, captions), a mini-size decoder, an encoder
of 12 layers, 768 wide. Shards are made before the clock runs; no features are there. With the
default sizes a training clip is drawn 3.6 times, as in a run of the suite `mini` (160,000 draws of
43,000 clips). The baseline encodes at each step and answers once for each reference. Both are
processes; their CPU time is that of all their children.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from auricle.catalog.load import get_task
from auricle.data.write import Sample, encode_flac, write_shard
from auricle.job import RunOptions, open_data, resolve
from auricle.lalm.batch import block_batches
from auricle.lalm.optimiser import learning_rate
from auricle.lalm.tokens import load_tokenizer
from auricle.progress import SilentProgress
from auricle.runs.folder import RunFolder
from auricle.synth.clips import make_clip

TASKS = ("synth-keyword", "synth-environment", "synth-instrument", "synth-sound-caption")
HERE = Path(__file__).resolve().parent


def make_suite(folder: Path, arguments: argparse.Namespace) -> Path:
    """Shards of the four tasks, extracted clips for the baseline, and a suite file."""
    tasks = {}
    for name in TASKS:
        task = get_task(name)
        for split, count in (("train", arguments.train_clips), ("test", arguments.test_clips)):
            clips = [make_clip(name, split=split, index=index) for index in range(count)]
            shard = folder / f"{name}-{split}.tar.gz"
            samples = [
                Sample(f"{number:04d}", "flac", encode_flac(clip.samples), clip.fields)
                for number, clip in enumerate(clips)
            ]
            write_shard(shard, samples)
            with tarfile.open(shard) as tar:
                tar.extractall(folder / f"{name}-{split}", filter="data")
        tasks[f"our-{name}"] = {
            "weight": 1,
            "prompt": task.prompt,
            "metric": task.metric,
            "train_field": task.train_field,
            "test_field": task.test_field,
            "train_shards": [f"{name}-train.tar.gz"],
            "test_shards": [f"{name}-test.tar.gz"],
        }
    suite = {"name": "four-tasks", "recipe": "mini", "steps": arguments.steps, "tasks": tasks}
    path = folder / "four-tasks.yaml"
    path.write_text(yaml.safe_dump(suite))
    return path


def run_timed(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float, Any]:
    """CPU seconds of a command and its children, wall seconds, its JSON."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    done = subprocess.run(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True, text=True
    )
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall, json.loads(done.stdout)


def plain_job(
    folder: Path, suite: Path, run: RunFolder, settings: Sequence[str], arguments: Any
) -> Path:
    """The same draws and questions, as `plain_job.py` reads them."""
    encoder = {"layers": arguments.layers, "width": arguments.width}
    options = RunOptions(settings=tuple(settings), encoder_args=json.dumps(encoder))
    job = resolve(str(HERE / "base_encoder.py"), str(suite), options)
    data = open_data(job, SilentProgress())
    tokens = load_tokenizer(run.tokenizer)
    draws = data.mixture.draws(0, job.total_draws)
    size = job.recipe.train.batch_size
    batches = []
    for first in range(0, len(draws), 128):
        for batch in block_batches(draws[first : first + 128], tokens, size):
            batches.append([(clip_path(folder, e.window), e.prompt, e.target) for e in batch])
    questions = []
    for table, asked in data.tests.values():
        prompts = [
            (clip_path(folder, table.window(a.clip)), tokens.encode(a.prompt)) for a in asked
        ]
        questions.append([p for p, a in zip(prompts, asked, strict=True) for _ in a.references])
    assert job.recipe.decoder_config is not None
    content = {
        "folder": str(folder),
        "threads": arguments.threads,
        "encoder": encoder,
        "shape": {**job.recipe.decoder_config.model_dump(), "vocab_size": len(tokens)},
        "concat": job.recipe.features.concat,
        "batch_size": size,
        "max_new_tokens": job.recipe.answer.max_new_tokens,
        "rates": [learning_rate(step, train=job.recipe.train) for step in range(arguments.steps)],
        "batches": batches,
        "questions": questions,
    }
    path = folder / "job.json"
    path.write_text(json.dumps(content))
    return path


def clip_path(folder: Path, window: Any) -> str:
    """Where a window's clip was extracted; no clip is long enough to be cropped."""
    shard, key = window.clip_id.rsplit("/", 1)
    return str(folder / Path(shard).name / f"{key}.flac")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both sides once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite = make_suite(folder, arguments)
        os.environ["AURICLE_HOME"] = str(folder / "home")
        threads = str(arguments.threads)
        environment = {"OMP_NUM_THREADS": threads}
        settings = [f"train.batch_size={arguments.batch}"]
        encoder = {"layers": arguments.layers, "width": arguments.width}
        command = [sys.executable, "-m", "auricle", "run", str(HERE / "base_encoder.py")]
        command += ["--suite", str(suite), "--encoder-args", json.dumps(encoder), "--json"]
        command += ["--set", settings[0], "--out", str(folder / "runs"), "--workers", threads]
        ours = run_timed(command, environment)
        run = RunFolder(Path(ours[2]["run"]))
        job = plain_job(folder, suite, run, settings, arguments)
        theirs = run_timed([sys.executable, str(HERE / "plain_job.py"), str(job)], environment)
        lines = [json.loads(line) for line in run.losses.read_text().splitlines()]
        content = json.loads(job.read_text())
        drawn = {path for batch in content["batches"] for path, _, _ in batch}
        tested = {path for asked in content["questions"] for path, _ in asked}
        return {
            "plain_cpu": theirs[0],
            "plain_wall": theirs[1],
            "ours_cpu": ours[0],
            "ours_wall": ours[1],
            "ratio": theirs[0] / ours[0],
            "plain_loss": theirs[2]["loss"],
            "ours_loss": statistics.mean(line["loss"] for line in lines[-20:]),
            "plain_passes": sum(map(len, content["batches"])) + theirs[2]["answers"],
            "ours_passes": len(drawn) + len(tested),
            "stages": json.loads(run.manifest.read_text()).get("stages_s"),
        }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--train-clips", type=int, default=56)
    parser.add_argument("--test-clips", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead")
    arguments = parser.parse_args()
    found = measure(arguments)
    if arguments.json:
        print(json.dumps(found))
        return
    print(
        f"\nWhole job, {arguments.steps} steps of {arguments.batch}, {arguments.threads} thread\n"
    )
    print("| | plain | ours | ratio |")
    print("|---|---|---|---|")
    print(f"| CPU s | {found['plain_cpu']:.0f} | {found['ours_cpu']:.0f} | {found['ratio']:.2f} |")
    wall = found["plain_wall"] / found["ours_wall"]
    print(f"| wall s | {found['plain_wall']:.0f} | {found['ours_wall']:.0f} | {wall:.2f} |")
    passes = found["plain_passes"] / found["ours_passes"]
    print(
        f"| clips through the encoder | {found['plain_passes']} | at least "
        f"{found['ours_passes']} | {passes:.2f} |"
    )
    print(
        f"| mean loss of the last steps | {found['plain_loss']:.2f} | {found['ours_loss']:.2f} | |"
    )
    print(f"\nOurs, wall seconds by stage: {found['stages']}")


if __name__ == "__main__":
    main()
