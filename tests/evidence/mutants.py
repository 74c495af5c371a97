"""Small faults put into the code on purpose: how many of them the room's fast tests notice.

    make evidence-mutants

Cosmic Ray's operators (another operator, another number, a comparison the other way round, a loop
that never runs …) say where the files that numbers come from can be changed. A seeded sample of
those places, stratified by file, is tried, with one change each, in a copy of the tree against the
fast tests of its room, those of its own file first. A change of nothing but annotations or texts of
errors, or of a class's decorator, is not drawn. Results are a line each in ``results.jsonl``, so
the command goes on where it stopped; at the end it prints the rates with their intervals and what
every survivor changes.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import json
import math
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from threading import Lock

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[2]
PACKAGE = Path("src/auricle")
ROOMS = {
    "scoring": (["scoring/*.py"], "tests/scoring"),
    "metrics": (["metrics/*.py"], "tests/metrics"),
    "lalm": (["lalm/train.py", "lalm/batch.py", "lalm/greedy.py"], "tests/lalm"),
    "data": (["data/mixture.py"], "tests/data_room"),
}
"""Of each room: the files that are mutated, and where its tests are."""
COPIED = ("src", "tests", "pyproject.toml", "README.md", "docs", "examples", "benchmarks")
PATIENCE = 10
"""A mutant that takes so many times as long as the unchanged code hangs, which is noticed too."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file."""

    id: str
    room: str
    file: str
    operator: str
    line: int
    code: str
    """The whole file with the change."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a family of operators can change a file."""

    room: str
    path: Path
    line: int
    variants: tuple[tuple[str, int], ...]
    """Operators of the family with their occurrence number here."""


def places_of(room: str, path: Path) -> list[Place]:
    """All places of a file that can be changed, in an order that the file alone decides."""
    tree = get_ast(path.read_text(encoding="utf-8"))
    found: dict[tuple[str, tuple[int, int]], list[tuple[str, int]]] = {}
    for name in sorted(operator_names()):
        kind = get_operator(name)
        if kind.arguments() or name.endswith("NoOp"):
            continue
        operator = kind()
        starts = [at for node in ast_nodes(tree) for at, _ in operator.mutation_positions(node)]
        for occurrence, start in enumerate(starts):
            found.setdefault((name.partition("_")[0], start), []).append((name, occurrence))
    return [
        Place(room, path, start[0], tuple(variants))
        for (_, start), variants in sorted(found.items())
    ]


def mutant_at(place: Place, choice: random.Random) -> Mutant | None:
    """One of a place's mutants; None where none changes what the code does."""
    source = place.path.read_text(encoding="utf-8")
    unchanged = behaviour(source)
    for name, occurrence in choice.sample(place.variants, len(place.variants)):
        try:
            code = mutate_code(source, get_operator(name)(), occurrence)
        except AttributeError:  # the tool's exception replacer knows no dotted names
            continue
        if code is not None and behaviour(code) not in (unchanged, ""):
            file = place.path.relative_to(ROOT).as_posix()
            key = hashlib.sha256(f"{file}\n{code}".encode()).hexdigest()[:16]
            return Mutant(key, place.room, file, name.removeprefix("core/"), place.line, code)
    return None


def behaviour(source: str) -> str:
    """Code without annotations, texts of errors and classes' decorators; empty if no Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
            # whether an argument may be given by place changes no number
            given = node.args
            given.args = given.posonlyargs + given.args + given.kwonlyargs
            given.defaults = [one for one in given.defaults + given.kw_defaults if one]
            given.posonlyargs, given.kwonlyargs, given.kw_defaults = [], [], []
        elif isinstance(node, ast.ClassDef):
            node.decorator_list = []  # whether a record is frozen, neither
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.args = []
    return ast.unparse(tree)


def draw(count: int, seed: int) -> tuple[list[Mutant], Counter[str]]:
    """A sample over all files, each file's share by the number of its places, at least one.

    Args:
        count: How many are drawn, up to rounding.
        seed: Decides which.

    Returns:
        The mutants in the order in which they are tried, and how many places each room has.
    """
    files = [
        places_of(room, path)
        for room, (patterns, _) in ROOMS.items()
        for path in sorted(p for one in patterns for p in (ROOT / PACKAGE).glob(one))
    ]
    total = sum(len(places) for places in files)
    chosen: list[Mutant] = []
    for places in filter(None, files):
        choice = random.Random(f"{seed} {places[0].path.relative_to(ROOT).as_posix()}")
        share, taken = max(1, round(count * len(places) / total)), 0
        for place in choice.sample(places, len(places)):
            if taken < share and (mutant := mutant_at(place, choice)):
                chosen.append(mutant)
                taken += 1
    random.Random(seed).shuffle(chosen)
    return chosen, Counter(place.room for places in files for place in places)


class Bench:
    """A copy of the tree, in which one mutant at a time is tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".hypothesis")
                shutil.copytree(source, folder / name, ignore=ignored)
            elif source.exists():
                shutil.copy2(source, folder / name)

    def tests(self, room: str, file: str, limit_s: float) -> tuple[str, float, str]:
        """Run a room's fast tests, those of a file's own first.

        Returns:
            ``survived``, ``killed`` or ``hung``; seconds; the end of what was printed.
        """
        room_tests = Path(ROOMS[room][1])
        own = sorted((self.folder / room_tests).glob(f"test_{Path(file).stem}*.py"))
        first = [str(path.relative_to(self.folder)) for path in own]
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        command += ["-p", "no:xdist", "-m", "not slow and not evidence", *first, str(room_tests)]
        environment = os.environ | {
            "PYTHONPATH": str(self.folder / "src"),
            "OMP_NUM_THREADS": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.folder / ".hypothesis"),
        }
        started = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                said, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                return "hung", time.monotonic() - started, ""
        outcome = {0: "survived", 1: "killed", 2: "killed", 4: "killed"}.get(process.returncode)
        if outcome is None:
            outcome = (
                "killed" if process.returncode < 0 else f"pytest ended with {process.returncode}"
            )
        return outcome, time.monotonic() - started, said[-600:]

    def attempt(self, mutant: Mutant, limit_s: float) -> tuple[str, float]:
        """Put a mutant in place, run the tests, take it out again."""
        path = self.folder / mutant.file
        original = path.read_text(encoding="utf-8")
        path.write_text(mutant.code, encoding="utf-8")
        try:
            outcome, seconds, _ = self.tests(mutant.room, mutant.file, limit_s)
        finally:
            path.write_text(original, encoding="utf-8")
        return outcome, seconds


def interval(caught: int, tried: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate."""
    z = 1.959964
    rate, spread = caught / tried, z * z / tried
    half = z * math.sqrt(rate * (1 - rate) / tried + spread / (4 * tried))
    return (rate + spread / 2 - half) / (1 + spread), (rate + spread / 2 + half) / (1 + spread)


def difference(mutant: Mutant) -> str:
    """The lines that a mutant changes."""
    before = (ROOT / mutant.file).read_text(encoding="utf-8").splitlines()
    lines = list(difflib.unified_diff(before, mutant.code.splitlines(), lineterm="", n=0))
    return "\n".join(line for line in lines[2:] if not line.startswith("@@"))


def main(arguments: Sequence[str]) -> int:
    """Try the sample; 0 where every mutant was tried, whatever survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where results and copies of the tree are kept")
    parser.add_argument("--count", type=int, default=600, help="mutants in the sample")
    parser.add_argument("--seed", type=int, default=1, help="which mutants are drawn")
    parser.add_argument("--jobs", type=int, default=2, help="how many are tried at once")
    parser.add_argument("--hours", type=float, default=4.0, help="stop after so long; go on later")
    parser.add_argument("--room", choices=sorted(ROOMS), help="the mutants of this room alone")
    wanted = parser.parse_args(arguments)
    started = time.monotonic()
    results = wanted.folder / "results.jsonl"
    wanted.folder.mkdir(parents=True, exist_ok=True)
    sample, sizes = draw(wanted.count, wanted.seed)
    sample = [mutant for mutant in sample if wanted.room in (None, mutant.room)]
    known = read_results(results)
    left = [mutant for mutant in sample if mutant.id not in known]
    print(f"{sum(sizes.values())} places, {len(sample)} drawn, {len(left)} to be tried", flush=True)
    benches: Queue[Bench] = Queue()
    for number in range(wanted.jobs):
        benches.put(Bench(wanted.folder / f"tree-{number}"))
    limits = baselines(benches, {mutant.room for mutant in left}) if left else {}
    lock = Lock()

    def attempt(mutant: Mutant) -> None:
        if time.monotonic() - started > wanted.hours * 3600:
            return
        bench = benches.get()
        try:
            outcome, seconds = bench.attempt(mutant, limits[mutant.room])
        finally:
            benches.put(bench)
        row = {**asdict(mutant), "outcome": outcome, "seconds": round(seconds, 1)}
        del row["code"]
        with lock, results.open("a", encoding="utf-8") as stream:
            known[mutant.id] = row
            stream.write(json.dumps(row) + "\n")
            done = sum(one.id in known for one in sample)
            print(f"{done}/{len(sample)} {outcome:8} {mutant.file}:{mutant.line}", flush=True)

    with ThreadPoolExecutor(wanted.jobs) as pool:
        list(pool.map(attempt, left))
    return report(sample, known, sizes)


def read_results(path: Path) -> dict[str, dict[str, object]]:
    """What was tried before; a line that a kill cut short is tried again."""
    rows: dict[str, dict[str, object]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows[row["id"]] = row
    if path.exists():
        path.write_text("".join(json.dumps(row) + "\n" for row in rows.values()), encoding="utf-8")
    return rows


def baselines(benches: Queue[Bench], rooms: set[str]) -> dict[str, float]:
    """Seconds that a mutant of each room may take; the unchanged code must pass."""
    limits = {}
    for room in sorted(rooms):
        bench = benches.get()
        outcome, seconds, said = bench.tests(room, "none", 3600)
        benches.put(bench)
        if outcome != "survived":
            raise SystemExit(f"The tests of {room} fail on the unchanged code:\n{said}")
        limits[room] = max(60, PATIENCE * seconds)
        print(f"{room}: the unchanged code passes in {seconds:.0f} s", flush=True)
    return limits


def report(
    sample: Sequence[Mutant], known: dict[str, dict[str, object]], sizes: Counter[str]
) -> int:
    """Print the table and the survivors."""
    print("\n| room | places | tried | noticed | of these hung | survived | rate, 95 % interval |")
    print("|---|---|---|---|---|---|---|")
    rows = [(room, [m for m in sample if m.room == room]) for room in ROOMS]
    for room, drawn in [*rows, ("all", list(sample))]:
        outcomes = [str(known[m.id]["outcome"]) for m in drawn if m.id in known]
        if not outcomes:
            continue
        counts = Counter(outcomes)
        caught = counts["killed"] + counts["hung"]
        low, high = interval(caught, len(outcomes))
        size = sum(sizes.values()) if room == "all" else sizes[room]
        print(
            f"| {room} | {size:,} | {len(outcomes)} | {caught} | {counts['hung']} | "
            f"{counts['survived']} | {caught / len(outcomes):.3f} ({low:.3f} to {high:.3f}) |"
        )
    for mutant in sample:
        outcome = known.get(mutant.id, {}).get("outcome")
        if outcome not in (None, "killed", "hung"):
            print(f"\n{outcome}: {mutant.file}:{mutant.line} {mutant.operator}")
            print(difference(mutant))
    untried = sum(mutant.id not in known for mutant in sample)
    if untried:
        print(f"\n{untried} of {len(sample)} were not reached; the same command goes on.")
    return 3 if untried else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
