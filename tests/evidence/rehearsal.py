"""The challenge's two tracks from nothing to a report, offline, as a user would type it.

    make evidence-rehearsal

Stand-in shards under the published names (`stand_in.py`), one clip each, are served by a hub on
this machine; every command may have 256 files open (track A alone has 1,153 shards); the decoder
has SmolLM2-135M's shape and random weights; 30 steps. The scores mean nothing and are marked
custom. Prints what each command and each stage of the run took, and what the plan had said of it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from auricle.catalog.load import get_suite, get_task
from commands import command
from evidence.processes import CpuMeter
from local_hub import LocalHub
from stand_in import SMOL, TINY, publish, texts_of, write_caption_models, write_decoder

STAGES = ("encode", "train", "answer", "score", "report")
_ENDED = re.compile(r"^(\S+ \S+) INFO ([^:]+): .* in ([0-9.]+) s$")


class Row(NamedTuple):
    """One line of the table."""

    name: str
    wall_s: float | None
    cpu_s: float | None
    remark: str = ""


class Ended(NamedTuple):
    """A command that has ended."""

    row: Row
    code: int
    stdout: str
    stderr: str
    meter: CpuMeter


class User:
    """Types commands in a folder with a data home of its own, with few open files."""

    def __init__(self, folder: Path, hub_url: str, open_files: int = 256) -> None:
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("AURICLE", "XARES", "HF_"))
        }
        self.environment = kept | {
            "AURICLE_HOME": str(folder / "home"),
            "HF_HOME": str(folder / "hf"),
            "HF_ENDPOINT": hub_url,
        }
        self.folder = folder
        self.open_files = open_files
        folder.mkdir(parents=True, exist_ok=True)
        self.problems: list[str] = []

    def types(self, *arguments: str | Path, expect: Sequence[int] = (0,)) -> Ended:
        """Run a command to its end; an unexpected exit code is a problem, kept with its reason."""
        started = time.time()
        with subprocess.Popen(
            ["sh", "-c", f'ulimit -n {self.open_files} && exec "$@"', "sh", *command(*arguments)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            meter = CpuMeter(process.pid)
            before = _children_cpu()
            stdout, stderr = process.communicate()
        meter.stop()
        words = [Path(word).name if isinstance(word, Path) else word for word in arguments]
        name = "auricle " + " ".join(words[: 4 if arguments[0] == "run" else 3])
        remark = f"exit {process.returncode}"
        if process.returncode not in expect:
            self.problems.append(f"{name}: {remark}, expected {expect}: {stderr.strip()[-800:]}")
        row = Row(name, time.time() - started, _children_cpu() - before, remark)
        return Ended(row, process.returncode, stdout, stderr, meter)


def rehearse(
    suite: str,
    user: User,
    settings: Sequence[str | Path],
    *,
    models: Sequence[str | Path],
    names: Sequence[str],
) -> list[Row]:
    """Go through every command of one suite; returns the table's lines."""
    every: list[Ended] = [user.types("data", "list", suite, expect=(3,))]
    every.append(user.types("data", "fetch", suite))
    every.append(user.types("data", "list", suite))
    every.append(user.types("data", "verify", suite))
    asked: list[str | Path] = ["logmel", "--suite", suite, *settings]
    planned = user.types("plan", *asked, "--json")
    done = user.types("run", *asked, *models, "--json")
    rows = [ended.row for ended in [*every, planned, done]]
    if not done.stdout:
        return rows
    result = json.loads(done.stdout)
    folder = user.folder / result["run"]
    rows += stage_rows(folder, done)
    if planned.stdout:
        rows += plan_rows(folder, json.loads(planned.stdout))
    again = user.types("score", folder, "--json")
    report = user.types("report", folder)
    rows += [again.row, report.row]
    check(result["scores"], json.loads(again.stdout)["scores"], folder, names, user.problems)
    return rows


def check(
    scores: dict[str, Any],
    again: dict[str, Any],
    folder: Path,
    names: Sequence[str],
    problems: list[str],
) -> None:
    """What must be true of any finished run of stand-ins."""
    tasks = scores["tasks"]
    facts = {
        "every task is there": sorted(tasks) == sorted(names),
        "every task is scored": all(t["score"] is not None for t in tasks.values()),
        "no task failed": all(t["failure"] is None for t in tasks.values()),
        "every clip is scored": all(
            t["clips_scored"] == t["clips_expected"] == expected_clips(n) for n, t in tasks.items()
        ),
        "the run is custom": (scores["mode"], scores["official"]) == ("custom", False),
        "scored again, the same": again == scores,
        "the report is written": (folder / "report.html").stat().st_size > 10_000,
    }
    problems += [f"{folder.name}: not so: {fact}" for fact, holds in facts.items() if not holds]


def expected_clips(task: str) -> int:
    """One clip in each published test shard."""
    return len(get_task(task).expanded_shards("test"))


def stage_rows(folder: Path, done: Ended) -> list[Row]:
    """Wall and CPU seconds of the run's stages, from its log and the processes' own counts."""
    wall: dict[str, float] = {}
    cpu: dict[str, float] = {}
    intervals: list[tuple[str, float, float]] = []
    for line in (folder / "log.txt").read_text(encoding="utf-8").splitlines():
        if found := _ENDED.match(line):
            stop = _clock(found[1])
            intervals.append((found[2].split()[0], stop - float(found[3]), stop))
    for stage, first, stop in intervals:
        # Test clips are encoded inside the stage that answers them.
        inside = [
            (a, b)
            for s, a, b in intervals
            if stage == "answer" and s == "encode" and first <= a < stop
        ]
        wall[stage] = wall.get(stage, 0.0) + stop - first - sum(b - a for a, b in inside)
        used = done.meter.between(first, stop) - sum(done.meter.between(*i) for i in inside)
        cpu[stage] = cpu.get(stage, 0.0) + used
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    first = max(stop for _, _, stop in intervals)
    for stage in ("score", "report"):  # they follow the last answer and log nothing
        wall[stage] = manifest["stages_s"][stage]
        cpu[stage] = done.meter.between(first, first + wall[stage])
        first += wall[stage]
    rows = [Row(f"  {stage}", wall[stage], cpu[stage]) for stage in STAGES if stage in wall]
    assert done.row.cpu_s is not None
    rest_s = (done.row.wall_s or 0.0) - sum(row.wall_s or 0.0 for row in rows)
    return [*rows, Row("  start, open, measure", rest_s, done.row.cpu_s - sum(cpu.values()))]


def plan_rows(folder: Path, plan: dict[str, Any]) -> list[Row]:
    """Planned against taken CPU seconds; random weights never end an answer: what it is at most."""
    taken = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["stages_cpu_s"]
    planned = plan["stages_cpu_s"] | {"answer": plan["answer_at_most_cpu_s"]}
    return [
        Row(
            f"  planned: {name}", None, planned[name], f"{planned[name] / taken[name]:.2f} of taken"
        )
        for name in ("encode", "train", "answer")
    ]


def _clock(text: str) -> float:
    """Seconds of a log line's time; the log is written in local time."""
    return datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def print_table(rows: Sequence[Row]) -> None:
    """One line a command or stage."""
    print(f"{'':<44} {'wall s':>8} {'CPU s':>8}")
    for row in rows:
        wall, cpu = ("-" if s is None else f"{s:.1f}" for s in (row.wall_s, row.cpu_s))
        print(f"{row.name:<44} {wall:>8} {cpu:>8}  {row.remark}")


def main() -> int:
    """Rehearse both tracks; exit code 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="scratch folder, new or empty")
    parser.add_argument("--suites", nargs="+", default=["track-a", "track-b"])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--tiny", action="store_true", help="a tiny decoder, to try the script")
    parser.add_argument(
        "--open-files", type=int, default=256, help="limit of each command, as by ulimit -n"
    )
    parser.add_argument("--set", action="append", default=[], dest="more", help="as auricle run's")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    tasks = {s: [get_task(name) for name in get_suite(s).tasks] for s in arguments.suites}
    started = time.time()
    files = publish([task for group in tasks.values() for task in group])
    texts = texts_of(files)
    decoder = write_decoder(folder / "decoder", TINY if arguments.tiny else SMOL, texts)
    sentence, detector = write_caption_models(folder / "captions", texts)
    rows = [Row("make the stand-ins", time.time() - started, None)]
    settings: list[str | Path] = ["--set", f"decoder={decoder}"]
    settings += ["--set", f"train.steps={arguments.steps}"]
    settings += [word for change in arguments.more for word in ("--set", change)]
    models = ["--sentence-model", sentence, "--fluency-detector", detector]
    with LocalHub(files).running() as hub:
        user = User(folder, hub.url, arguments.open_files)
        for suite, group in tasks.items():
            names = [task.name for task in group]
            rows += rehearse(suite, user, settings, models=models, names=names)
    print_table(rows)
    scored = sum(map(len, tasks.values()))
    print(
        f"{scored} tasks of {', '.join(tasks)}, at most {arguments.open_files} open files in each "
        f"process; {len(user.problems)} problems"
    )
    for problem in user.problems:
        print(f"problem: {problem}")
    return 1 if user.problems else 0


if __name__ == "__main__":
    sys.exit(main())
