"""Files by the ending of their name: CSV, JSON lines and arrays, Parquet; each also inside gzip.

A new format is one function (Source) -> Raw in a module of its own, and one line in READERS. Its rows are dictionaries
by column name with whatever values the format has; `jobs/imports/values.py` gives them their types. A row that cannot be
read stands among them as the ValueError that says why. What is no table of rows at all, such as the export of a labelling
tool, has a reader of its own in `jobs/imports/foreign/`, which makes rows by `rows.make_row`.
"""

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from contract.errors import ForeignSchema, UsageError
from contract.records import TableSchema
from jobs.imports.csv_file import read_csv
from jobs.imports.decoding import decode
from jobs.imports.json_file import read_json
from jobs.imports.notes import Notes
from jobs.imports.options import Reading
from jobs.imports.parquet_file import read_parquet

Raw = tuple[Sequence[str] | None, list[Mapping[str, Any] | ValueError]]
MAY_BE_NULL = {"labeler", "confidence"}  # required columns whose values need not be there
JSON = (".jsonl", ".ndjson", ".json")  # a value that is not there has no key, in any row perhaps
LARGEST_UNPACKED = 8 << 30
PACKED = (".zip", ".bz2", ".xz", ".zst", ".7z", ".tar")
SHEETS = (".xls", ".xlsx", ".xlsm", ".ods", ".numbers")


@dataclass(frozen=True)
class Source:
    """A file to read: `wanted` are the columns that it must have, the others may come or not."""

    path: Path
    wanted: Sequence[str]
    reading: Reading = Reading()
    notes: Notes = field(default_factory=Notes)

    def read_bytes(self) -> bytes:
        """The file's bytes, unpacked when it is gzip. ForeignSchema when it cannot be."""
        if self.path.suffix.lower() != ".gz":
            return self.path.read_bytes()
        try:
            with gzip.open(self.path) as file:
                data = file.read(LARGEST_UNPACKED + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ForeignSchema(f"{self.path}: expected a gzip file, got one that cannot be read ({error}).") from error
        if len(data) > LARGEST_UNPACKED:
            raise ForeignSchema(f"{self.path}: unpacks to more than {LARGEST_UNPACKED >> 30} GiB. Split it.")
        return data

    def read_text(self) -> str:
        """The file's text; ForeignSchema when its encoding is another."""
        return decode(self.path, self.read_bytes(), self.reading, self.notes)


READERS: dict[str, Callable[[Source], Raw]] = {
    ".csv": lambda s: read_csv(s.path, s.read_text(), s.wanted, s.reading, s.notes),
    ".tsv": lambda s: read_csv(s.path, s.read_text(), s.wanted, s.reading, s.notes),
    **dict.fromkeys(JSON, lambda s: read_json(s.path, s.read_text())),
    ".parquet": lambda s: read_parquet(s.path, s.read_bytes() if s.path.suffix.lower() == ".gz" else None),
}


def read_raw(record: TableSchema, path: Path, fill: Mapping[str, Any], reading: Reading, notes: Notes,
             ) -> list[Mapping[str, Any] | ValueError]:
    """The rows of a file as its format has them.

    UsageError for a name of no format, or no file; ForeignSchema for one that is not what its name says, or lacks a
    required column that `fill` has not.
    """
    reader = READERS.get(_ending(path))
    if reader is None:
        raise UsageError(f"{path}: expected a file named {', '.join(READERS)} (or one of these and .gz), got "
                         f"{path.suffix or 'no suffix'!r}.{_advise(path)}")
    if not path.is_file():
        raise UsageError(f"{path}: no such file.")
    wanted = [name for name in record.required if name not in fill]
    columns, rows = reader(Source(path, wanted, reading, notes))
    if columns is not None:
        _check_columns(path, record, [n for n in wanted if n not in MAY_BE_NULL or _ending(path) not in JSON], columns)
    return rows


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _advise(path: Path) -> str:
    if path.suffix.lower() in PACKED:
        return " Unpack it first."
    return " Save the sheet as CSV (UTF-8)." if path.suffix.lower() in SHEETS else ""


def _check_columns(path: Path, record: TableSchema, wanted: Sequence[str], columns: Sequence[str]) -> None:
    twice = next((name for name in columns if list(columns).count(name) > 1), None)
    if twice is not None:
        raise ForeignSchema(f"{path}: the column {twice!r} comes twice, so its values can mean two things. Rename one.")
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise ForeignSchema(f"{path}: expected the columns {', '.join(record.required)}; {', '.join(missing)} missing "
                            f"among {', '.join(map(repr, columns)) or 'none'}.{_hint(record, missing, columns)}")


def _hint(record: TableSchema, missing: Sequence[str], columns: Sequence[str]) -> str:
    other = {c.strip().lower().replace(" ", "_"): c for c in columns if c not in record.names}
    near = {name: get_close_matches(name, list(other), 1) for name in missing}
    said = [f"rename {other[found[0]]!r} to {name}" for name, found in near.items() if found]
    if said:
        return f" Perhaps {', '.join(said)}."
    return "" if any(name in columns for name in record.names) else " The first row must name the columns."
