"""Writes a submission's ZIP: the same files give the same bytes on any machine.

Entries are sorted by name, carry one fixed time and are stored, not deflated: weights hardly
compress, and deflate's bytes differ between builds of zlib. The last entry is ``MANIFEST.json``::

    {"schema_version": 1, "files": {"encoder.py": {"sha256": "…", "size": 812}, …}}

with every other file, so that whoever unpacks it knows that nothing was lost or added.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auricle.challenge.archive import Entry
from auricle.challenge.entry_names import MAX_DEPTH, check_name, find_collisions
from auricle.challenge.verdicts import Problem, Verdict, shown
from auricle.files import atomic_writer, sha256_file

MANIFEST = "MANIFEST.json"
SCHEMA_VERSION = 1
MAX_MANIFEST_BYTES = 16 << 20
_TIME = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT_FOLDERS = {
    *("__pycache__", ".git", ".hg", ".svn", ".venv", "venv", ".idea", ".vscode", ".pytest_cache"),
    *(".mypy_cache", ".ruff_cache", ".ipynb_checkpoints", "__MACOSX", "node_modules", ".cache"),
}
_LEFT_OUT_FILES = {".DS_Store", "Thumbs.db", ".env", ".netrc", ".gitignore", ".gitattributes"}
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Listing:
    """What of a folder goes into its archive."""

    files: tuple[str, ...]
    left_out: tuple[str, ...]
    problems: tuple[Problem, ...]


def list_folder(folder: Path, *, without: tuple[Path, ...] = ()) -> Listing:
    """Choose the files of a submission; caches, secrets and version control stay out.

    Args:
        folder: The submission.
        without: Further files to leave out, e.g. the archive that is being written.
    """
    files: list[str] = []
    left_out: list[str] = []
    problems: list[Problem] = []
    unwanted = {path.absolute() for path in without}
    for base, folders, names in os.walk(folder, followlinks=False):
        here = Path(base)
        if len(here.relative_to(folder).parts) > MAX_DEPTH and folders:
            relative = here.relative_to(folder).as_posix()
            said = f"'{shown(relative)}' holds further folders; {MAX_DEPTH} levels are expected."
            problems.append(Problem(Verdict.TOO_DEEP, said))
            folders.clear()
        for name in sorted(folders):
            path = here / name
            relative = path.relative_to(folder).as_posix()
            if name in _LEFT_OUT_FOLDERS or name.endswith(".egg-info"):
                left_out.append(f"{relative}/")
                folders.remove(name)
            elif path.is_symlink():
                problems.append(_link(relative))
                folders.remove(name)
        for name in names:
            path = here / name
            relative = path.relative_to(folder).as_posix()
            if (
                name in _LEFT_OUT_FILES
                or name.endswith((".pyc", ".pyo"))
                or (path.absolute() in unwanted or relative == MANIFEST)
            ):
                left_out.append(relative)
            elif path.is_symlink():
                problems.append(_link(relative))
            elif not stat.S_ISREG(path.lstat().st_mode):
                problems.append(
                    Problem(Verdict.SPECIAL_FILE, f"'{shown(relative)}' is no plain file.")
                )
            else:
                files.append(relative)
    problems += [problem for name in files if (problem := check_name(name)) is not None]
    problems += find_collisions(files)
    return Listing(tuple(sorted(files, key=str.encode)), tuple(sorted(left_out)), tuple(problems))


def _link(relative: str) -> Problem:
    return Problem(
        Verdict.LINK,
        f"'{shown(relative)}' is a symbolic link; put the file itself into the submission.",
    )


def build_manifest(folder: Path, files: tuple[str, ...]) -> dict[str, Any]:
    """Hash every file of a submission."""
    return {
        "schema_version": SCHEMA_VERSION,
        "files": {
            name: {"sha256": sha256_file(folder / name), "size": (folder / name).stat().st_size}
            for name in files
        },
    }


def write_archive(folder: Path, files: tuple[str, ...], target: Path) -> dict[str, Any]:
    """Write a folder's files and their manifest as one ZIP.

    Args:
        folder: Where the files lie.
        files: Their names from `list_folder`.
        target: The archive; it appears whole or not at all.

    Returns:
        The manifest.
    """
    manifest = build_manifest(folder, files)
    with atomic_writer(target) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name in files:
            executable = bool((folder / name).stat().st_mode & 0o100)
            info = _info(name, executable=executable)
            info.file_size = manifest["files"][name]["size"]
            with (folder / name).open("rb") as source, archive.open(info, "w") as out:
                shutil.copyfileobj(source, out, 1 << 20)
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        archive.writestr(_info(MANIFEST, executable=False), text.encode())
    return manifest


def _info(name: str, *, executable: bool) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = 3  # Unix, also when packed on Windows
    info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    info.compress_type = zipfile.ZIP_STORED
    return info


def check_manifest(folder: Path, entries: list[Entry]) -> list[Problem]:
    """Compare an unpacked archive with its manifest.

    Args:
        folder: The submission's root.
        entries: Its files, with names relative to that root.

    Returns:
        Everything that disagrees; files that the manifest lacks count as added.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return [
            Problem(
                Verdict.MANIFEST_MISSING,
                f"The archive has no {MANIFEST}; 'auricle pack' writes one with every file's hash.",
            )
        ]
    listed = _read_manifest(path)
    if isinstance(listed, Problem):
        return [listed]
    present = {entry.name: entry.size for entry in entries if entry.name != MANIFEST}
    problems = []
    for name in sorted(listed.keys() - present.keys())[:20]:
        problems.append(_mismatch(f"'{shown(name)}' stands in {MANIFEST} but not in the archive."))
    for name in sorted(present.keys() - listed.keys())[:20]:
        problems.append(_mismatch(f"'{shown(name)}' is in the archive but not in {MANIFEST}."))
    for name in sorted(present.keys() & listed.keys()):
        digest, size = listed[name]
        if size != present[name] or sha256_file(folder / name) != digest:
            problems.append(_mismatch(f"'{shown(name)}' has other bytes than {MANIFEST} says."))
    return problems


def _mismatch(text: str) -> Problem:
    return Problem(Verdict.MANIFEST_MISMATCH, f"{text} Pack the folder again with 'auricle pack'.")


def _read_manifest(path: Path) -> dict[str, tuple[str, int]] | Problem:
    """Read an untrusted manifest: name -> (hash, size)."""

    def invalid(seen: str) -> Problem:
        return Problem(
            Verdict.MANIFEST_INVALID,
            f"{MANIFEST} {seen}; what 'auricle pack' writes is expected. Pack the folder again.",
        )

    if path.stat().st_size > MAX_MANIFEST_BYTES:
        return invalid(f"has {path.stat().st_size} bytes")
    try:
        value = json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        return invalid(f"is not valid JSON ({shown(str(error))})")
    if not isinstance(value, dict) or not isinstance(value.get("files"), dict):
        return invalid("has no list of files")
    if value.get("schema_version") != SCHEMA_VERSION or type(value["schema_version"]) is not int:
        return invalid(f"has schema_version {shown(repr(value.get('schema_version')))}")
    listed = {}
    for name, said in value["files"].items():
        digest = said.get("sha256") if isinstance(said, dict) else None
        size = said.get("size") if isinstance(said, dict) else None
        if not isinstance(digest, str) or not _SHA256.match(digest) or type(size) is not int:
            return invalid(f"has no hash and size for '{shown(name)}'")
        listed[name] = (digest, size)
    return listed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands in it twice")
    return value
