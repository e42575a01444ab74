"""Days as Spark tasks: a day whole, read by its task, or the parts of a big day, brought together by a shuffle."""

import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import groupby
from math import ceil
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract.errors import Mismatch
from contract.records import LABEL, PREDICTION, TableSchema, arrow_type
from contract.stores.store import Storage
from jobs.engines.prefetch import prefetch
from jobs.engines.question import DayFiles, Question, RawFile
from jobs.engines.spark import sources
from jobs.engines.spark.day import PartCounts, add_parts, count_part, finish_day
from jobs.engines.spark.rows import IDS, entries_type, nulls
from jvm import task_store

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

# Values of a day, in all columns of predictions and labels, that one task may hold; a Python worker takes about 40 bytes for
# each. On a cluster that is memory beside the executor's heap, of which YARN gives little.
MOST_HERE, MOST_ON_CLUSTER = 50_000_000, 8_000_000
AT_ONCE = 2  # days for each core in a wave: when a file cannot be read, the waves before it are not lost
BATCH_ROWS = 8_192  # rows with lists: an Arrow array holds at most 2 GB of texts
TABLE = "table"  # column of a big day's rows: predictions or labels


class Work(NamedTuple):
    """What tasks do with a part of a day: make of its rows, bring parts together, and make a day of all of them."""

    part: Callable[[str, pa.Table, pa.Table, Question], PartCounts]
    add: Callable[[Sequence[PartCounts]], PartCounts]
    finish: Callable[[PartCounts], PartCounts]


COUNTS = Work(count_part, add_parts, finish_day)


def count_days(session: "SparkSession", storage: Storage, days: Sequence[DayFiles], question: Question,
               work: Work = COUNTS) -> Generator[PartCounts, None, None]:
    """Counts each day, or does other work, in the order of `days`."""
    context = session.sparkContext
    most = MOST_HERE if (context.master or "").startswith("local") else MOST_ON_CLUSTER
    for big, some in groupby(days, lambda day: count_values(day) > most):
        if big:
            for day in some:
                yield _count_by_shuffle(session, storage, day, question, ceil(2 * count_values(day) / most), work)
        else:
            yield from _count_in_waves(context, task_store.describe(storage), list(some), question, work)


def _count_in_waves(context: "SparkContext", at: task_store.Where, days: Sequence[DayFiles], question: Question,
                    work: Work) -> Iterator[PartCounts]:
    """Counts whole days in waves; while the driver takes the results of one, tasks count the next."""
    from pyspark import inheritable_thread_target

    tag = f"trueup-{uuid4()}"

    def count_wave(wave: Sequence[DayFiles]) -> list[bytes]:
        context.addJobTag(tag)
        return context.parallelize(wave, len(wave)).map(lambda day: _count_serialized(at, day, question, work)).collect()

    size = AT_ONCE * context.defaultParallelism
    waves = [days[start:start + size] for start in range(0, len(days), size)]
    with ThreadPoolExecutor(1) as thread:
        try:
            for found in prefetch(thread, inheritable_thread_target(count_wave), waves, 2):
                while found:
                    yield deserialize(found.pop(0))  # its bytes are not held beside what is made of them
        finally:
            end = thread.submit(int)  # done once a wave that is under way has ended, whose results nobody takes
            while wait([end], timeout=0.2).not_done:
                context.cancelJobsWithTag(tag)


def count_values(day: DayFiles) -> int:
    """Counts the values in a day's files, by their footers."""
    return sum(file.values for file in day.predictions + day.labels)


def _count_serialized(at: task_store.Where, day: DayFiles, question: Question, work: Work) -> bytes:
    """Counts a whole day; returns the counts, or a Mismatch instead of raising it: Spark would wrap it in an error of its own."""
    try:
        return serialize(count_whole_day(task_store.open_there(at), day, question, work))
    except Mismatch as error:
        return serialize(error)


def count_whole_day(storage: Storage, day: DayFiles, question: Question, work: Work = COUNTS) -> PartCounts:
    """Reads and counts a whole day here. Raises Mismatch when a file is not what its footer said."""
    predictions = read_files(storage, day.predictions, PREDICTION)
    return work.finish(work.part(day.day, predictions, read_files(storage, day.labels, LABEL), question))


def read_files(storage: Storage, files: Sequence[RawFile], record: TableSchema) -> pa.Table:
    """Reads the used columns of some files as one table: texts but ids as dictionaries, times as int64 us since 1970."""
    system, base = storage.arrow()
    tables = [_read_file(system, f"{base}/{file.key}", file, record) for file in files]
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


def _read_file(system: "FileSystem", path: str, file: RawFile, record: TableSchema) -> pa.Table:
    stored = [name for name, kind in file.columns.items() if not pa.types.is_null(kind)]
    words = [name for name in stored if record.field(name).type == "string" and name not in IDS]
    with _open(system, path, file, words) as parquet:
        if any(pa.types.is_nested(file.columns[name]) for name in stored):
            table = _read_nested(parquet, stored)
        else:
            table = parquet.read(columns=stored, use_threads=False)
    made = {name: convert(table.column(name), record.field(name).type, name in words) for name in stored}
    made |= {name: nulls(record, name, table.num_rows) for name in record.required if name not in made}
    for column in made.values():
        column.validate(full=True)  # Arrow does not check that texts are UTF-8 when it reads them
    return pa.table(made)


def _open(system: "FileSystem", path: str, file: RawFile, words: Sequence[str]) -> pq.ParquetFile:
    """Opens the file; Mismatch when it has other rows or columns than before."""
    try:
        parquet = pq.ParquetFile(path, filesystem=system, read_dictionary=words, pre_buffer=True,
                                 coerce_int96_timestamp_unit="us")  # Arrow's nanoseconds end in 2262
    except KeyError as error:
        raise _make_changed_error(file, f"none of {error}") from error
    names = parquet.schema_arrow.names
    if parquet.metadata.num_rows != file.rows or set(file.columns) - set(names):  # Arrow leaves out what is gone
        raise _make_changed_error(file, f"{parquet.metadata.num_rows} of {', '.join(names)}")
    return parquet


def _make_changed_error(file: RawFile, got: str) -> Mismatch:
    return Mismatch(f"{file.key}: expected {file.rows} rows of {', '.join(file.columns)}, got {got}. The file changed while it "
                    f"was read: start again.")


def _read_nested(parquet: pq.ParquetFile, columns: Sequence[str]) -> pa.Table:
    """Reads columns with lists among them, a few rows at a time: their elements must fit into one of Arrow's arrays."""
    batches = [batch for group in range(parquet.num_row_groups)
               for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False)]
    return pa.Table.from_batches(batches) if batches else parquet.read(columns=columns)


def convert(column: pa.ChunkedArray, kind: str, word: bool) -> pa.ChunkedArray:
    """Converts a stored column to the one form that is counted from (rows.Rows)."""
    if pa.types.is_dictionary(column.type) and not (word and column.type.value_type == pa.string()):
        column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], column.type.value_type)
    if kind == "timestamp":
        return _microseconds(column)
    if word:
        return column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    column = column.cast(pa.list_(pa.float64()) if kind == "list<float>" else arrow_type(kind))
    return column.cast(entries_type()) if pa.types.is_map(column.type) else column


def _microseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Converts times to int64 us since 1970; nanoseconds are rounded down, also before 1970."""
    if column.type.unit != "ns":
        return column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    found = np.floor_divide(column.cast(pa.int64()).fill_null(0).to_numpy(), 1000)
    return pa.chunked_array([pa.array(found, mask=column.is_null().to_numpy())])


def _count_by_shuffle(session: "SparkSession", storage: Storage, day: DayFiles, question: Question, parts: int,
                      work: Work) -> PartCounts:
    """Counts a day that is too big for one task: Spark reads it, and a shuffle brings each id's rows into one part."""
    from pyspark.sql import functions as F

    predictions, labels = (sources.read_table(session, storage, day, record).withColumn(TABLE, F.lit(record.name))
                           for record in (PREDICTION, LABEL))
    rows = predictions.unionByName(labels, allowMissingColumns=True)
    # Rows without an id are spread by what else they have, so that no part is full of them.
    rows = rows.repartition(parts, F.expr("coalesce(prediction_id, label_id, string(predicted_at), string(labeled_at))"))
    made = rows.mapInArrow(lambda batches: _count_batches(batches, day.day, question, work), "counts binary")
    # Added up in tasks, too: of a day of a thousand parts the driver sees a few.
    add = partial(_add_serialized, work)
    found = made.rdd.map(lambda row: row.counts).treeAggregate(None, add, add)
    return work.finish(deserialize(found) if found else work.part(day.day, pa.table({}), pa.table({}), question))


def _add_serialized(work: Work, one: bytes | None, other: bytes | None) -> bytes | None:
    """Adds the serialized counts of two parts; None is nothing."""
    return serialize(work.add([deserialize(one), deserialize(other)])) if one and other else one or other


def _count_batches(batches: Iterable[pa.RecordBatch], day: str, question: Question, work: Work) -> Iterator[pa.RecordBatch]:
    """Counts a part of a day from its rows of both tables; yields the serialized counts as the one row of `counts`."""
    found = list(batches)
    if found:
        table = pa.Table.from_batches(found)
        table.validate(full=True)  # Spark does not check that texts are UTF-8
        predictions, labels = (table.filter(pc.equal(table.column(TABLE), record.name)) for record in (PREDICTION, LABEL))
        counts = work.part(day, predictions, labels, question)
        yield pa.record_batch([pa.array([serialize(counts)], pa.binary())], ["counts"])


def serialize(counts: PartCounts | Mismatch) -> bytes:
    """Serializes counts, or a Mismatch, for the driver: compressed to a sixth of the size."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(pickle.dumps(counts, protocol=5))
    return sink.getvalue().to_pybytes()


def deserialize(data: bytes) -> PartCounts:
    """Restores serialized counts; raises the Mismatch if it was one."""
    found = pickle.load(pa.CompressedInputStream(pa.BufferReader(data), "zstd"))
    if isinstance(found, Mismatch):
        raise found
    return found
