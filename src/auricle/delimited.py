"""Tables that people make: CSV, and TSV, read by one rule wherever one is taken.

UTF-8 with or without a byte order mark; a header; tabs where the suffix says so, or where it says
nothing and the header has one; a field may be of any length. Rows without any value, which
spreadsheets leave at the end, are no rows; they are counted.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from auricle.errors import UserError


class TableRow(NamedTuple):
    """One row of a table."""

    number: int
    """The header is row 1."""
    line: int
    """The file's line in which it ends; more than its number where texts have line ends."""
    cells: list[str]


@dataclass(frozen=True, slots=True)
class DelimitedTable:
    """A header and its rows."""

    header: list[str]
    """As it is written."""
    rows: list[TableRow]
    """Those with a value; they may be of another length than the header."""
    empty_rows: int
    """Rows without any value."""

    @property
    def remark(self) -> str:
        """What is to be said of rows without any value; empty where there are none."""
        if not self.empty_rows:
            return ""
        return f"{self.empty_rows} rows without any value are left out"


def read_delimited(path: Path, *, fault: type[UserError]) -> DelimitedTable:
    """Read a CSV or TSV file.

    Args:
        path: The file.
        fault: What is raised: `DataError` of data, `ScoringError` of results.

    Raises:
        UserError: It cannot be read, is not UTF-8, or is no valid CSV; of the kind ``fault``.
    """
    # Texts may be longer than the csv module's default field.
    before = csv.field_size_limit(sys.maxsize)
    try:
        with open_text(path, fault=fault, wanted="a CSV or TSV table") as stream:
            return _read(path, stream, fault)
    finally:
        csv.field_size_limit(before)


@contextmanager
def open_text(path: Path, *, fault: type[UserError], wanted: str) -> Iterator[TextIO]:
    """Open a text that a person made, with or without a byte order mark, its line ends as they are.

    Args:
        path: The file.
        fault: What is raised where it cannot be read to its end or is not UTF-8.
        wanted: What is to be given in its place.
    """
    if not path.is_file():
        raise fault(f"There is no file {path}. Give {wanted}.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise fault(
            f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8 and try again."
        ) from error
    except OSError as error:
        raise fault(f"{path} cannot be read ({error.strerror}). Give {wanted}.") from error


def _read(path: Path, stream: TextIO, fault: type[UserError]) -> DelimitedTable:
    suffix = path.suffix.lower()
    first = stream.readline()
    stream.seek(0)
    tabs = suffix == ".tsv" or (suffix != ".csv" and "\t" in first)
    reader = csv.reader(stream, delimiter="\t" if tabs else ",", strict=True)
    rows: list[TableRow] = []
    empty = 0
    try:
        header = next(reader, [])
        for number, cells in enumerate(reader, 2):
            if any(cell.strip() for cell in cells):
                rows.append(TableRow(number, reader.line_num, cells))
            else:
                empty += bool(cells)  # a line without anything is no row of a CSV at all
    except csv.Error as error:
        raise fault(
            f"{path}, line {reader.line_num}: no valid {'TSV' if tabs else 'CSV'} ({error}). "
            "Fields that hold quotes, separators or line ends must be quoted."
        ) from error
    return DelimitedTable(header, rows, empty)
