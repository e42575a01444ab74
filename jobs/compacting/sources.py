"""What is packed: small files of rows, read whole, in groups that one file can hold without changing any of them."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.documents.compaction import Original, Part
from contract.errors import NotFound
from contract.rows.listing import RowFile
from contract.stores.store import Storage

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = b"trueup.schema"  # in the metadata of files of ours


@dataclass(frozen=True)
class Source:
    """One file: its rows, what it stands for, and the schema that it shares with those it may be packed with."""

    file: RowFile
    originals: list[Original]
    table: "pa.Table"
    schema: tuple[str, bytes, bytes]


def read_sources(storage: Storage, files: Sequence[RowFile], parts: Sequence[Part], left: dict[str, str]) -> Iterator[Source]:
    """Reads the files one after another; `left` gets the keys of those that stay as they are, and why."""
    known = {part.at: part.originals for part in parts}
    for file in files:
        try:
            data = storage.read(file.key)
        except NotFound:
            left[file.key] = "it has gone meanwhile"
            continue
        found = parse(data)
        if isinstance(found, str):
            left[file.key] = found
            continue
        table, schema = found
        itself = Original(key=file.key, size=file.size, etag=file.etag, sha256=hashlib.sha256(data).hexdigest())
        yield Source(file, known.get(file.key, [itself]), table, schema)


def parse(data: bytes) -> tuple["pa.Table", tuple[str, bytes, bytes]] | str:
    """Reads a file's rows and its schema; returns a text that says why where it cannot be packed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(io.BytesIO(data)) as file:
            table = file.read()
            table.validate(full=True)
            logical = "\n".join(str(file.schema).splitlines()[1:])  # without the object's address
            said = (file.schema_arrow.metadata or {}).get(VERSION, b"")
    except (OSError, ValueError, pa.ArrowException) as error:
        return f"it cannot be read: {error}"
    kept = {VERSION: said} if said else None
    table = table.replace_schema_metadata(kept)
    return table, (logical, table.schema.serialize().to_pybytes(), said)


def group(sources: Iterator[Source], most: int) -> Iterator[list[Source]]:
    """Yields sources of one schema, about `most` bytes of files at a time."""
    waiting: dict[tuple[str, bytes, bytes], list[Source]] = {}
    for source in sources:
        same = waiting.setdefault(source.schema, [])
        same.append(source)
        if sum(s.file.size for s in same) >= most:
            yield waiting.pop(source.schema)
    yield from waiting.values()
