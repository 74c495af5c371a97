"""Entry point of the command line."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # Two busy cores that wait actively for each other run eightfold slower; torch reads these
    # when it loads, so they are set before anything is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    # Both caches keep each kernel that oneDNN compiled, about 1 MB for each shape of a batch.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
    # cuBLAS repeats its results with this; the encoder's process gets it too.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from auricle.cli.app import execute

    # What ends a command in the ordinary way ends what it started, too, and leaves nothing behind.
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    sys.exit(execute(sys.argv[1:]))


if __name__ == "__main__":
    main()
