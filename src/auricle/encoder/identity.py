"""What an encoder is, as a hash of everything that makes it (law 5).

Found by content, never by name: the encoder's own file may be renamed or moved; a changed sibling,
weight file, argument or package version makes another encoder. The child says which files it
opened, we hash them. Of a submission that is examined we hash its own files and those that it
fetched: a name that its process says opens nothing else of the machine.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from auricle.encoder.protocol import EncoderSpec
from auricle.errors import EncoderLoadError
from auricle.files import sha256_file, sha256_json, user_path

SCHEMA = 1
_WEIGHTS_BYTES = 1 << 20


def identity_files(spec: EncoderSpec, opened: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each local file that makes an encoder.

    Args:
        spec: The encoder.
        opened: The files that its process says it opened.

    Raises:
        EncoderLoadError: A file cannot be read.
    """
    if spec.judged is None:
        return hash_files([*opened, *argument_files(spec)])
    submission, *fetched = spec.judged
    own = [path for path in _folder_files(submission) if not path.is_symlink()]
    kept = [path for folder in fetched for path in _folder_files(folder) if not path.is_symlink()]
    weights = [path for path in kept if path.stat().st_size >= _WEIGHTS_BYTES]  # named or not
    named = [path for text in opened if (path := _inside(text, fetched)) and path.is_file()]
    return hash_files([*own, *weights, *named])


def argument_files(spec: EncoderSpec) -> list[Path]:
    """Every existing file that an encoder's argument names, a folder's files included.

    Of a submission those that lie in its own folders.
    """
    return _named_files(spec.arguments, spec)


def _named_files(arguments: Any, spec: EncoderSpec) -> list[Path]:
    found: list[Path] = []
    for text in _strings(arguments):
        if "\0" in text or len(text) > 4096 or not text.strip():
            continue
        try:
            path = spec.base / user_path(text)
            if spec.judged is not None and not _inside(path, spec.judged):
                continue
            if path.is_file():
                found.append(path.absolute())
            elif path.is_dir():
                found += _folder_files(path.absolute())
        except (OSError, ValueError, RuntimeError):  # a name that no file system would have
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
        except (OSError, ValueError) as error:
            raise EncoderLoadError(
                f"{path}, which the encoder opened, cannot be hashed ({error}). Keep the encoder's "
                "files in place while it runs."
            ) from error
    return hashes


def content_hash(
    spec: EncoderSpec,
    *,
    class_name: str,
    files: Mapping[str, str],
    packages: Mapping[str, str],
    python: str,
) -> str:
    """The encoder's hash, as hex.

    A file counts by its content and its place: relative to the encoder's folder where it lies
    inside, else its name alone. The encoder's own file counts by content only.

    Args:
        spec: The encoder.
        class_name: Its class.
        files: From `identity_files`.
        packages: Versions of the packages that it imported.
        python: Version of its interpreter.
    """
    folder = os.path.dirname(spec.target)  # noqa: PTH120  a text: a module's target is no path
    placed = [[_place(path, spec.target, folder), digest] for path, digest in files.items()]
    return sha256_json(
        {
            "schema": SCHEMA,
            "class": class_name,
            "arguments": _without_paths(spec.arguments, files, spec),
            "files": sorted(placed),
            "packages": dict(packages),
            "python": ".".join(python.split(".")[:2]),
        }
    )


def _place(path: str, target: str, folder: str) -> str:
    if path == target:
        return ""
    if folder and path.startswith(folder + os.sep):
        return Path(path).relative_to(folder).as_posix()
    return Path(path).name


def _without_paths(value: Any, files: Mapping[str, str], spec: EncoderSpec) -> Any:
    """Arguments with each path replaced by the hash of what it holds: moving is no change."""
    if isinstance(value, dict):
        return {key: _without_paths(item, files, spec) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_paths(item, files, spec) for item in value]
    if not isinstance(value, str):
        return value
    own = _named_files(value, spec)
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
    """A folder's files but caches of bytecode; links to folders are not followed."""
    found = []
    for base, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        found += [path for name in sorted(names) if (path := Path(base, name)).is_file()]
    return found


def _inside(path: str | Path, folders: Iterable[Path]) -> Path | None:
    """Where a name really ends, if that lies in one of the folders; None for all others."""
    try:
        real = Path(path).resolve()
    except (OSError, ValueError, RuntimeError):  # a name that no file system would have
        return None
    return real if any(real.is_relative_to(folder.resolve()) for folder in folders) else None
