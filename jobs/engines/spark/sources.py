"""The raw files of a day as Spark DataFrames in one form, whatever form they are stored in (docs/design.md#label-rows).

Files of one stored form are read together by an explicit list and an explicit schema; nothing is inferred. Times become
`bigint` microseconds since 1970 UTC, a map the list of its entries.
"""

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as t

from contract.records import Field, TableSchema
from contract.storage import find_region
from contract.stores.store import Storage
from jobs.engines.question import DayFiles, RawFile
from jobs.engines.spark.rows import IDS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ALWAYS = ("label_id",)  # optional, but rows without another id are spread by it
INT96 = "int96"
Form = tuple[tuple[str, str], ...]  # (column, how it is stored), sorted


def read_table(session: "SparkSession", storage: Storage, day: DayFiles, record: TableSchema) -> "DataFrame":
    """Reads all rows of a day as one DataFrame: the columns that any file has, and those that are always named."""
    groups: dict[Form, list[RawFile]] = {}
    for file in getattr(day, record.name):
        groups.setdefault(read_form(storage, file), []).append(file)
    stored = {name for how in groups for name, _ in how}
    have = [f for f in record.fields if f.name in stored or f.required or f.name in ALWAYS]
    if not groups:
        return session.createDataFrame([], ", ".join(f"`{f.name}` {_canonical_type(f)}" for f in have))
    return reduce(lambda one, other: one.unionAll(other), (
        _read_files(session, storage, record, dict(how), files).selectExpr(
            *(f"{convert_expression(f, dict(how).get(f.name))} `{f.name}`" for f in have))
        for how, files in groups.items()))


def read_form(storage: Storage, file: RawFile) -> Form:
    """Returns how each column of a file is stored, without columns of type null.

    Folders `name=value` in the key are part of it: Spark must not read such files together.
    """
    stored = {name: _spark_type(storage, file, name, type_) for name, type_ in file.columns.items()}
    folders = tuple((f"{part.split('=')[0]}=", "") for part in file.key.split("/")[2:-1] if "=" in part)
    return tuple(sorted((n, s) for n, s in stored.items() if s)) + folders


def _spark_type(storage: Storage, file: RawFile, name: str, type_: pa.DataType) -> str:
    """Returns the Spark type that a column is read as, of a time how it is stored; '' for columns without values."""
    if t.is_dictionary(type_):
        type_ = type_.value_type
    if t.is_timestamp(type_):
        return INT96 if type_.unit == "ns" and _is_int96(storage, file, name) else type_.unit
    if t.is_integer(type_):
        return {"uint32": "bigint", "uint64": "decimal(20,0)", "int64": "bigint"}.get(str(type_), "int")
    if t.is_list(type_) or t.is_large_list(type_):
        return {"float": "array<float>", "double": "array<double>"}.get(str(type_.value_type), "array<string>")
    known = {"null": "", "float": "float", "double": "double", "bool": "boolean"}
    return "map<string,string>" if t.is_map(type_) else known.get(str(type_), "string")


def _is_int96(storage: Storage, file: RawFile, name: str) -> bool:
    """Says whether a time that Arrow calls nanoseconds is Parquet's old 96-bit form, which Spark reads as it is."""
    system, base = storage.arrow()
    with pq.ParquetFile(f"{base}/{file.key}", filesystem=system) as parquet:
        columns = parquet.metadata.schema
        found = next(columns.column(n) for n in range(len(columns)) if columns.column(n).path == name)
        return found.physical_type == "INT96"


def _read_files(session: "SparkSession", storage: Storage, record: TableSchema, how: dict[str, str],
                files: Sequence[RawFile]) -> "DataFrame":
    if (region := find_region(storage)) is not None:  # a bucket's own: s3a follows no redirect
        session.conf.set("fs.s3a.endpoint.region", region)
    times = {INT96: "timestamp", "ms": "timestamp", "us": "timestamp", "ns": "bigint"}
    columns = [f"`{name}` {times.get(stored, stored)}" for name, stored in how.items() if not name.endswith("=")]
    # The paths are given one by one and meant letter by letter: `*` or `[` in a name is no pattern.
    reader = session.read.schema(", ".join([*columns, "dt date"])).option("__globPaths__", "false")
    reader = reader.option("basePath", hadoop_path(storage, f"{record.name}/"))
    return reader.parquet(*(hadoop_path(storage, f.key) for f in files))


def hadoop_path(storage: Storage, key: str) -> str:
    """Returns an object's address as Hadoop writes it: s3a:// for S3, and no percent-encoding."""
    uri = storage.uri(key)
    return "s3a://" + uri.removeprefix("s3://") if uri.startswith("s3://") else unquote(uri)


def convert_expression(field: Field, stored: str | None) -> str:
    """Returns SQL that converts a stored column to its one form."""
    name = f"`{field.name}`"
    if stored is None:
        return f"cast(null as {_canonical_type(field)})"
    if field.type == "timestamp":
        return f"({name} - pmod({name}, 1000)) div 1000" if stored == "ns" else f"unix_micros({name})"
    if field.name in IDS:  # an empty id counts as null
        return f"nullif({name}, '')"
    if field.type == "map<string,string>":  # entries have an order, maps have none
        return f"sort_array(map_entries({name}))"
    return name if stored == _canonical_type(field) else f"cast({name} as {_canonical_type(field)})"


def _canonical_type(field: Field) -> str:
    kinds = {"timestamp": "bigint", "int32": "int", "int64": "bigint", "bool": "boolean", "list<string>": "array<string>",
             "list<float>": "array<double>", "map<string,string>": "array<struct<key:string,value:string>>"}
    return kinds.get(field.type, field.type)
