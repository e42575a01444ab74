"""Pieces of days as Spark tasks: a day whole, read by its task, or a big day's ids, brought together by a shuffle."""

import pickle
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from math import ceil
from typing import Any

from contract.records import LABEL, PREDICTION, Record, arrow_type
from contract.storage import Storage
from jobs import task_store
from jobs.engines import spark_tables
from jobs.engines.question import DataFile, DayFiles, Question
from jobs.engines.spark_piece import Piece, added, count, of_day
from jobs.engines.spark_rows import IDS, entries, nulls

# Rows of a day, predictions and labels, that one task may hold; a Python worker takes 300 bytes a row, more with lists of
# top labels. On a cluster that is memory beside the executor's heap, of which YARN gives little.
MOST_HERE, MOST_ON_CLUSTER = 6_000_000, 1_000_000
AT_ONCE = 64  # days whose counts are on their way to the driver together
TABLE = "table"  # in a big day's rows: which one


def pieces(session: Any, storage: Storage, days: Sequence[DayFiles], question: Question) -> Iterator[Piece]:
    """What each day comes to, in the order of `days`."""
    at, context = task_store.where(storage), session.sparkContext
    most = MOST_HERE if context.master.startswith("local") else MOST_ON_CLUSTER
    for big, some in groupby(days, lambda day: rows_of(day) > most):
        if big:
            yield from (_by_shuffle(session, storage, day, question, ceil(2 * rows_of(day) / most)) for day in some)
        while wave := list(islice(some, AT_ONCE)):
            tasks = context.parallelize(wave, len(wave))
            yield from map(unpacked, tasks.map(lambda day: packed(whole(task_store.opened(at), day, question))).collect())


def rows_of(day: DayFiles) -> int:
    """Rows in a day's files, by their footers."""
    return sum(file.rows for file in day.predictions + day.labels)


def whole(storage: Storage, day: DayFiles, question: Question) -> Piece:
    """A whole day, read here."""
    return of_day(count(
        day.day, read(storage, day.predictions, PREDICTION), read(storage, day.labels, LABEL), question))


def read(storage: Storage, files: Sequence[DataFile], record: Record) -> Any:
    """The used columns of some files as one Arrow table: words as dictionaries, times as int64 us since 1970."""
    import pyarrow as pa

    system, base = storage.arrow()
    tables = [_read(system, f"{base}/{file.key}", file, record) for file in files]
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


def _read(system: Any, path: str, file: DataFile, record: Record) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stored = [name for name, kind in file.columns.items() if not pa.types.is_null(kind)]
    words = [name for name in stored if record.field(name).type == "string" and name not in IDS]
    with pq.ParquetFile(path, filesystem=system, read_dictionary=words, pre_buffer=True) as parquet:
        table = parquet.read(columns=stored, use_threads=False)
    made = {name: as_ours(table.column(name), record.field(name).type, name in words) for name in stored}
    made |= {name: nulls(record, name, table.num_rows) for name in record.required if name not in made}
    for column in made.values():
        column.validate(full=True)  # Arrow reads bytes that are no UTF-8 without a word
    return pa.table(made)


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
    from pyspark.sql import functions as F

    predictions, labels = (spark_tables.table(session, storage, day, record).withColumn(TABLE, F.lit(record.name))
                           for record in (PREDICTION, LABEL))
    rows = predictions.unionByName(labels, allowMissingColumns=True)
    # Rows without an id are spread by what else they have, so that none of the pieces is full of them.
    rows = rows.repartition(parts, F.expr("coalesce(prediction_id, label_id, string(predicted_at))"))
    made = rows.mapInArrow(lambda batches: _of_batches(batches, day.day, question), "piece binary").rdd.map(lambda row: row.piece)
    # Added up in tasks, too: of a day of a thousand pieces the driver sees a few.
    return of_day(unpacked(made.treeReduce(lambda one, other: packed(added([unpacked(one), unpacked(other)])))))


def _of_batches(batches: Iterator[Any], day: str, question: Question) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = list(batches)
    if found:
        table = pa.Table.from_batches(found)
        predictions, labels = (table.filter(pc.equal(table.column(TABLE), record.name)) for record in (PREDICTION, LABEL))
        piece = count(day, predictions, labels, question)
        yield pa.record_batch([pa.array([packed(piece)], pa.binary())], ["piece"])


def packed(piece: Piece) -> bytes:
    """A piece as it travels, a sixth of its size."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(pickle.dumps(piece, protocol=5))
    return sink.getvalue().to_pybytes()


def unpacked(data: bytes) -> Piece:
    """The piece that travelled."""
    import pyarrow as pa

    return pickle.loads(pa.CompressedInputStream(pa.BufferReader(data), "zstd").read())
