"""The last program before a locked command: comes under the limits, then becomes bubblewrap.

Started as ``python -I -S launch.py CONFIG COMMAND...`` and made of the standard library alone,
because it runs before every locked command. It joins the control groups before anything of a
stranger's runs, and starts bubblewrap with a clean environment: the first process of a sandbox can
be looked at from inside. CONFIG is written by `wrap.py`::

    {"bwrap": [...], "inner": [...], "environment": {...}, "passed": [...], "joins": [...],
     "rlimits": {"FSIZE": n, ...}, "seccomp": hex, "data": {path: text}}
"""

from __future__ import annotations

import json
import os
import resource
import sys

FAILED = 125
"""Exit code when the locks could not be applied; the command has not run."""


def launch(config_path: str, command: list[str]) -> None:
    """Apply the limits and become the locked command; returns only by an exception."""
    with open(config_path, encoding="utf-8") as stream:  # noqa: PTH123
        config = json.load(stream)
    for path in config["joins"]:
        with open(path, "w", encoding="ascii") as stream:  # noqa: PTH123
            stream.write("0")
    os.umask(0o022)
    # When memory runs out on the whole machine, this is what should go first.
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:  # noqa: PTH123
        stream.write("1000")
    environment = dict(config["environment"])
    for name in config["passed"]:
        if name in os.environ:
            environment[name] = os.environ[name]
    arguments = list(config["bwrap"])
    if arguments:
        for name, text in config["data"].items():
            file = str(_memory_file(text.encode()))
            arguments += ["--perms", "0644", "--ro-bind-data", file, name]
        if config["seccomp"]:
            arguments += ["--seccomp", str(_memory_file(bytes.fromhex(config["seccomp"])))]
        arguments += config["last"]
        arguments += ["--", *config["inner"]]
    arguments += command
    for name, value in config["rlimits"].items():
        which = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(which)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # At the first limit of computing SIGXCPU comes, which says so; signal 9 does not.
        last = limit + 5 if name == "CPU" and hard == resource.RLIM_INFINITY else limit
        resource.setrlimit(which, (limit, last))
    os.execve(arguments[0], arguments, environment)  # noqa: S606


def _memory_file(data: bytes) -> int:
    descriptor = os.memfd_create("auricle-lock", 0)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


if __name__ == "__main__":
    try:
        launch(sys.argv[1], sys.argv[2:])
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"the locks could not be applied: {error}\n")
        sys.exit(FAILED)
