"""What this program and an encoder's process say to each other; light, so that any room may ask.

`EncoderSpec` is an encoder that can be started, `load_order` the first order to its process: the
one place that says how an encoder's code is imported, for a check, a run and a submission alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRAPPERS = Path(__file__).resolve().parent / "wrappers"
_SUBMISSION, _FETCHED = "AURICLE_SUBMISSION", "AURICLE_SUBMISSION_FETCHED"


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """An encoder that can be started.

    ``text`` is what the user typed, ``name`` short enough for folders and tables. ``kind`` is
    ``file``, ``module``, ``builtin`` or ``hf``; ``target`` an absolute path to a Python file, or a
    module's dotted name. ``class_name`` is None where the target's only encoder class is meant.
    ``python`` is the interpreter, None for our own; ``folder`` is where it starts, None for the
    current one. ``judged`` are the folders of a submission that is examined, itself and what it
    fetched: their files and no others make its identity. None for one's own encoder, where every
    file does that its process opens.
    """

    text: str
    name: str
    kind: str
    target: str
    class_name: str | None
    arguments: dict[str, Any]
    python: Path | None = None
    folder: Path | None = None
    judged: tuple[Path, ...] | None = None

    @property
    def base(self) -> Path:
        """Where the encoder starts and its relative paths begin."""
        return self.folder or Path.cwd()


def judged_variables(submission: Path, fetched: Path) -> dict[str, str]:
    """Environment variables that tell an auricle command whose encoder it examines.

    Args:
        submission: The submission's files.
        fetched: What its encoder fetched when it was constructed.
    """
    return {_SUBMISSION: str(submission), _FETCHED: str(fetched)}


def judged_folders(target: Path, variables: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The folders of the submission that is examined, the one where its encoder starts first.

    Args:
        target: The encoder's file.
        variables: Environment variables, from `judged_variables` in an examination.

    Returns:
        Nothing where no submission is examined, or the file is none of its own.
    """
    if _SUBMISSION not in variables or _FETCHED not in variables:
        return ()
    submission = Path(variables[_SUBMISSION])
    inside = target.resolve().is_relative_to(submission.resolve())
    return (submission, Path(variables[_FETCHED])) if inside else ()


def load_order(spec: EncoderSpec, *, device: str, threads: int) -> dict[str, Any]:
    """The order to import an encoder's code and construct it.

    A file in a package is imported as that package's part, from the folder above it; any other by
    its path, with its own folder first on the search path. The folder where the encoder starts
    comes last.

    Args:
        spec: The encoder.
        device: Where it computes, as torch names devices.
        threads: Threads of its number libraries.
    """
    is_file = spec.kind != "module"
    path = Path(spec.target)
    module, root = _package_of(path) if is_file else (spec.target, None)
    return {
        "op": "load",
        "shown": spec.text.removesuffix(f":{spec.class_name}"),
        "path": spec.target if is_file else None,
        "module": module,
        "folders_first": [str(path.parent), *([str(root)] if root else [])] if is_file else [],
        "folders_last": [str(spec.base)],
        "class_name": spec.class_name,
        "built_in": spec.kind in ("builtin", "hf"),
        "arguments": spec.arguments,
        "device": device,
        "threads": threads,
    }


def _package_of(path: Path) -> tuple[str | None, Path | None]:
    """Dotted name and root folder of a file that lies in a package; our own wrappers do not."""
    if path.parent == WRAPPERS or not (path.parent / "__init__.py").is_file():
        return None, None
    parts = [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder
