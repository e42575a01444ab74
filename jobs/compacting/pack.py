"""One Parquet file is made of several, and read back: the same rows in the same types, or it is not made."""

import hashlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from contract import layout
from contract.documents.compaction import Part
from contract.stores.store import Storage
from jobs.compacting.sources import Source, parse

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 1 << 17  # rows: what a task of the Spark and MapReduce engines takes at the least


def pack(sources: Sequence[Source]) -> bytes | None:
    """Makes one file of the rows of all sources, in their order; None where their types do not survive being written again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables([source.table for source in sources])
    out = io.BytesIO()
    try:
        pq.write_table(table, out, compression="zstd", row_group_size=ROW_GROUP)
    except (ValueError, pa.ArrowException):  # e.g. times that the newest form of Parquet does not hold
        return None
    found = parse(out.getvalue())
    if isinstance(found, str) or found[1] != sources[0].schema or not _is_same(found[0], table):
        return None
    return out.getvalue()


def write_part(storage: Storage, table: str, day: str, number: int, attempt: str, place: int, sources: Sequence[Source],
               data: bytes) -> Part:
    """Writes a packed file aside, where readers find it by the document that names it."""
    rows = sum(source.table.num_rows for source in sources)
    aside = layout.packed_aside(table, day, number, attempt, place)
    storage.create(aside, data)
    return Part(key=layout.packed_file(table, day, number, attempt, place, rows), aside=aside, size=len(data), rows=rows,
                sha256=hashlib.sha256(data).hexdigest(),
                originals=sorted((o for s in sources for o in s.originals), key=lambda o: o.key))


def _is_same(one: "pa.Table", other: "pa.Table") -> bool:
    return one.num_rows == other.num_rows and all(
        _have_same_values(a.combine_chunks(), b.combine_chunks()) for a, b in zip(one.columns, other.columns, strict=True))


def _have_same_values(one: Any, other: Any) -> bool:
    """Whether two arrays hold the same, bit for bit; NaN equals itself, which pyarrow's own comparison denies."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(one, pa.ChunkedArray):  # combine_chunks leaves a column without rows as it is
        return len(one) == len(other) == 0
    if pa.types.is_dictionary(one.type):
        return _have_same_values(one.dictionary_decode(), other.dictionary_decode())
    if pa.types.is_floating(one.type) and not pa.types.is_float16(one.type):
        whole = pa.int32() if pa.types.is_float32(one.type) else pa.int64()
        return _have_same_values(one.view(whole), other.view(whole))
    if pa.types.is_list(one.type) or pa.types.is_large_list(one.type):
        lengths = pc.list_value_length(one).equals(pc.list_value_length(other))
        return lengths and _have_same_values(one.flatten(), other.flatten())
    return bool(one.equals(other))
