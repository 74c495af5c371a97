"""What a locked process may see and use; everything that is not named here is not there for it."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

GIBI = 1 << 30
PASSED_VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY"),
    *("KMP_BLOCKTIME", "GOMP_SPINCOUNT", "CUBLAS_WORKSPACE_CONFIG", "PYTHONHASHSEED"),
    *("PYTHONUNBUFFERED", "TOKENIZERS_PARALLELISM", "CUDA_VISIBLE_DEVICES"),
)
"""Taken over from whoever starts the locked command; no other variable is."""
SCRATCH = "/tmp"  # noqa: S108  the sandbox's own, in memory and with a size


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The locks of one command.

    Paths are bound at their own place, so that a path means the same inside and outside.
    """

    readable: tuple[Path, ...] = ()
    """Files and folders that may be read, beside the system's libraries."""
    writable: tuple[Path, ...] = ()
    """Folders on disk that may be written: the fetch stage's environment, else nothing."""
    folder: Path | None = None
    """Where the command starts; the scratch when None."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables."""
    network: bool = False
    """Whether the network is there; in the fetch stage alone."""
    tools: bool = False
    """Whether the system's programs (/usr) are there: compilers for the fetch stage."""
    gpu: bool = False
    """Bind the GPU's devices and lift the limit on address space."""
    gpu_memory_fraction: float | None = None
    """Part of the GPU's memory that torch's allocator may take."""
    scratch_bytes: int = 2 * GIBI
    """Size of the private scratch folder, which lies in memory."""
    file_bytes: int = 4 * GIBI
    """Largest file that may be written, logs and memory files included."""
    memory_bytes: int = 16 * GIBI
    """Memory of all its processes together; of each, where there are no control groups."""
    processes: int = 512
    """Processes and threads together."""
    cpus: float | None = None
    """Cores' worth of time per second; no limit when None."""
    cpu_time_s: int | None = None
    """Seconds of computing of one process; no limit when None."""


def python_paths(python: Path) -> tuple[Path, ...]:
    """What an interpreter needs to run: itself, its installation, its virtual environment.

    Args:
        python: An interpreter, or the one of a virtual environment. Nothing is executed.
    """
    found = (
        [python.absolute().parent.parent] if (python.parent.parent / "pyvenv.cfg").is_file() else []
    )
    link = python.absolute()
    for _ in range(20):  # every step of a chain of links must exist inside, too
        if not link.is_symlink():
            break
        link = Path(link.parent, link.readlink())
        found.append(link.parent.resolve() / link.name)
    real = python.resolve()
    base = real.parent.parent
    found += [base] if base not in (Path("/usr"), Path("/")) else [real]
    return tuple(dict.fromkeys(found))


def package_folders() -> tuple[Path, ...]:
    """Where our own packages lie, in the order in which they are found.

    Several folders where a virtual environment sees the system's packages, or a user's.
    """
    names = ("site-packages", "dist-packages")
    found = [Path(entry) for entry in sys.path if Path(entry).name in names]
    found += [Path(sysconfig.get_path(key)) for key in ("purelib", "platlib")]
    return tuple(dict.fromkeys(path for path in found if path.is_dir()))


def own_python_paths() -> tuple[Path, ...]:
    """The paths of the interpreter that runs this program, its installed packages included."""
    packages = [*package_folders(), Path(sysconfig.get_path("stdlib"))]
    found = [*python_paths(Path(sys.executable)), *packages]
    return tuple(dict.fromkeys(path for path in found if path.exists()))
