"""What an encoder is, as a hash of everything that makes it (law 5).

Found by content, never by name: the encoder's own file may be renamed or moved; a changed sibling,
weight file, argument or package version makes another encoder. The child says which files it
opened, we hash them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from auricle.encoder.failures import nonsense
from auricle.errors import EncoderLoadError
from auricle.files import sha256_file, sha256_json

SCHEMA = 1


def argument_files(arguments: Mapping[str, Any], *, base: Path) -> list[Path]:
    """Every existing file that an argument names, a folder's files included.

    Args:
        arguments: The encoder's arguments; nested values count.
        base: Folder that relative paths start from.
    """
    found: list[Path] = []
    for text in _strings(arguments):
        if "\0" in text or len(text) > 4096 or not text.strip():
            continue
        path = base / Path(text).expanduser()
        try:
            if path.is_file():
                found.append(path.absolute())
            elif path.is_dir():
                found += _folder_files(path.absolute())
        except OSError:  # a name that no file system would have
            continue
    return found


def hash_files(paths: Iterable[str | Path]) -> dict[str, str]:
    """SHA-256 of each regular file; one that vanished meanwhile is an error.

    Raises:
        EncoderLoadError: A file cannot be read.
    """
    hashes = {}
    for path in sorted({os.path.normpath(path) for path in paths}):
        try:
            if not stat.S_ISREG(Path(path).stat().st_mode):
                continue
            hashes[path] = sha256_file(Path(path))
        except OSError as error:
            raise EncoderLoadError(
                f"{path}, which the encoder opened, cannot be hashed ({error}). Keep the encoder's "
                "files in place while it runs."
            ) from error
    return hashes


def content_hash(
    *,
    target: str,
    class_name: str,
    arguments: Mapping[str, Any],
    files: Mapping[str, str],
    packages: Mapping[str, str],
    python: str,
    base: Path,
) -> str:
    """The encoder's hash, as hex.

    A file counts by its content and its place: relative to the encoder's folder where it lies
    inside, else its name alone. The encoder's own file counts by content only.
    """
    folder = os.path.dirname(target)  # noqa: PTH120  a text: a module's target is no path
    placed = [[_place(path, target, folder), digest] for path, digest in files.items()]
    return sha256_json(
        {
            "schema": SCHEMA,
            "class": class_name,
            "arguments": _without_paths(dict(arguments), files, base),
            "files": sorted(placed),
            "packages": dict(packages),
            "python": ".".join(python.split(".")[:2]),
        }
    )


def check_report(answer: Mapping[str, Any]) -> tuple[list[str], dict[str, str], str, int]:
    """Files, packages, Python version and number of parameters out of the child's report.

    Raises:
        EncoderContractError: The report is not what `child.py` sends.
    """
    files, packages = answer.get("files"), answer.get("packages")
    python, number = answer.get("python"), answer.get("num_parameters")
    if (
        isinstance(files, list)
        and all(isinstance(path, str) and path.startswith("/") for path in files)
        and isinstance(packages, dict)
        and all(isinstance(version, str) for version in packages.values())
        and isinstance(python, str)
        and type(number) is int
        and number >= 0
    ):
        return files, packages, python, number
    raise nonsense("a report of its files in another form")


def _place(path: str, target: str, folder: str) -> str:
    if path == target:
        return ""
    if folder and path.startswith(folder + os.sep):
        return Path(path).relative_to(folder).as_posix()
    return Path(path).name


def _without_paths(value: Any, files: Mapping[str, str], base: Path) -> Any:
    """Arguments with each path replaced by the hash of what it holds: moving is no change."""
    if isinstance(value, dict):
        return {key: _without_paths(item, files, base) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_paths(item, files, base) for item in value]
    if not isinstance(value, str):
        return value
    own = argument_files({"": value}, base=base)
    if not own:
        return value
    digest = hashlib.sha256()
    for path in sorted(own):
        text = os.path.normpath(path)
        digest.update(f"{path.name}\n{files.get(text, '')}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _folder_files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts and path.is_file()
    ]
