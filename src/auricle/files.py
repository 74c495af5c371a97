"""Atomic writes, locks, hashes and the data home.

Every file of ours appears whole or not at all: it is written beside its final name, flushed to
disk and renamed (law 4). Temporary names start with ``.tmp-``, so a reader can never take one for
a result and a cleaner always knows them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from auricle.errors import DamagedFileError, OutputError, RunBusyError

TEMPORARY_PREFIX = ".tmp-"
_YOUNG_S = 60.0
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_BLOCK = 1 << 20


def user_path(text: str | os.PathLike[str]) -> Path:
    """A path that a user wrote, its ``~`` filled in; where nobody has that name it stays a name."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  pathlib's own raises


def data_home() -> Path:
    """Folder of everything that is fetched or derived: ``$AURICLE_HOME`` or the platform's own."""
    chosen = os.environ.get("AURICLE_HOME")
    if chosen:
        return user_path(chosen).absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("auricle", appauthor=False))


def make_folder(path: Path) -> Path:
    """Create a folder with its parents.

    Raises:
        OutputError: The folder cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            read_only = os.statvfs(path).f_flag & os.ST_RDONLY
            code = errno.EROFS if read_only else errno.EACCES
            raise OSError(code, os.strerror(code))
    except OSError as error:
        raise write_failure(path, error) from error
    return path


def write_failure(path: Path, error: OSError) -> OutputError:
    """Turn a failed write into a sentence that says what to do."""
    if error.errno in DISK_FULL:
        return OutputError(
            f"The disk that holds {path} is full. Free some space and give the same command again: "
            "it continues where it stopped."
        )
    if error.errno == errno.EROFS:
        return OutputError(
            f"{path} is on a read-only file system. "
            "Choose another place: --out, AURICLE_HOME, or the option that named it."
        )
    return OutputError(
        f"{path} cannot be written ({error.strerror or error}). Choose another place (--out, "
        "AURICLE_HOME, or the option that named it), or change its permissions."
    )


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that takes its name only when the block ends without an error.

    Raises:
        OutputError: The file cannot be written.
    """
    make_folder(path.parent)
    remove_abandoned(path.parent)
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(
            prefix=TEMPORARY_PREFIX, suffix=f"-{path.name[-80:]}", dir=path.parent
        )
        os.close(descriptor)
        with Path(temporary).open("wb") as stream:
            with contextlib.suppress(OSError):  # some network file systems know no locks
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # says that its writer is alive
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        raise write_failure(path, error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that writers left in a folder when they were killed.

    A living writer holds a lock on its file; one that is about to take it is younger than a minute.
    """
    now = time.time()
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(OSError), path.open("rb") as stream:
            if now - os.fstat(stream.fileno()).st_mtime > _YOUNG_S:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_writer(path) as stream:
        stream.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file atomically.

    Half of a surrogate pair, which a data set's JSON can hold and UTF-8 cannot, is written as its
    JSON escape: read as JSON, it is the same text again.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, with sorted keys off so that a reader sees the author's order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of our own.

    Raises:
        DamagedFileError: It is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(
            f"{path} is damaged: it is no JSON ({error}). auricle writes such a file whole or not "
            "at all, so something else changed it: bring a copy back, or remove what it belongs to."
        ) from error


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, as hex: the same value gives the same hash anywhere."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def remove_tree(folder: Path) -> None:
    """Remove a folder that a stranger may have filled: nested however deeply, closed, with links.

    It is taken apart from above, each inner folder moved up before it is looked into, so that
    neither a long path nor a deep call is ever needed. What is not there is no error.

    Raises:
        OutputError: It cannot be removed.
    """
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    waiting = [folder]
    number, own = 0, f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}-"
    try:
        while waiting:
            here = waiting[-1]
            here.chmod(0o700)
            inner = None
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        inner = Path(entry.path)
                        break
                    Path(entry.path).unlink()
            if inner is None:
                here.rmdir()
                waiting.pop()
            elif here is folder:
                waiting.append(inner)
            else:
                inner.chmod(0o700)  # to move a folder, its own '..' is written
                number += 1
                waiting.append(inner.rename(folder / f"{own}{number}"))
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be removed ({error.strerror or error}). Remove it by hand."
        ) from error


def clean_temporary(folder: Path) -> int:
    """Remove what a killed writer left in a folder; call it only while holding its lock."""
    left = list(folder.glob(f"{TEMPORARY_PREFIX}*")) if folder.is_dir() else []
    for path in left:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return len(left)


@contextlib.contextmanager
def scratch_folder(prefix: str, *, place: Path | None = None) -> Iterator[Path]:
    """A new folder, gone at the end whatever a stranger put into it.

    Folders of the same prefix whose makers were killed are removed first: a living maker holds a
    lock on a file beside the scratch.

    Args:
        prefix: How its name begins; of this program alone.
        place: Where it is made; None = the temporary folder.

    Raises:
        OutputError: It cannot be made.
    """
    place = Path(tempfile.gettempdir()) if place is None else make_folder(place)
    for old in place.glob(f"{prefix}*/.lock"):
        with contextlib.suppress(OSError, OutputError), old.open("rb") as stream:
            if time.time() - os.fstat(stream.fileno()).st_mtime > _YOUNG_S:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(old.parent)
    try:
        outer = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    except OSError as error:
        raise write_failure(place, error) from error
    try:
        with (outer / ".lock").open("wb") as stream:
            with contextlib.suppress(OSError):  # some file systems know no locks
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield make_folder(outer / "scratch")
    finally:
        remove_tree(outer)


def building_folder(target: Path) -> AbstractContextManager[Path]:
    """A new folder beside ``target`` to build it in; rename it when it is whole."""
    return scratch_folder(f"{TEMPORARY_PREFIX}build-", place=target.parent)


@contextlib.contextmanager
def folder_lock(folder: Path, *, what: str, wait: bool = False) -> Iterator[None]:
    """Hold a folder alone; the lock dies with the process, so a kill leaves nothing to clean.

    Args:
        folder: The folder; a file ``.lock`` is made in it.
        what: What the folder is, for the error's text.
        wait: Wait for the other process instead of raising.

    Raises:
        RunBusyError: Another process holds the lock and ``wait`` is false.
    """
    make_folder(folder)
    with file_lock(folder / ".lock", what=f"{what} in {folder}", wait=wait):
        yield


@contextlib.contextmanager
def file_lock(path: Path, *, what: str, wait: bool = False) -> Iterator[None]:
    """Hold a file's lock alone; it dies with the process.

    Args:
        path: The file, made where it does not exist.
        what: What the lock is of, for the error's text.
        wait: Wait for the other process instead of raising.

    Raises:
        RunBusyError: Another process holds the lock and ``wait`` is false.
    """
    try:
        opened = path.open("a+b")
    except OSError as error:
        raise write_failure(path.parent, error) from error
    with opened as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise RunBusyError(
                f"Another process is working on {what}. Wait for it, or stop it first."
            ) from error
        yield
