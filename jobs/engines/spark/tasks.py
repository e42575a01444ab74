"""Pieces of days as Spark tasks: a day whole, read by its task, or a big day's ids, brought together by a shuffle."""

import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import groupby
from math import ceil
from typing import Any
from uuid import uuid4

from contract.errors import Mismatch
from contract.records import LABEL, PREDICTION, TableSchema, arrow_type
from contract.stores.store import Storage
from jobs.engines.prefetch import ahead
from jobs.engines.question import DayFiles, Question, RawFile
from jobs.engines.spark import sources
from jobs.engines.spark.day import Piece, added, count, of_day
from jobs.engines.spark.rows import IDS, entries, nulls
from jvm import task_store

# Values of a day, in all columns of predictions and labels, that one task may hold; a Python worker takes about 40 bytes for
# each. On a cluster that is memory beside the executor's heap, of which YARN gives little.
MOST_HERE, MOST_ON_CLUSTER = 50_000_000, 8_000_000
AT_ONCE = 2  # days for each core in a wave: what came before a file that cannot be read is not lost
BATCH = 8_192  # rows of lists: Arrow reads no more than 2 GB of their texts together
TABLE = "table"  # in a big day's rows: which one


def pieces(session: Any, storage: Storage, days: Sequence[DayFiles], question: Question) -> Iterator[Piece]:
    """What each day comes to, in the order of `days`."""
    context = session.sparkContext
    most = MOST_HERE if context.master.startswith("local") else MOST_ON_CLUSTER
    for big, some in groupby(days, lambda day: values_of(day) > most):
        if big:
            yield from (_by_shuffle(session, storage, day, question, ceil(2 * values_of(day) / most)) for day in some)
        else:
            yield from _in_waves(context, task_store.where(storage), list(some), question)


def _in_waves(context: Any, at: task_store.Where, days: Sequence[DayFiles], question: Question) -> Iterator[Piece]:
    """Days whole, some at once; while the driver takes one wave, tasks count the next."""
    from pyspark import inheritable_thread_target

    tag = f"trueup-{uuid4()}"

    def counted(wave: Sequence[DayFiles]) -> list[bytes]:
        context.addJobTag(tag)
        return context.parallelize(wave, len(wave)).map(lambda day: _whole(at, day, question)).collect()

    size = AT_ONCE * context.defaultParallelism
    waves = [days[start:start + size] for start in range(0, len(days), size)]
    with ThreadPoolExecutor(1) as thread:
        try:
            for found in ahead(thread, inheritable_thread_target(counted), waves, 2):
                while found:
                    yield unpacked(found.pop(0))  # its bytes are not held beside what is made of them
        finally:
            end = thread.submit(int)  # after a wave that is under way; nobody will take it
            while wait([end], timeout=0.2).not_done:
                context.cancelJobsWithTag(tag)


def values_of(day: DayFiles) -> int:
    """Values in a day's files, by their footers."""
    return sum(file.values for file in day.predictions + day.labels)


def _whole(at: task_store.Where, day: DayFiles, question: Question) -> bytes:
    """A whole day, packed, or what is wrong with a file: Spark would make an error of its own of it."""
    try:
        return packed(whole(task_store.opened(at), day, question))
    except Mismatch as error:
        return packed(error)


def whole(storage: Storage, day: DayFiles, question: Question) -> Piece:
    """A whole day, read here. Mismatch when a file is not what its footer said."""
    return of_day(count(
        day.day, read(storage, day.predictions, PREDICTION), read(storage, day.labels, LABEL), question))


def read(storage: Storage, files: Sequence[RawFile], record: TableSchema) -> Any:
    """The used columns of some files as one Arrow table: words as dictionaries, times as int64 us since 1970."""
    import pyarrow as pa

    system, base = storage.arrow()
    tables = [_read(system, f"{base}/{file.key}", file, record) for file in files]
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


def _read(system: Any, path: str, file: RawFile, record: TableSchema) -> Any:
    import pyarrow as pa

    stored = [name for name, kind in file.columns.items() if not pa.types.is_null(kind)]
    words = [name for name in stored if record.field(name).type == "string" and name not in IDS]
    with _opened(system, path, file, words) as parquet:
        table = _nested(parquet, stored) if any(pa.types.is_nested(file.columns[name]) for name in stored) else (
            parquet.read(columns=stored, use_threads=False))
    made = {name: as_ours(table.column(name), record.field(name).type, name in words) for name in stored}
    made |= {name: nulls(record, name, table.num_rows) for name in record.required if name not in made}
    for column in made.values():
        column.validate(full=True)  # Arrow reads bytes that are no UTF-8 without a word
    return pa.table(made)


def _opened(system: Any, path: str, file: RawFile, words: Sequence[str]) -> Any:
    """The file; Mismatch when it has other rows or columns than before."""
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(path, filesystem=system, read_dictionary=words, pre_buffer=True,
                                 coerce_int96_timestamp_unit="us")  # Arrow's nanoseconds end in 2262
    except KeyError as error:
        raise _changed(file, f"none of {error}") from error
    names = parquet.schema_arrow.names
    if parquet.metadata.num_rows != file.rows or set(file.columns) - set(names):  # Arrow leaves out what is gone
        raise _changed(file, f"{parquet.metadata.num_rows} of {', '.join(names)}")
    return parquet


def _changed(file: RawFile, got: str) -> Mismatch:
    return Mismatch(f"{file.key}: expected {file.rows} rows of {', '.join(file.columns)}, got {got}. The file changed while it "
                    f"was read: start again.")


def _nested(parquet: Any, columns: Sequence[str]) -> Any:
    """Columns with lists among them, a few rows at a time: their elements must fit into one of Arrow's arrays."""
    import pyarrow as pa

    batches = [batch for group in range(parquet.num_row_groups)
               for batch in parquet.iter_batches(BATCH, row_groups=[group], columns=columns, use_threads=False)]
    return pa.Table.from_batches(batches) if batches else parquet.read(columns=columns)


def as_ours(column: Any, kind: str, word: bool) -> Any:
    """A column, as stored, in the one form that a piece is counted from (`spark_rows.Rows`)."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type) and not (word and column.type.value_type == pa.string()):
        column = pa.chunked_array([piece.dictionary_decode() for piece in column.chunks], column.type.value_type)
    if kind == "timestamp":
        return _microseconds(column)
    if word:
        return column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    column = column.cast(pa.list_(pa.float64()) if kind == "list<float>" else arrow_type(kind))
    return column.cast(entries()) if pa.types.is_map(column.type) else column


def _microseconds(column: Any) -> Any:
    """Times as int64 us since 1970; nanoseconds are rounded down, also before 1970."""
    import numpy as np
    import pyarrow as pa

    if column.type.unit != "ns":
        return column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    found = np.floor_divide(column.cast(pa.int64()).fill_null(0).to_numpy(), 1000)
    return pa.chunked_array([pa.array(found, mask=column.is_null().to_numpy())])


def _by_shuffle(session: Any, storage: Storage, day: DayFiles, question: Question, parts: int) -> Piece:
    """A day that is too big for one task: Spark reads it, and a shuffle brings each id's rows into one piece."""
    import pyarrow as pa
    from pyspark.sql import functions as F

    predictions, labels = (sources.table(session, storage, day, record).withColumn(TABLE, F.lit(record.name))
                           for record in (PREDICTION, LABEL))
    rows = predictions.unionByName(labels, allowMissingColumns=True)
    # Rows without an id are spread by what else they have, so that none of the pieces is full of them.
    rows = rows.repartition(parts, F.expr("coalesce(prediction_id, label_id, string(predicted_at), string(labeled_at))"))
    made = rows.mapInArrow(lambda batches: _of_batches(batches, day.day, question), "piece binary").rdd.map(lambda row: row.piece)
    # Added up in tasks, too: of a day of a thousand pieces the driver sees a few.
    found = made.treeAggregate(None, _with, _with)
    return of_day(unpacked(found) if found else count(day.day, pa.table({}), pa.table({}), question))


def _with(one: bytes | None, other: bytes | None) -> bytes | None:
    """Two packed pieces added; None is nothing."""
    return packed(added([unpacked(one), unpacked(other)])) if one and other else one or other


def _of_batches(batches: Iterator[Any], day: str, question: Question) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = list(batches)
    if found:
        table = pa.Table.from_batches(found)
        table.validate(full=True)  # Spark's texts may be any bytes
        predictions, labels = (table.filter(pc.equal(table.column(TABLE), record.name)) for record in (PREDICTION, LABEL))
        piece = count(day, predictions, labels, question)
        yield pa.record_batch([pa.array([packed(piece)], pa.binary())], ["piece"])


def packed(piece: Piece | Mismatch) -> bytes:
    """A piece, or what is wrong, as it travels: a sixth of its size."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(pickle.dumps(piece, protocol=5))
    return sink.getvalue().to_pybytes()


def unpacked(data: bytes) -> Piece:
    """The piece that travelled; raises the Mismatch that did."""
    import pyarrow as pa

    found = pickle.load(pa.CompressedInputStream(pa.BufferReader(data), "zstd"))
    if isinstance(found, Mismatch):
        raise found
    return found
