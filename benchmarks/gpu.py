"""Everything to be known of a GPU, in one command of at most eight minutes, resumable by part.

    python benchmarks/gpu.py --out DIR [--device cuda] [--parts a,b] [--again PART] [--limit 480]
    python benchmarks/gpu.py --out DIR --device cpu --quick     # all of it, very small, anywhere

Each part runs in a process of its own within a limit, and its result is written to
``DIR/PART.json`` at once; the same command skips the parts that are there. A part that fails keeps
its error and stops no other, one that cannot run here says why, and one for which the time is over
is left for the next call. At the end ``DIR/gpu.json`` and a table hold everything together, with
the goals and the projection of an official run.

It has not been run on a GPU yet.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OFFICIAL_STEPS = 100_000
TRACKS = 2
GOAL_RATIO, GOAL_HOURS, GOAL_MEMORY_MB = 10.0, 1.0, 24_000.0
TESTS = ("tests/lalm/test_device.py", "tests/lalm/test_capture.py", "tests/lalm/test_fixed.py")
SECONDS = (10, 1, 30)
TOGETHER = (1, 2, 4, 8)


class UnavailableError(Exception):
    """A part cannot run here; the text says why."""


def last_json(text: str) -> Any:
    """The object that a benchmark printed last."""
    return json.loads(text.strip().splitlines()[-1])


def call(command: list[str], limit_s: float, **more: str) -> str:
    """What a command prints within a limit; its whole group ends with it.

    Raises:
        RuntimeError: It failed or took too long; with the end of what it said.
    """
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | more,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=max(1.0, limit_s))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise RuntimeError(f"not finished within {limit_s:.0f} s") from None
        errors.seek(0)
        if process.returncode:
            end = (errors.read() + said)[-1200:]
            raise RuntimeError(f"exit code {process.returncode}: {end}")
    return said


class Parts:
    """What is measured, by name, in the order of worth.

    Args:
        device: Where.
        quick: Very small, to see that everything runs.
        out: Where runs and intermediate files go.
    """

    def __init__(self, *, device: str, quick: bool, out: Path) -> None:
        self.device, self.quick, self.out = device, quick, out
        self.on_gpu = device.startswith("cuda")

    def all(self) -> dict[str, tuple[Callable[[float], Any], float]]:
        """Each part with the most seconds that it may take."""
        found: dict[str, tuple[Callable[[float], Any], float]] = {"machine": (self.machine, 60)}
        found["tests"] = (self.tests, 120)
        for precision in ("float32", "bf16"):
            for seconds in SECONDS:
                for how in ("captured", "eager") if seconds == SECONDS[0] else ("captured",):
                    name = f"step_{precision}_{seconds}s_{how}"
                    found[name] = (self.step(precision, seconds, how), 60)
        found["answering"] = (self.answering, 90)
        found["encoding"] = (lambda s: self.inner("encoding", s), 60)
        found["captures"] = (lambda s: self.inner("captures", s), 60)
        found["kernels"] = (lambda s: self.inner("kernels", s), 60)
        found["killed"] = (self.killed, 150)
        found["compiled"] = (lambda s: self.inner("compiled", s), 120)
        for mps in (False, True):
            found["together_mps" if mps else "together"] = (self.together(mps=mps), 120)
        return found

    def machine(self, limit_s: float) -> Any:
        """Card, driver, torch."""
        return self.inner("machine", limit_s)

    def inner(self, name: str, limit_s: float) -> Any:
        """A part of this file, in a process of its own."""
        command = [sys.executable, str(HERE / "gpu.py"), "--do", name, "--device", self.device]
        command += ["--quick"] if self.quick else []
        found = last_json(call(command, limit_s))
        if isinstance(found, dict) and "unavailable" in found:
            raise UnavailableError(found["unavailable"])
        return found

    def tests(self, limit_s: float) -> dict[str, int]:
        """The tests of captured steps; on a GPU those that need one are not skipped."""
        wanted = TESTS[:1] if self.quick else TESTS
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
        said = call([*command, *wanted], limit_s)
        return {
            word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped)", said)
        }

    def step(self, precision: str, seconds: int, how: str) -> Callable[[float], Any]:
        """A training step beside the plain baseline."""

        def measure(limit_s: float) -> Any:
            if how == "eager" and not self.on_gpu and not self.quick:
                raise UnavailableError("steps are captured on a GPU alone")
            command = [sys.executable, str(HERE / "train_step.py"), "--json"]
            command += ["--device", self.device, "--precision", precision]
            command += ["--seconds", str(1 if self.quick else seconds)]
            command += ["--steps", "2" if self.quick else "20"]
            command += ["--pairs", "1" if self.quick else "5"]
            command += ["--eager"] if how == "eager" else []
            if self.quick and seconds != SECONDS[0]:
                raise UnavailableError("one length of clips is enough where all is small")
            if self.quick:
                command += ["--decoder", str(small_decoder(self.out))]
            return last_json(call(command, limit_s))

        return measure

    def answering(self, limit_s: float) -> Any:
        """Keywords and captions."""
        command = [sys.executable, str(HERE / "answering.py"), "--json", "--device", self.device]
        if self.quick:
            return last_json(call([*command, "--pairs", "1", "--chunk", "1"], limit_s))
        return last_json(call([*command, "--pairs", "2"], limit_s))

    def killed(self, limit_s: float) -> dict[str, Any]:
        """A run to its end, and the same run killed while it trains: the same bytes."""
        suite = ["synth-keyword", "--set", "train.steps=60"] if self.quick else ["smoke"]
        command = [sys.executable, "-m", "auricle", "run", "logmel", "--suite", *suite]
        command += ["--device", self.device, "--quiet", "--json"]
        home = {"AURICLE_HOME": str(self.out / "home")}
        started = time.monotonic()
        whole = call([*command, "--out", str(self.out / "whole")], limit_s, **home)
        took_s = time.monotonic() - started
        killed = subprocess.Popen(
            [*command, "--out", str(self.out / "killed")],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | home,
            start_new_session=True,
        )
        kills = 0
        while killed.poll() is None and time.monotonic() - started < limit_s:
            if list((self.out / "killed").glob("**/checkpoints/*.safetensors")):
                os.killpg(killed.pid, signal.SIGKILL)
                kills = 1
            time.sleep(0.02)
        if killed.poll() is None:
            os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        left_s = limit_s - (time.monotonic() - started)
        call([*command, "--out", str(self.out / "killed")], left_s, **home)
        same = {
            str(path.relative_to(self.out / "whole")): path.read_bytes()
            == (self.out / "killed" / path.relative_to(self.out / "whole")).read_bytes()
            for pattern in ("**/predictions/*.jsonl", "**/final.safetensors")
            for path in sorted((self.out / "whole").glob(pattern))
        }
        scores = last_json(whole)["scores"]
        return {
            "seconds": took_s,
            "kills": kills,
            "files": len(same),
            "same_bytes": bool(same) and all(same.values()),
            "different": [name for name, equal in same.items() if not equal],
            "mean": scores["mean"],
        }

    def together(self, *, mps: bool) -> Callable[[float], Any]:
        """K trainings side by side: steps a second, and losses that are those of one alone."""

        def measure(limit_s: float) -> Any:
            if mps and not (self.on_gpu and shutil.which("nvidia-cuda-mps-control")):
                raise UnavailableError("no nvidia-cuda-mps-control here")
            folder = tempfile.mkdtemp(prefix="auricle-mps-") if mps else ""
            more = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
            if mps:
                call(["nvidia-cuda-mps-control", "-d"], 20, **more)
            try:
                counts = TOGETHER[:2] if self.quick else TOGETHER
                return self._side_by_side(counts, limit_s, more if mps else {})
            finally:
                if mps:
                    control = ["nvidia-cuda-mps-control"]
                    subprocess.run(
                        control, input="quit\n", text=True, env=os.environ | more, check=False
                    )
                    shutil.rmtree(folder, ignore_errors=True)

        return measure

    def _side_by_side(
        self, counts: tuple[int, ...], limit_s: float, more: dict[str, str]
    ) -> dict[str, Any]:
        command = [sys.executable, str(HERE / "gpu.py"), "--do", "steps", "--device", self.device]
        command += ["--quick"] if self.quick else []
        found: dict[str, Any] = {}
        alone: list[float] = []
        until = time.monotonic() + limit_s
        for count in counts:
            running = [
                subprocess.Popen(
                    command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | more
                )
                for _ in range(count)
            ]
            try:
                rows = [
                    last_json(one.communicate(timeout=max(1.0, until - time.monotonic()))[0])
                    for one in running
                ]
            finally:
                for one in running:
                    one.kill()
            alone = alone or rows[0]["losses"]
            found[str(count)] = {
                "steps_per_s": sum(row["steps_per_s"] for row in rows),
                "losses_equal": all(row["losses"] == alone for row in rows),
            }
        return found


def small_decoder(out: Path) -> Path:
    """A decoder of SmolLM2-135M's width with two layers, for what only has to run."""
    import plain_baseline as plain

    folder = out / "small-decoder"
    if not folder.exists():
        plain.save_decoder(folder, shape={**plain.SMOLLM2_135M, "num_hidden_layers": 2})
    return folder


# ---- parts that this file computes itself, in a process each


def do_machine(device: str, *, quick: bool) -> dict[str, Any]:
    """Card, driver, versions."""
    import torch

    facts: dict[str, Any] = {"torch": torch.__version__, "cuda": torch.version.cuda}
    facts["date"] = time.strftime("%Y-%m-%d")
    if device.startswith("cuda"):
        facts["card"] = torch.cuda.get_device_name()
        query = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
        facts["driver"] = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    return facts


def trainer(device: str, *, quick: bool, captured: bool = True) -> tuple[Any, Any, Any]:
    """Steps of ours, the module that makes their batches, and arguments for them."""
    import train_step

    decoder = Path(tempfile.mkdtemp(prefix="auricle-gpu-"))
    arguments = argparse.Namespace(dropout=0.1, steps=20, precision="float32")
    import plain_baseline as plain
    import torch

    torch.manual_seed(1)  # every process has the same weights
    layers = 2 if quick else 30
    plain.save_decoder(
        decoder / "decoder", shape={**plain.SMOLLM2_135M, "num_hidden_layers": layers}
    )
    recipe = train_step.recipe_of(decoder / "decoder", arguments)
    ours = train_step.Ours(recipe, device, captured=captured)
    shutil.rmtree(decoder)
    return ours, train_step, arguments


def run_steps(ours: Any, module: Any, seconds: list[float]) -> list[float]:
    """One step for each length of clips; the losses."""
    losses = []
    for number, length in enumerate(seconds):
        batch = module.samples(length, module.BATCH)
        losses.append(ours.step(batch, [one.frames for one in batch], number))
    return losses


def synchronise(device: str) -> None:
    """Wait for a GPU."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()


def do_steps(device: str, *, quick: bool) -> dict[str, Any]:
    """A short training: steps a second once captured, and the losses."""
    ours, module, _ = trainer(device, quick=quick)
    count, length = (4, 1.0) if quick else (60, 10.0)
    losses = run_steps(ours, module, [length] * 3)
    synchronise(device)
    started = time.perf_counter()
    losses += run_steps(ours, module, [length] * count)
    synchronise(device)
    return {"steps_per_s": count / (time.perf_counter() - started), "losses": losses}


def do_captures(device: str, *, quick: bool) -> dict[str, Any]:
    """Memory as shapes are captured one after another, and what slows steps down."""
    import torch

    ours, module, _ = trainer(device, quick=quick)
    lengths = [1.0, 2.0, 1.0] if quick else [30 * 0.94**place for place in range(55)]
    rows = []
    for length in lengths:
        run_steps(ours, module, [length])
        on_gpu = device.startswith("cuda")
        rows.append(torch.cuda.memory_reserved() / 2**20 if on_gpu else None)
    return {
        "shapes_tried": len(lengths),
        "reserved_mb": rows,
        "slow_because": ours.gradients.slow_because,
    }


def do_kernels(device: str, *, quick: bool) -> list[dict[str, Any]]:
    """The ten kernels or operations that take longest over 20 steps of one shape."""
    from torch.profiler import ProfilerActivity, profile

    ours, module, _ = trainer(device, quick=quick)
    length = 1.0 if quick else 10.0
    run_steps(ours, module, [length] * 4)
    on_gpu = device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as seen:
        run_steps(ours, module, [length] * (2 if quick else 20))
        synchronise(device)
    name = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    events = sorted(seen.key_averages(), key=lambda one: -getattr(one, name))
    total = sum(getattr(one, name) for one in events) or 1.0
    return [
        {
            "kernel": one.key[:100],
            "calls": one.count,
            "ms": getattr(one, name) / 1000,
            "share": getattr(one, name) / total,
        }
        for one in events[:10]
    ]


def do_encoding(device: str, *, quick: bool) -> dict[str, Any]:
    """Hours of audio a minute through the encoder's process: 12 layers, 768 wide."""
    from auricle.encoder.host import EncoderProcess, probe_audio
    from auricle.encoder.load import parse_encoder

    spec = parse_encoder(
        str(HERE / "base_encoder.py"), arguments=json.dumps({"layers": 1 if quick else 12})
    )
    windows, calls = ([probe_audio(1, 16_000)], 2) if quick else ([probe_audio(1, 480_000)] * 16, 8)
    labels = [f"window {number}" for number in range(len(windows))]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with EncoderProcess(spec, device=device, log_path=log) as process:
            process.encode(windows, labels=labels)
            started = time.perf_counter()
            for _ in range(calls):
                process.encode(windows, labels=labels)
            took = time.perf_counter() - started
            memory = process.usage.device_bytes
    hours = calls * sum(map(len, windows)) / 16_000 / 3600
    return {
        "hours_per_minute": hours / took * 60,
        "device_mb": memory / 2**20 if memory else None,
    }


def do_compiled(device: str, *, quick: bool) -> dict[str, Any]:
    """The simple way: torch.compile, mode reduce-overhead, of the plain step; compiling counted."""
    import plain_baseline as plain
    import torch
    import train_step

    folder = Path(tempfile.mkdtemp(prefix="auricle-gpu-"))
    layers = 2 if quick else 30
    plain.save_decoder(
        folder / "decoder", shape={**plain.SMOLLM2_135M, "num_hidden_layers": layers}
    )
    theirs = plain.PlainLALM(folder / "decoder", dropout=0.1, device=device)
    shutil.rmtree(folder)
    lengths = [1.0] if quick else [5.0, 10.0, 20.0, 30.0]
    started = time.perf_counter()
    try:
        theirs.model = torch.compile(theirs.model, mode="reduce-overhead")
        for length in lengths:  # one padded bucket each
            theirs.step(train_step.samples(length, train_step.BATCH), rate=1e-4)
    except Exception as error:
        text = f"{type(error).__name__}: {str(error)[:300]}"
        return {"unavailable": f"torch.compile does not do it here ({text})"}
    synchronise(device)
    compiled_s = time.perf_counter() - started
    batch = train_step.samples(lengths[len(lengths) // 2], train_step.BATCH)
    theirs.step(batch, rate=1e-4)
    synchronise(device)
    count = 2 if quick else 20
    started = time.perf_counter()
    for _ in range(count):
        theirs.step(batch, rate=1e-4)
    synchronise(device)
    step_s = (time.perf_counter() - started) / count
    return {"compile_s": compiled_s, "buckets": len(lengths), "step_s": step_s}


INNER = {
    "machine": do_machine,
    "steps": do_steps,
    "captures": do_captures,
    "kernels": do_kernels,
    "encoding": do_encoding,
    "compiled": do_compiled,
}


# ---- the whole


def measure(parts: Parts, wanted: list[str], *, out: Path, limit_s: float) -> dict[str, Any]:
    """Run the parts that have no result yet, within the time."""
    started = time.monotonic()
    for name, (work, most_s) in parts.all().items():
        place = out / f"{name}.json"
        if name not in wanted or place.exists():
            continue
        left_s = limit_s - (time.monotonic() - started)
        if left_s < 5:
            print(f"{name}: no time left; the same command goes on", flush=True)
            continue
        begun = time.monotonic()
        try:
            row = {"status": "ok", "result": work(min(most_s, left_s))}
        except UnavailableError as error:
            row = {"status": "skipped", "reason": str(error)}
        except Exception as error:
            row = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        row["seconds"] = round(time.monotonic() - begun, 1)
        temporary = place.with_suffix(".tmp")
        temporary.write_text(json.dumps(row, indent=1), encoding="utf-8")
        temporary.replace(place)
        print(f"{name}: {row['status']}, {row['seconds']} s", flush=True)
        if row["status"] != "ok":
            print(f"  {row['reason'][:300]}", flush=True)
    found = {
        name: json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        for name in parts.all()
        if (out / f"{name}.json").exists()
    }
    whole = {
        "device": parts.device,
        "quick": parts.quick,
        "parts": found,
        "goals": {} if parts.quick else goals(found),
    }
    (out / "gpu.json").write_text(json.dumps(whole, indent=1), encoding="utf-8")
    return whole


def goals(found: dict[str, Any]) -> dict[str, Any]:
    """The goals, each met, missed or not measured, and the projection of an official run."""

    def result(name: str) -> Any:
        row = found.get(name, {})
        return row.get("result") if row.get("status") == "ok" else None

    def verdict(value: float | None, is_met: bool) -> dict[str, Any]:
        said = "not measured" if value is None else "met" if is_met else "missed"
        return {"value": value, "verdict": said}

    table: dict[str, Any] = {}
    for precision in ("float32", "bf16"):
        row = result(f"step_{precision}_10s_captured")
        ratio = row and row["plain_wall"] / row["ours_wall"]
        table[f"step_{precision}_ratio"] = verdict(ratio, bool(ratio and ratio >= GOAL_RATIO))
        hours = row and TRACKS * OFFICIAL_STEPS * row["ours_wall"] / 3600
        table[f"both_tracks_{precision}_hours_of_training"] = verdict(
            hours, bool(hours and hours <= GOAL_HOURS)
        )
        longest = result(f"step_{precision}_30s_captured")
        memory = longest and longest["memory_mb"]["ours"]
        table[f"memory_{precision}_mb"] = verdict(memory, bool(memory and memory < GOAL_MEMORY_MB))
    killed = result("killed")
    same = killed and float(killed["same_bytes"])
    table["same_bytes_after_a_kill"] = verdict(same, bool(same and killed["kills"]))
    ours, simple = result("step_float32_10s_captured"), result("compiled")
    times = simple["step_s"] / ours["ours_wall"] if ours and simple else None
    table["simple_way_times_ours"] = verdict(times, bool(times and times > 1.3))
    return table


def show(whole: dict[str, Any]) -> None:
    """Print what was found, 80 columns wide."""
    print("\n| part | what | figure |\n|---|---|---|")
    for name, row in whole["parts"].items():
        if row["status"] != "ok":
            print(f"| {name} | {row['status']} | {row['reason'].splitlines()[0][:40]} |")
            continue
        found = row["result"]
        if name.startswith("step_"):
            print(f"| {name} | ms a step, times plain | {1000 * found['ours_wall']:.1f}, ", end="")
            print(f"{found['plain_wall'] / found['ours_wall']:.2f} |")
            print(f"| | roofline, MB | {found['roofline_share']:.2f}, ", end="")
            print(f"{found['memory_mb']['ours']:.0f} |")
        elif name == "kernels":
            for one in found:
                print(
                    f"| {one['kernel'][:36]} | {one['calls']} calls | {100 * one['share']:.1f} % |"
                )
        elif name == "answering":
            for task, each in found.items():
                print(f"| {name} | {task}, times plain | {each['ratio']:.1f} |")
        elif isinstance(found, dict):
            for what, value in found.items():
                print(f"| {name} | {what} | {str(value)[:40]} |")
    print("\n| goal | value | |\n|---|---|---|")
    for name, goal in whole["goals"].items():
        value = "" if goal["value"] is None else f"{goal['value']:.3g}"
        print(f"| {name} | {value} | {goal['verdict']} |")


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="where results are kept")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="very small: see that all of it runs")
    parser.add_argument("--parts", default="", help="these parts alone, separated by commas")
    parser.add_argument("--again", action="append", default=[], help="measure this part once more")
    parser.add_argument("--limit", type=float, default=480.0, help="seconds for everything")
    parser.add_argument("--list", action="store_true", help="name the parts")
    parser.add_argument("--do", choices=sorted(INNER), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.do:
        print(json.dumps(INNER[given.do](given.device, quick=given.quick)))
        return 0
    parts = Parts(device=given.device, quick=given.quick, out=(given.out or Path()).resolve())
    if given.list:
        print("\n".join(parts.all()))
        return 0
    if given.out is None:
        parser.error("give --out DIR, where the results are kept")
    wanted = [one for one in given.parts.split(",") if one] or list(parts.all())
    unknown = sorted({*wanted, *given.again} - {*parts.all()})
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; see --list")
    parts.out.mkdir(parents=True, exist_ok=True)
    for name in given.again:
        (parts.out / f"{name}.json").unlink(missing_ok=True)
    whole = measure(parts, wanted, out=parts.out, limit_s=given.limit)
    show(whole)
    return int(any(row["status"] == "failed" for row in whole["parts"].values()))


if __name__ == "__main__":
    raise SystemExit(main())
