"""Builds the public site: read, rank, write into a temporary folder, put it in place at once.

``board.json`` at the site's root lists every file of a build with its size. A folder that holds
anything else is never replaced, so that a slip of ``--out`` cannot remove someone's work. The same
input gives the same bytes.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auricle.board.from_published import read_published
from auricle.board.from_results import read_results
from auricle.board.from_runs import NotTrustedError, Trust, read_run
from auricle.board.model import Board, Entry, Found
from auricle.board.names import clean_text
from auricle.board.pages import render_pages
from auricle.board.tables import build_tables, namesakes
from auricle.errors import OutputError, ScoringError
from auricle.files import building_folder, write_failure
from auricle.runs.export import page_to_share
from auricle.runs.folder import RunFolder

LISTING = "board.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class BoardSummary:
    """What was built."""

    out: Path
    tables: dict[str, int]
    """Number of rows by the table's key."""
    entries: int
    tasks: int
    files: int
    bytes_written: int
    warnings: tuple[str, ...] = ()
    """Names that entries of different kinds share."""
    left_out: tuple[str, ...] = ()
    """Sources that nobody who is trusted vouches for, with the reason."""
    signers: dict[str, int] = field(default_factory=dict)
    """Number of entries by whose trusted key signed them."""


def put_in_place(out: Path, files: Iterable[tuple[str, bytes]]) -> dict[str, int]:
    """Write a site beside its final name and swap it in.

    Args:
        out: The site's folder; it may exist if an earlier build made all of it.
        files: Name relative to the folder, and content.

    Returns:
        Sizes by name.

    Raises:
        OutputError: The folder holds something else, or cannot be written.
    """
    out = out.absolute()
    refuse_foreign_folder(out)
    try:
        with building_folder(out) as fresh:
            sizes = _write_all(fresh, files)
            _swap(fresh, out)
    except OSError as error:
        raise write_failure(out, error) from error
    return sizes


def _files(board: Board) -> Iterator[tuple[str, bytes]]:
    for name, text in render_pages(board):
        yield name, text.encode()
    for report in (report for entry in board.entries for report in entry.reports):
        if report.source.is_dir():
            yield report.address, page_to_share(RunFolder(report.source))
        else:
            yield report.address, report.source.read_bytes()


def _write_all(folder: Path, files: Iterable[tuple[str, bytes]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sizes[name] = len(content)
    listing = {"schema_version": SCHEMA_VERSION, "made_by": "auricle board", "files": sizes}
    (folder / LISTING).write_text(json.dumps(listing, indent=0) + "\n", encoding="utf-8")
    return sizes


def refuse_foreign_folder(out: Path) -> None:
    """Make sure that replacing a folder removes nothing but an earlier build.

    Raises:
        OutputError: It holds a file that no build of a board made.
    """
    if not out.exists() and not out.is_symlink():
        return
    if out.is_symlink() or not out.is_dir():
        raise OutputError(f"{out} is no folder. Give --out a folder that the site may be.")
    ours = {LISTING, *_listed(out / LISTING)}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name not in ours:
            raise OutputError(
                f"{out} holds {name}, which no build of a board made, and a build replaces the "
                "whole folder. Choose an empty folder with --out, or move that file away."
            )


def _listed(path: Path) -> list[str]:
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
        if value["made_by"] == "auricle board":
            return list(value["files"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return []


def _swap(fresh: Path, out: Path) -> None:
    """Give the fresh folder the final name; on Linux a reader never sees the name missing."""
    if not out.exists():
        fresh.rename(out)
    elif not _exchange(fresh, out):
        with building_folder(out) as old:
            out.rename(old / "site")
            fresh.rename(out)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step (renameat2); False where the system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    done = library.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange)
    if done == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardOptions:
    """What a site shows of its sources."""

    released: bool = False
    """Whether hidden scores of runs and results may be shown. Those of 2026 are public."""
    with_reports: bool = False
    """Whether runs' own reports are copied along: about half a megabyte each, with answers, and
    what of the test clips may be handed on. Never that of a run with hidden scores to withhold."""
    title: str = "auricle board"
    """Name of the site."""
    trust: Trust = field(default_factory=Trust)
    """Whose receipts are believed, and whether others are left out."""


def build_board(
    *,
    out: Path,
    runs: Sequence[Path] = (),
    results: Sequence[Path] = (),
    published: bool = True,
    options: BoardOptions | None = None,
) -> BoardSummary:
    """Build the static site and put it in place of an earlier build.

    Args:
        out: The site's folder.
        runs: Run folders.
        results: Files of results: CSV as ``auricle board rank`` reads it, or ``scores.json`` of
            runs.
        published: Whether the published results of 2026 stand on the board.
        options: What is shown of them.

    Raises:
        ScoringError: A source cannot be read, a team stands twice, or there is nothing to show.
        OutputError: The folder cannot be written, or holds something else.
    """
    options = options or BoardOptions()
    refuse_foreign_folder(out.absolute())
    found: list[Found] = read_published() if published else []
    left_out = []
    for read, path in [*((read_run, path) for path in runs), *((read_results, p) for p in results)]:
        try:
            found += read(path, released=options.released, trust=options.trust)
        except NotTrustedError as error:
            left_out.append(str(error))
    tables = build_tables(found)
    if not tables:
        if left_out:
            raise ScoringError(
                "There is nothing to show: nobody who is trusted vouches for any of what was "
                f"given. {'; '.join(left_out)}. Add the signer's key to --trust."
            )
        raise ScoringError(
            "There is nothing to show: no run folder, no file of results, no published results. "
            "Name a run folder, e.g. runs/smoke/logmel-0123456789ab."
        )
    entries: dict[str, Entry] = {}
    for row in (row for table in tables for row in table.rows):
        known = row.entry if options.with_reports else replace(row.entry, reports=())
        entries.setdefault(known.slug, known)
    board = Board(clean_text(options.title, limit=80), tuple(tables), tuple(entries.values()))
    sizes = put_in_place(out, _files(board))
    return BoardSummary(
        out=out,
        tables={table.key: len(table.rows) for table in tables},
        entries=len(entries),
        tasks=len({column.slug for table in tables for column in table.columns}),
        files=len(sizes) + 1,
        bytes_written=sum(sizes.values()) + (out / LISTING).stat().st_size,
        warnings=tuple(f"{t.title}: {text}" for t in tables for text in namesakes(t.rows)),
        left_out=tuple(left_out),
        signers=dict(Counter(e.signer for e in entries.values() if e.signer)),
    )
