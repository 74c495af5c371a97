"""Every stage and the whole job, one table: ours against the plain baseline.

    python benchmarks/all.py [--device cpu] [--threads 1] [--quick]

Runs `train_step.py` (float32 and bf16), `answering.py` and, on a CPU, `prepare.py` and
`whole_job.py`, each in a process of its own, and prints one line for each figure. ``--quick``
measures one pair of each and ten times fewer steps, to see that everything runs. The device `cuda`
has not been tried.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def figures(script: str, *options: str) -> dict[str, Any]:
    """What a benchmark measures."""
    command = [sys.executable, str(HERE / script), "--json", *options]
    print(" ".join(command[1:]), file=sys.stderr, flush=True)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(*cells: object) -> None:
    """A row of the table."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    unit = "cpu" if arguments.device == "cpu" else "wall"
    common = ["--device", arguments.device, "--threads", str(arguments.threads)]
    pairs = ["--pairs", "1"] if arguments.quick else []
    line("stage", f"plain, {unit} s", f"ours, {unit} s", "ratio", "goal", "roofline", "memory")
    line(*["---"] * 7)
    on_cpu = arguments.device == "cpu"
    kinds = [("float32", "", 1.8), ("bf16", "", 3)]
    if not on_cpu:  # ten times the baseline in float32; each also launched operation by operation
        kinds = [(p, how, 10) for p in ("float32", "bf16") for how in ("", "eager")]
    for precision, how, goal in kinds:
        steps = ["--steps", "2" if arguments.quick else "20", "--precision", precision]
        steps += [f"--{how}"] if how else []
        row = figures("train_step.py", *common, *steps, *pairs)
        memory = row["memory_mb"]["plain"] / row["memory_mb"]["ours"]
        line(
            f"training step, {precision}{', ' + how if how else ''}",
            f"{row[f'plain_{unit}']:.3g}",
            f"{row[f'ours_{unit}']:.3g}",
            f"{row['ratio_with_encoder']:.2f}",
            goal,
            f"{100 * row['roofline_share']:.0f} %",
            f"{memory:.2f} x less (goal 3)",
        )
    chunk = ["--chunk", "8"] if arguments.quick else []
    for task, row in figures("answering.py", *common, *pairs, *chunk).items():
        line(
            f"answering, {task}",
            f"{row[f'plain_{unit}']:.4f}",
            f"{row[f'ours_{unit}']:.4f}",
            f"{row['ratio']:.1f}",
            10 if task.startswith("captions") else 4,
            f"{100 * row['roofline_share']:.0f} %" if "roofline_share" in row else "",
            f"{row['plain_mb']:.0f} and {row['ours_mb']:.0f} MB",
        )
    if on_cpu:
        few = ["--rounds", "1", "--clips", "1"] if arguments.quick else []
        rows = figures("prepare.py", *few)
        line(
            "preparing a clip the second time",
            f"{rows['plain, every time']['cpu_s']:.4f}",
            f"{rows['ours, again']['cpu_s']:.4f}",
            f"{rows['ours, again']['ratio']:.0f}",
            20,
            "",
            "",
        )
        size = ["--steps", "20", "--layers", "2"] if arguments.quick else []
        row = figures("whole_job.py", "--threads", str(arguments.threads), *size)
        line(
            "whole job",
            f"{row['plain_cpu']:.0f}",
            f"{row['ours_cpu']:.0f}",
            f"{row['ratio']:.2f}",
            4,
            "",
            "",
        )


if __name__ == "__main__":
    main()
