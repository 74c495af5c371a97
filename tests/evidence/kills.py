"""Kill -9 at drawn instants in every stage, full and read-only disks: the same bytes in the end.

    make evidence-kills

Track B on stand-in shards (`stand_in.py`), a tiny decoder, short answers. One user is left alone:
that gives the expected bytes. A second one is killed 20 times, four times in each stage, and goes
on with the same command; the instants are drawn from a seed. In the encode stage the encoder's own
process dies every second time instead of the command. A third one works on a small file system
that is full, then read-only, then mended (needs root). Linux alone.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from auricle.catalog.load import get_suite, get_task
from commands import command, predictions
from evidence.processes import tree
from evidence.rehearsal import User
from local_hub import LocalHub
from stand_in import TINY, publish, texts_of, write_caption_models, write_decoder

SUITE = "track-b"
STAGES = {
    "fetch": ("home/shards/**/*.tar", 50, 0.3),
    "index": ("home/index/??/*.npz", 45, 0.02),
    "encode": ("home/features/**/*.bin", 5, 0.3),
    "train": ("runs/**/checkpoints/*.safetensors", 1, 0.3),
    "answer": ("runs/**/predictions/**/*.jsonl", 1, 0.02),
}
"""What a stage leaves for each unit of commit; after how many new ones, and then how many seconds,
it is killed at most. All four kills of a stage must find it unfinished."""
KILLS_PER_STAGE = 4
PATIENCE_S = 600


class Killer:
    """Starts a user's commands and kills them."""

    def __init__(self, user: User, random: random.Random) -> None:
        self.user, self.random = user, random
        self.log = user.folder / "stderr.txt"
        self.kills = 0

    def kill_in(self, stage: str, arguments: Sequence[str | Path], *, child: bool) -> str:
        """Go on with a command, and kill it after some new files of a stage and a short while.

        Returns:
            What was killed and how far each stage had come since the start.
        """
        pattern, most, most_s = STAGES[stage]
        wanted = self.random.randint(1, most)
        after_s = self.random.uniform(0, most_s)
        known = {name: self._files(p) for name, (p, _, _) in STAGES.items()}
        with (
            self.log.open("wb") as log,
            subprocess.Popen(
                command(*arguments),
                cwd=self.user.folder,
                env=self.user.environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            ) as process,
        ):
            deadline = time.monotonic() + PATIENCE_S
            while len(self._files(pattern) - known[stage]) < wanted:
                assert time.monotonic() < deadline, f"{stage} does not go on"
                if process.poll() is not None:
                    return self._ended_early(stage, process.returncode)
                time.sleep(0.005)
            time.sleep(after_s)
            children = tree(process.pid)[1:]
            victim = children[0] if child and children else process.pid
            os.kill(victim, signal.SIGKILL)
            process.wait(PATIENCE_S)
        self.kills += 1
        new = {name: len(self._files(p) - known[name]) for name, (p, _, _) in STAGES.items()}
        if victim != process.pid:
            self._expect_a_sentence(process.returncode, "its encoder's process was killed")
        hit = ", ".join(f"{name} +{count}" for name, count in new.items() if count)
        who = "the command" if victim == process.pid else "the encoder's process"
        return f"{stage:<7} {who:<22} {wanted:>3} files + {after_s:.2f} s; left: {hit}"

    def _files(self, pattern: str) -> set[Path]:
        return {p for p in self.user.folder.glob(pattern) if not p.name.startswith(".tmp-")}

    def _ended_early(self, stage: str, code: int) -> str:
        self.user.problems.append(
            f"{stage}: ended with {code} before it was killed: {self.log.read_text()[-500:]}"
        )
        return f"{stage:<7} ended before it was killed"

    def _expect_a_sentence(self, code: int, why: str) -> None:
        text = self.log.read_text()
        if code != 2 or "Traceback" in text:
            self.user.problems.append(f"exit {code}, expected 2, when {why}: {text[-800:]}")


def finished_bytes(user: User) -> dict[str, bytes]:
    """Everything of the user's only run that must not depend on what happened on the way."""
    (run,) = (user.folder / "runs" / SUITE).iterdir()
    found = predictions(run)
    found |= {p.name: p.read_bytes() for p in (run / "predictions").glob("*.evidence.json")}
    found |= {name: (run / name).read_bytes() for name in ("losses.jsonl", "scores.json")}
    return {f"{run.name}/{name}": data for name, data in found.items()}


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A file system of its own, in memory; False where it cannot be mounted."""
    folder.mkdir(parents=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False
    )
    try:
        yield made.returncode == 0
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", folder], check=True)


def remount(folder: Path, option: str) -> None:
    """Change a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


@contextmanager
def ballast(folder: Path, spare: int) -> Iterator[None]:
    """Leave a file system so many bytes; say what a run has brought about when it is lifted."""
    path = folder / "ballast"
    path.write_bytes(b"0" * (shutil.disk_usage(folder).free - spare))
    yield
    path.unlink()
    batches = sum(1 for p in folder.rglob("*.bin"))
    checkpoints = sum(1 for p in folder.glob("runs/**/checkpoints/*"))
    print(f"{'':<32} left: {batches} batches, {checkpoints} checkpoints", flush=True)


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def disks(
    folder: Path, hub_url: str, run: Sequence[str | Path], *, needed: int, problems: list[str]
) -> User:
    """Full in each stage, then read-only, then enough room: each stop says what to do.

    Args:
        folder: Where the small file system is mounted.
        hub_url: The hub's address.
        run: The command.
        needed: Bytes that its data and results take in the end.
        problems: Are added here.
    """
    user = User(folder, hub_url)
    user.problems = problems

    def stops(what: str, *arguments: str | Path, says: str) -> None:
        ended = user.types(*arguments, expect=(2,))
        lines = ended.stderr.strip().splitlines()
        last = lines[-1] if lines else ""
        print(f"{what:<32} exit {ended.code}  {last[:150]}", flush=True)
        if says not in ended.stderr.replace("\n", " ") or "Traceback" in ended.stderr:
            problems.append(f"{what}: expected '{says}' in: {ended.stderr[-800:]}")

    remount(folder, "size=4m")
    stops("full before the fetch", "data", "fetch", SUITE, says="Free some space")
    remount(folder, "size=400m")
    user.types("data", "fetch", SUITE)
    killer = Killer(user, random.Random(1))
    # A run that has begun is not asked again whether it has room.
    print(killer.kill_in("encode", run, child=False), flush=True)
    for share in (0.02, 0.3, 0.5):
        spare = round(share * (needed - _bytes_below(folder)))
        with ballast(folder, spare):
            stops(f"{spare / 1e6:.3f} MB free in the run", *run, says="is full. Free some space")
    print(killer.kill_in("train", run, child=False), flush=True)
    with ballast(folder, 500_000):
        stops("0.500 MB free to train", *run, says="is full. Free some space")
    remount(folder, "ro")
    stops("read-only", *run, says="read-only file system")
    stops("read-only, fetch", "data", "fetch", "cremad", says="read-only file system")
    remount(folder, "rw")
    user.types(*run)
    return user


def main() -> int:
    """Kill and compare; exit code 1 where a byte differs or a stop is not clear."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="scratch folder, new or empty")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["kills", "disks"])
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    files = publish([get_task(name) for name in get_suite(SUITE).tasks])
    texts = texts_of(files)
    decoder = write_decoder(folder / "decoder", TINY, texts)
    sentence, detector = write_caption_models(folder / "captions", texts)
    run: list[str | Path] = ["run", "logmel", "--suite", SUITE, "--encode-budget", "20"]
    run += ["--set", f"decoder={decoder}", "--set", "train.steps=400"]
    run += ["--set", "answer.max_new_tokens=8"]
    run += ["--sentence-model", sentence, "--fluency-detector", detector]
    with LocalHub(files).running() as hub:
        alone = User(folder / "alone", hub.url)
        alone.types("data", "fetch", SUITE)
        print(f"left alone: {alone.types(*run).row.wall_s:.0f} s", flush=True)
        expected = finished_bytes(alone)
        problems = alone.problems
        if arguments.only != "disks":
            killed = User(folder / "killed", hub.url)
            killer = Killer(killed, random.Random(arguments.seed))
            for number, stage in enumerate(s for s in STAGES for _ in range(KILLS_PER_STAGE)):
                words = ["data", "fetch", SUITE] if stage == "fetch" else run
                child = stage == "encode" and number % 2 == 1
                print(
                    f"kill {number + 1:>2}  {killer.kill_in(stage, words, child=child)}", flush=True
                )
            killed.types(*run)
            problems += killed.problems
            problems += compare(f"killed {killer.kills} times", expected, finished_bytes(killed))
        if arguments.only != "kills":
            with small_disk(folder / "disk", "400m") as mounted:
                if mounted:
                    user = disks(
                        folder / "disk",
                        hub.url,
                        run,
                        needed=_bytes_below(alone.folder),
                        problems=problems,
                    )
                    problems += compare("full and read-only disk", expected, finished_bytes(user))
                else:
                    print("skipped: full and read-only disks, no file system can be mounted here")
    for problem in problems:
        print(f"problem: {problem}")
    return 1 if problems else 0


def compare(what: str, expected: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """Print whether every file is the same; returns the problems."""
    different = sorted(n for n in expected | found if expected.get(n) != found.get(n))
    print(f"{what}: {len(expected) - len(different)} of {len(expected)} files byte-identical")
    return [f"{what}: {name} differs" for name in different]


if __name__ == "__main__":
    sys.exit(main())
