"""A child of `auricle.synth.make`: takes jobs as JSON lines, writes shards, reports in JSON lines.

It ends when its standard input does, also in the middle of a shard, so that it never outlives a
parent that was killed.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auricle.data.write import Sample, encode_flac, write_shard
from auricle.errors import UserError
from auricle.synth.clips import make_clip

_REPORT_EVERY = 25


def main() -> None:
    """Serve jobs until standard input ends."""
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    while True:
        job = jobs.get()
        path = Path(job["path"])
        try:
            write_shard(path, _samples(job["task"], job["split"], job["first"], job["stop"]))
        except UserError as error:
            _report(error=str(error))
        else:
            _report(clips=(job["stop"] - job["first"]) % _REPORT_EVERY, done=True)


def _listen(jobs: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)


def _samples(task: str, split: str, first: int, stop: int) -> Iterator[Sample]:
    for index in range(first, stop):
        clip = make_clip(task, split=split, index=index)
        yield Sample(f"{task}_{split}_{index:06d}", "flac", encode_flac(clip.samples), clip.fields)
        if (index - first + 1) % _REPORT_EVERY == 0:
            _report(clips=_REPORT_EVERY, done=False)


def _report(**reply: Any) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
