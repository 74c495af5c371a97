"""An encoder's process that says what a test has it say: a program for ``--encoder-python``.

It answers orders as `child.py` does for an encoder without parameters that gives one frame of ones
a window, except where a test puts other bytes in an answer's place or lays other bytes into the
features file. It imports neither torch nor numpy, so it starts at once.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DIM = 4
HONEST: dict[str, dict[str, Any]] = {
    "load": {
        "ok": True,
        "class_name": "PuppetEncoder",
        "output_dim": DIM,
        "output_dim_seen": str(DIM),
        "baseline_bytes": 1 << 20,
        "arguments_taken": 2,
        "notes": [],
    },
    "encode": {
        "ok": True,
        "features": {"shape": [1, 1, DIM], "dtype": "float32", "bytes": 4 * DIM},
        "mask": None,
        "resident_bytes": 2 << 20,
        "device_bytes": None,
        "training": False,
    },
    "report": {
        "ok": True,
        "files": [],
        "packages": {"torch": "2.9.0"},
        "python": "3.11.4",
        "num_parameters": 0,
    },
    "sums": {"ok": True, "parameters": [], "buffers": []},
}
"""What it answers to each order, for a batch of one window."""

_PROGRAM = """#!{python} -IS
import base64, json, os, struct, sys
_, _, _, channel, _, *files = sys.argv
channel, files = int(channel), [int(number) for number in files]
script = json.loads({script!r})

def read(size):
    data = b""
    while len(data) < size:
        part = os.read(channel, size - len(data))
        if not part:
            os._exit(0)
        data += part
    return data

while True:
    order = json.loads(read(struct.unpack(">I", read(4))[0]))
    op = order["op"]
    answer = script["honest"][op]
    if op == "encode":
        file, rows = files[len(files) // 2 + order["bank"]], order["shape"][0]
        dim = script["honest"]["load"]["output_dim"]
        data = struct.pack(f"<{{rows * dim}}f", *[1.0] * (rows * dim))
        answer["features"].update(shape=[rows, 1, dim], bytes=len(data))
        if script["laid"] is not None:
            data = base64.b64decode(script["laid"])
        os.ftruncate(file, max(len(data), script["file_bytes"] or 0))
        os.pwrite(file, data, 0)
    body = json.dumps(answer).encode()
    if op in script["said"]:
        body = base64.b64decode(script["said"][op])
    view = struct.pack(">I", len(body)) + body
    while view:
        view = view[os.write(channel, view):]
"""


def write_puppet(
    path: Path,
    said: Mapping[str, bytes] | None = None,
    *,
    laid: bytes | None = None,
    file_bytes: int | None = None,
) -> Path:
    """Write the program.

    Args:
        path: Where; beside it an empty encoder's file is written, ``<name>.py``.
        said: The bytes of its answers by order, where they are not the honest ones.
        laid: The bytes that it lays into the features file, for its own.
        file_bytes: The features file's size where that is more: the rest is a hole.

    Returns:
        The encoder's file, to be started with the program as its interpreter.
    """
    script = {
        "honest": HONEST,
        "said": {op: base64.b64encode(data).decode() for op, data in (said or {}).items()},
        "laid": None if laid is None else base64.b64encode(laid).decode(),
        "file_bytes": file_bytes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_PROGRAM.format(python=sys.executable, script=json.dumps(script)))
    path.chmod(0o755)
    encoder = path.with_suffix(".py")
    encoder.write_text("class PuppetEncoder: pass\n")
    return encoder


def changed(op: str, **fields: Any) -> dict[str, bytes]:
    """An honest answer with some fields replaced, as `write_puppet` takes it."""
    return {op: json.dumps({**HONEST[op], **fields}).encode()}
