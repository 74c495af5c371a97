"""How long a clip of each synthetic task takes to make and to pack, in one process.

    python benchmarks/synth.py [TASK ...]

Prints milliseconds of CPU time per clip, its mean duration and size, and the time of all shards.
"""

from __future__ import annotations

import sys
import time

from auricle.catalog.load import get_task
from auricle.data.write import encode_flac
from auricle.synth.clips import KINDS, make_clip

CLIPS = 100


def main() -> None:
    """Measure the tasks that are named, or all."""
    total_s = 0.0
    print(f"{'task':<22}{'ms/clip':>9}{'seconds':>9}{'KB':>7}{'clips':>7}{'CPU s':>8}")
    for name in sys.argv[1:] or KINDS:
        clips = get_task(name).synthetic
        if clips is None:
            continue
        for index in range(20):
            make_clip(name, split="test", index=index)  # fills caches
        samples = packed = 0
        started = time.process_time()
        for index in range(CLIPS):
            clip = make_clip(name, split="train", index=index)
            samples += len(clip.samples)
            packed += len(encode_flac(clip.samples))
        each_s = (time.process_time() - started) / CLIPS
        count = clips.train_clips + clips.test_clips
        total_s += each_s * count
        print(
            f"{name:<22}{each_s * 1e3:>9.2f}{samples / CLIPS / 16_000:>9.2f}"
            f"{packed / CLIPS / 1024:>7.0f}{count:>7}{each_s * count:>8.1f}"
        )
    print(f"{'all':<22}{'':>32}{total_s:>8.1f}")


if __name__ == "__main__":
    main()
