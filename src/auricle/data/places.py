"""Where shards lie on this machine, and which revision of a repository is locked.

A shard is looked for in this order, and the first file that exists is taken:

    $XARES_DATA_HOME/<path>, else ./xares_data/<path>      read in place, never written
    $AURICLE_HOME/shards/<repository>/<commit>/<path>      fetched by us
    $AURICLE_HOME/shards/<repository>/<revision>/<path>    made by us, or brought by hand

Each place may hold the shard under its own name or as the plain ``.tar``. Which commit a revision
stood for when it was first asked for is kept in ``shards/<repository>/revisions.json``:
``{"main": "<40 hex digits>"}``, so that data do not change under a running study.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from auricle.catalog.spec import Task
from auricle.errors import DataError
from auricle.files import read_json, user_path, write_json

IN_PLACE = "in-place"
"""Commit that is recorded for shards whose commit nobody knows; their hashes say what they are."""
LOCAL = "local"
URL = "url"
_SUFFIX = re.compile(r"\.(tar\.gz|tgz|tar)$")


@dataclass(frozen=True, slots=True)
class Place:
    """A shard that was asked for and where it lies or belongs."""

    name: str
    """As the data lock calls it: its path in the repository, or what a user's file says."""
    repository: str
    commit: str
    found: Path | None
    """The file, packed or plain; None = missing."""
    plain: Path
    """Where its plain tar belongs when ``found`` is packed."""
    ours: bool
    """Whether ``found`` lies in the data home."""


def shard_folder(home: Path, repository: str, commit: str) -> Path:
    """Folder of a repository's shards at a commit."""
    return home / "shards" / repository / commit


def plain_name(name: str) -> str:
    """The name of a shard's plain tar: ``a/b.tar.gz`` becomes ``a/b.tar``."""
    return _SUFFIX.sub("", name) + ".tar"


def locked_commit(home: Path, repository: str, revision: str) -> str | None:
    """The commit that a revision is locked to; a revision that is a commit is its own.

    Raises:
        DataError: The file that keeps it is damaged.
    """
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    path = _revisions(home, repository)
    if not path.exists():
        return None
    try:
        commit = read_json(path).get(revision)
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path} is damaged. Remove it and fetch the data again.") from error
    return commit if isinstance(commit, str) else None


def lock_commit(home: Path, repository: str, revision: str, commit: str) -> None:
    """Remember which commit a revision stands for."""
    path = _revisions(home, repository)
    known = read_json(path) if path.exists() else {}
    write_json(path, {**known, revision: commit})


def find_shards(task: Task, side: str, *, home: Path) -> list[Place]:
    """Every shard of one side of a task, found or missing, in order.

    Raises:
        DataError: A shard is listed twice, or a pattern with ``*`` matches nothing.
    """
    names = task.expanded_shards(side)
    if task.repository is None:
        places = [place for name in names for place in _find_local(task.folder, name, home=home)]
    else:
        commit = locked_commit(home, task.repository, task.revision)
        commits = list(dict.fromkeys([c for c in (commit, task.revision) if c]))
        places = [_find_in_repository(task.repository, commits, name, home=home) for name in names]
    seen = [place.name for place in places]
    twice = sorted({name for name in seen if seen.count(name) > 1}) if _repeats(seen) else []
    if twice:
        raise DataError(
            f"Task {task.name} lists {side} shards twice: {shown(twice)}. List each once."
        )
    return places


def in_place_roots() -> list[Path]:
    """Folders of shards that another program fetched; read, never written."""
    chosen = os.environ.get("XARES_DATA_HOME")
    return [user_path(chosen)] if chosen else [Path("xares_data")]


def shown(names: Sequence[str], most: int = 3) -> str:
    """The first few names and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def url_name(url: str) -> str:
    """What the data lock calls a shard that was fetched from an address of its own."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise DataError(f"{url} is no address ({error}). Correct the shard.") from error
    # a name and password before the host are for the request alone, never for a file
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _xares_name(url: str) -> str:
    """Where XARES-LLM keeps a shard of an address: its path in the repository, or three parts."""
    path = urlsplit(url).path
    inside = re.search(r"resolve/main/(.*)", path)
    return inside[1] if inside else "/".join(path.strip("/").split("/")[-3:])


def _revisions(home: Path, repository: str) -> Path:
    return home / "shards" / repository / "revisions.json"


def _repeats(names: list[str]) -> bool:
    return len(set(names)) != len(names)


def _find_in_repository(repository: str, commits: list[str], name: str, *, home: Path) -> Place:
    plain = plain_name(name)
    for root in in_place_roots():
        for path in (root / name, root / plain):
            if path.is_file():
                unpacked = shard_folder(home, repository, IN_PLACE) / plain
                return Place(name, repository, IN_PLACE, path.absolute(), unpacked, ours=False)
    for commit in commits:
        folder = shard_folder(home, repository, commit)
        for path in (folder / name, folder / plain):
            if path.is_file():
                return Place(name, repository, commit, path, folder / plain, ours=True)
    folder = shard_folder(home, repository, commits[0])
    return Place(name, repository, commits[0], None, folder / plain, ours=True)


def _find_local(folder: str, name: str, *, home: Path) -> list[Place]:
    if "://" in name:
        key = hashlib.sha256(name.encode()).hexdigest()[:16]
        base = shard_folder(home, URL, key)
        last = url_name(name).rsplit("/", 1)[-1]
        for root in in_place_roots():
            if (path := root / _xares_name(name)).is_file():
                plain = base / plain_name(last)
                return [Place(name, URL, IN_PLACE, path.absolute(), plain, ours=False)]
        candidates = (base / last, base / plain_name(last))
        found = next((path for path in candidates if path.is_file()), None)
        return [Place(name, URL, "none", found, base / plain_name(last), ours=True)]
    full = os.path.normpath(Path(folder) / user_path(name))
    if not glob.has_magic(name):
        return [_local_place(folder, full, home=home)]
    every = glob.iglob(full, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    matches = sorted(path for path in every if Path(path).is_file())
    if not matches:
        raise DataError(
            f"The shard pattern '{name}' matches no file below {folder or Path.cwd()}. Correct it."
        )
    return [_local_place(folder, path, home=home) for path in matches]


def _local_place(folder: str, full: str, *, home: Path) -> Place:
    path = Path(full).absolute()
    name = os.path.relpath(path, folder or Path.cwd())
    key = hashlib.sha256(str(path.parent).encode()).hexdigest()[:16]
    plain = shard_folder(home, LOCAL, key) / plain_name(path.name)
    found = path if path.is_file() else None
    return Place(name, LOCAL, "none", found, plain, ours=False)
