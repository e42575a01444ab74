"""Split lists of the mapreduce engine: which row groups a mapper reads, and the rows that it gets from them.

A split is one JSON line {root, table, day, key, columns, row_groups}; small text files of such lines are the input of
jobs/evaluate_mapreduce.py.
"""

import heapq
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import layout
from contract.errors import Mismatch
from contract.storage import open_storage
from jobs.engines.question import DayFiles, RawFile

if TYPE_CHECKING:
    import pyarrow as pa

BYTES_PER_SPLIT = 64 * 2**20
BATCH_ROWS = 8192  # rows of a row group that a mapper holds at a time
IDS = ("prediction_id", "label_id")  # an empty id counts as null


def write(folder: Path, root: str, days: Sequence[DayFiles]) -> list[Path]:
    """Writes the split lists of these days, at least two, about equally many bytes each; returns their paths."""
    groups = [group for day in days for table in (layout.PREDICTIONS, layout.LABELS)
              for file in getattr(day, table) for group in _split_file(root, table, day.day, file)]
    wanted = max(2, math.ceil(sum(size for size, _ in groups) / BYTES_PER_SPLIT))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for n, split in enumerate(balance(groups, wanted)):
        paths.append(folder / f"split-{n:05d}.jsonl")
        paths[-1].write_text("".join(json.dumps(line) + "\n" for line in split))
    return paths


def _split_file(root: str, table: str, day: str, file: RawFile) -> list[tuple[int, dict]]:
    """Splits a file into its row groups: (bytes, line) of each."""
    line = {"root": root, "table": table, "day": day, "key": file.key, "columns": sorted(file.columns)}
    return [(file.size // file.row_groups, line | {"row_groups": [n]}) for n in range(file.row_groups)]


def balance(groups: Sequence[tuple[int, dict]], wanted: int) -> list[list[dict]]:
    """Spreads (bytes, line) of row groups over `wanted` lists: the largest first, to the list with fewest bytes."""
    lists: list[list[dict]] = [[] for _ in range(wanted)]
    fill = [(0, n) for n in range(wanted)]
    for size, line in sorted(groups, key=lambda group: -group[0]):
        filled, n = heapq.heappop(fill)
        lists[n].append(line)
        heapq.heappush(fill, (filled + size, n))
    return lists


def read(split: dict) -> Iterator[dict[str, Any]]:
    """Yields the rows of a split as rules.py takes them; Mismatch when there are more or fewer than the footer says."""
    import pyarrow.parquet as pq

    system, base = open_storage(split["root"]).arrow()
    rows = 0
    with pq.ParquetFile(f"{base}/{split['key']}", filesystem=system, coerce_int96_timestamp_unit="us") as parquet:
        promised = sum(parquet.metadata.row_group(n).num_rows for n in split["row_groups"])
        for batch in parquet.iter_batches(BATCH_ROWS, split["row_groups"], split["columns"], use_threads=False):
            columns = {name: values(name, batch.column(name)) for name in split["columns"]}
            rows += batch.num_rows
            for n in range(batch.num_rows):
                yield {name: column[n] for name, column in columns.items()}
    if rows != promised:
        raise Mismatch(f"{split['root']}/{split['key']}: expected {promised} rows of row groups {split['row_groups']}, "
                       f"got {rows}. The file changed while it was read: start again.")


def values(name: str, array: "pa.Array") -> list:
    """Converts a column to Python values: text, whole microseconds for times, dicts for maps (a key's first value)."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_dictionary(array.type):
        array = array.dictionary_decode()
    if t.is_timestamp(array.type):
        return _microseconds(array)
    if t.is_map(array.type):
        return [None if pairs is None else dict(reversed(pairs)) for pairs in array.to_pylist()]
    if name == "model_version" and t.is_integer(array.type):
        array = array.cast(pa.string())
    found = array.to_pylist()
    return [value or None for value in found] if name in IDS else found


def _microseconds(array: "pa.Array") -> list[int | None]:
    """Converts times in ms, us or ns to microseconds since 1970 UTC; rounds ns down, takes times without zone as UTC.

    ArrowInvalid for a time that 64 bits of microseconds do not hold.
    """
    import pyarrow as pa

    if array.type.unit == "ms":
        array = array.cast(pa.timestamp("us", array.type.tz))
    numbers = array.cast(pa.int64()).to_pylist()
    return [None if n is None else n // 1000 for n in numbers] if array.type.unit == "ns" else numbers
