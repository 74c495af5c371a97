"""Preparing a clip: the first time, as the plain baseline does every time, against the second time.

    python benchmarks/prepare.py [--rounds 5] [--clips 4]

A round is one batch of 10-s clips (44.1-kHz FLAC in a shard). *Plain* decodes and resamples them
and runs the encoder of `base_encoder.py` on them, in this process; *ours, first* is what a run
does with clips that it never saw (decode, the encoder's process, checks, store); *ours, again*
opens the store anew and reads their features. All three in each round, one thread; medians of CPU
seconds (the encoder's process included) and of wall time, for each clip. Further batches in a row
then show how busy the encoder's process is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import soundfile
import torch
from base_encoder import BaseEncoder

from auricle.data.clips import AudioSource, ClipTable
from auricle.data.decode import decode
from auricle.data.index import open_indexes
from auricle.data.shards import LockedShard
from auricle.encoder.host import EncoderProcess, probe_audio
from auricle.encoder.load import parse_encoder
from auricle.features.batches import BatchPlan
from auricle.features.encode import Features
from auricle.features.store import FeatureStore
from auricle.progress import SilentProgress

SECONDS, RATE = 10, 44_100
IN_A_ROW = 8


def make_shard(path: Path, count: int) -> LockedShard:
    """A shard of distinct clips."""
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            sound = io.BytesIO()
            soundfile.write(sound, probe_audio(number, SECONDS * RATE), RATE, format="FLAC")
            for name, data in ((f"{number}.flac", sound.getvalue()), (f"{number}.json", b"{}")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return LockedShard(
        repository="benchmark",
        commit="local",
        name=path.name,
        tar=path,
        sha256=digest,
        size=path.stat().st_size,
        download_sha256=None,
    )


def encoder_cpu_s(pid: int) -> float:
    """CPU seconds of the encoder's process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU seconds of this process and of the encoder's."""
    return time.process_time() + encoder_cpu_s(pid)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead")
    options = parser.parse_args()
    rounds, clips = options.rounds, options.clips
    torch.set_num_threads(1)
    here = Path(__file__).parent
    plain_encoder = BaseEncoder().eval().requires_grad_(requires_grad=False)
    with tempfile.TemporaryDirectory() as name:
        folder, silent = Path(name), SilentProgress()
        shard = make_shard(folder / "clips.tar", (rounds + 1 + IN_A_ROW) * clips)
        table = ClipTable([shard], open_indexes([shard], home=folder, workers=1, progress=silent))
        source = AudioSource([table])
        spec = parse_encoder(str(here / "base_encoder.py"))
        with EncoderProcess(spec, log_path=folder / "log") as process:
            plan = BatchPlan(mode="padded", budget_s=clips * SECONDS)
            plan.add(table.window(clip) for clip in range(len(table)))

            def features() -> Features:
                store = FeatureStore(folder, dtype="float32", dim=768)
                return Features(plan, store, source, encoder=lambda: process, workers=1)

            def plainly(place: int) -> None:
                audio = [decode(*source.encoded(w)) for w in plan.batches[place].windows]
                batch = torch.stack([torch.from_numpy(one) for one in audio])
                with torch.no_grad():
                    plain_encoder(batch, torch.ones(batch.shape, dtype=torch.int32))

            def first(place: int) -> None:
                features().ensure([plan.batches[place]], name="encode", progress=silent)

            def again(place: int) -> None:
                opened = features()
                for window in plan.batches[place].windows:
                    opened.read(window)

            ways: dict[str, Callable[[int], None]] = {
                "plain, every time": plainly,
                "ours, first time": first,
                "ours, again": again,
            }
            taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for place in range(rounds + 1):
                for way, work in ways.items():
                    wall, cpu = time.perf_counter(), cpu_s(process.info.pid)
                    work(place)
                    spent = cpu_s(process.info.pid) - cpu, time.perf_counter() - wall
                    if place:  # the first round warms everything up
                        taken[way].append((spent[0] / clips, spent[1] / clips))
            rest = plan.batches[rounds + 1 :]
            busy, wall = encoder_cpu_s(process.info.pid), time.perf_counter()
            features().ensure(rest, name="encode", progress=silent)
            busy = encoder_cpu_s(process.info.pid) - busy
            busy /= time.perf_counter() - wall
    found = {
        way: {
            "cpu_s": statistics.median(cpu for cpu, _ in values),
            "wall_s": statistics.median(wall for _, wall in values),
            "ratio": statistics.median(
                plain[0] / own[0]
                for plain, own in zip(taken["plain, every time"], values, strict=True)
            ),
        }
        for way, values in taken.items()
    }
    if options.json:
        print(json.dumps(found | {"encoder_busy": busy}))
        return
    print(f"{rounds} rounds of {clips} clips of {SECONDS} s, one thread; for each clip:")
    print(f"{'':20} {'CPU ms':>9} {'wall ms':>9} {'times plain (CPU)':>18}")
    for way, row in found.items():
        cpu, wall = row["cpu_s"] * 1e3, row["wall_s"] * 1e3
        print(f"{way:20} {cpu:9.2f} {wall:9.2f} {row['ratio']:18.2f}")
    print(f"{len(rest)} batches in a row: the encoder computes {100 * busy:.0f} % of the time")


if __name__ == "__main__":
    main()
