"""The raw files of a day as DuckDB sources with the names that sql.py uses.

Files in our own schema on a local disk are read by DuckDB itself. Everything else - a bucket, nanoseconds, dictionaries
of numbers, names that differ in case only - goes through pyarrow (read.py).
"""

from collections.abc import Container, Iterator, Sequence
from itertools import count, groupby

import pyarrow as pa
import pyarrow.types as t

from contract.records import LABEL, PREDICTION, TableSchema, arrow_type
from contract.stores.store import Storage
from jobs.engines.day_files import list_slice_columns, list_tie_columns, list_used_columns
from jobs.engines.embedded.connection import Connection
from jobs.engines.embedded.read import is_null, read_batches, read_words
from jobs.engines.embedded.sql import literal
from jobs.engines.question import DayFiles, RawFile, Slice

FARTHEST = 2**63 - 1  # us from 1970
IDS = {"prediction_id", "label_id"}
PREDICTION_NAMES = {"id": "prediction_id", "p_t": "predicted_at", "version": "model_version",
                    "predicted": "predicted_label", "confidence": "confidence", "p_recorded": "recorded_at",
                    "model": "model", "role": "role", "top": "top_labels"}
LABEL_NAMES = {"id": "prediction_id", "label_id": "label_id", "label": "label", "labeler": "labeler", "t": "labeled_at",
               "recorded": "recorded_at", "origin": "origin", "saw": "saw_prediction", "shown": "shown_label",
               "withdraws": "withdraws", "probability": "selection_probability", "strategy": "strategy", "actor": "actor"}
SQL_TYPES = {"string": "VARCHAR", "double": "DOUBLE", "float": "FLOAT", "int32": "INTEGER", "int64": "BIGINT",
             "bool": "BOOLEAN", "timestamp": "BIGINT", "list<string>": "VARCHAR[]", "list<float>": "DOUBLE[]",
             "map<string,string>": "MAP(VARCHAR, VARCHAR)"}


def order_expression(name: str, kind: str) -> str:
    """Returns SQL that orders a column of this type: nulls first inside lists and maps, too, unlike DuckDB."""
    if kind == "list<string>":
        return f"list_transform({name}, lambda x: coalesce('1' || x, '0'))"
    if kind == "list<float>":
        return f"list_transform({name}, lambda x: [(x IS NOT NULL)::DOUBLE, coalesce(x + 0.0, 0.0)])"
    if kind == "map<string,string>":  # by its sorted keys: a map has no order of its own
        return f"list_transform(list_sort(map_keys({name})), lambda k: [k, coalesce('1' || {name}[k], '0')])"
    return name


class Sources:
    """The day's two tables as statements; each call makes one that can be read once."""

    def __init__(self, db: Connection, storage: Storage, day: DayFiles, slices: Sequence[Slice]) -> None:
        self.db, self.storage, self.day = db, storage, day
        self._numbers = count()
        wanted = {c for s in slices for c in list_slice_columns(s.expression)}
        self.slice_columns = [f"s_{n}" for n in list_used_columns(PREDICTION, slices) if n in wanted]
        self.tie_columns = [f"s_{n}" for n in list_tie_columns(slices) if _in_any(day.predictions, n)]

    @property
    def prediction_order(self) -> list[str]:
        """The columns that order duplicates (docs/design.md#rule-2-prediction-rows).

        They are predicted_at, model_version, predicted_label, confidence, then the rest in schema order.
        """
        rest = sorted(self.slice_columns + self.tie_columns, key=lambda c: PREDICTION.names.index(c.removeprefix("s_")))
        return ["p_t", "version", "predicted", "confidence", "p_recorded", "model", "role",
                order_expression("top", "list<string>"),
                *(order_expression(c, PREDICTION.field(c.removeprefix("s_")).type) for c in rest)]

    def predictions(self, ties: bool = False) -> str:
        """Selects all prediction rows of the day; with `ties` also the columns that only order equal rows."""
        more = self.slice_columns + (self.tie_columns if ties else [])
        names = PREDICTION_NAMES | {c: c.removeprefix("s_") for c in more}
        return self._union(PREDICTION, names, self.day.predictions)

    def labels(self) -> str:
        """Selects all label rows of the day."""
        return self._union(LABEL, LABEL_NAMES, self.day.labels)

    def prediction_words(self) -> dict[str, pa.ChunkedArray]:
        """Reads `version` and `predicted` of all rows of `predictions()`, in its order, as dictionary arrays."""
        names = {n: PREDICTION_NAMES[n] for n in ("version", "predicted")}
        return self._read_words(PREDICTION, self.day.predictions, names)

    def label_words(self) -> dict[str, pa.ChunkedArray]:
        """Reads `label` and `labeler` of all rows of `labels()`, in its order, as dictionary arrays."""
        return self._read_words(LABEL, self.day.labels, {n: LABEL_NAMES[n] for n in ("label", "labeler")})

    def _read_words(self, record: TableSchema, files: Sequence[RawFile],
                    names: dict[str, str]) -> dict[str, pa.ChunkedArray]:
        system, base = self.storage.arrow()
        paths = [(f"{base}/{f.key}", f) for f in sorted(files, key=_signature)]
        return dict(zip(names, read_words(system, paths, record, list(names.values())), strict=True))

    def present_labels(self) -> list[str]:
        """Names the label columns, but the id, that any file has with values."""
        return [n for n, c in LABEL_NAMES.items() if n != "id" and _in_any(self.day.labels, c)]

    @property
    def are_read_by_duckdb(self) -> bool:
        """Whether DuckDB itself reads all files, so that a statement reads only the columns that it names."""
        both = ((PREDICTION, self.day.predictions), (LABEL, self.day.labels))
        return all(self._is_read_by_duckdb(record, f) for record, files in both for f in files)

    def _is_read_by_duckdb(self, record: TableSchema, file: RawFile) -> bool:
        path = f"{self.storage.arrow()[1]}/{file.key}"
        return self.storage.root.startswith("file:") and _has_our_types(record, file) and not any(c in path for c in "*?[")

    @property
    def has_top(self) -> bool:
        """Whether any file has top labels."""
        return _in_any(self.day.predictions, "top_labels")

    @property
    def has_recorded(self) -> bool:
        """Whether any file says when its predictions became durable."""
        return _in_any(self.day.predictions, "recorded_at")

    def _union(self, record: TableSchema, names: dict[str, str], files: Sequence[RawFile]) -> str:
        if not files:
            nothing = ", ".join(f"NULL::{SQL_TYPES[record.field(c).type]} AS {n}" for n, c in names.items())
            return f"SELECT {nothing} WHERE false"
        parts = []
        for _, group in groupby(sorted(files, key=_signature), key=_signature):
            part = list(group)
            scans = self._scans(record, part, set(names.values()))
            parts += [self._select(record, names, part[0], source) for source in scans]
        return " UNION ALL ".join(parts)

    def _scans(self, record: TableSchema, files: Sequence[RawFile], columns: Container[str]) -> Iterator[str]:
        system, base = self.storage.arrow()
        paths = [f"{base}/{f.key}" for f in files]
        if all(self._is_read_by_duckdb(record, f) for f in files):
            listed = ", ".join(literal(p) for p in paths)
            yield f"read_parquet([{listed}], hive_partitioning = false)"
            return
        for path, file in zip(paths, files, strict=True):
            if all(is_null(t) for n, t in file.columns.items() if n in columns):
                yield f"range({file.rows})"  # rows without a single value
                continue
            name = f"arrow_{next(self._numbers)}"
            self.db.register(name, read_batches(system, path, record, file, columns))
            yield name

    def _select(self, record: TableSchema, names: dict[str, str], file: RawFile, source: str) -> str:
        return f"SELECT {', '.join(_expression(record, n, c, file) for n, c in names.items())} FROM {source}"


def _signature(file: RawFile) -> str:
    return repr([(n, str(t)) for n, t in sorted(file.columns.items())] + [file.clashing])


def _has_our_types(record: TableSchema, file: RawFile) -> bool:
    """Says whether DuckDB reads the file's used columns exactly as we do."""

    def same(name: str, found: pa.DataType) -> bool:
        wanted = arrow_type(record.field(name).type)
        return (t.is_null(found) or found == wanted or (t.is_timestamp(found) and found.unit in ("ms", "us"))
                or (t.is_floating(found) and t.is_floating(wanted)) or (t.is_list(found) and t.is_floating(found.value_type))
                or (t.is_integer(found) and name == "model_version"))

    return not file.clashing and all(same(n, f) for n, f in file.columns.items())


def _in_any(files: Sequence[RawFile], column: str) -> bool:
    return any(not is_null(f.columns.get(column)) for f in files)


def _expression(record: TableSchema, name: str, column: str, file: RawFile) -> str:
    kind = record.field(column).type
    if is_null(file.columns.get(column)):
        return f"NULL::{SQL_TYPES[kind]} AS {name}"
    if column in IDS:
        return f'nullif("{column}", \'\') AS {name}'
    if kind == "timestamp":
        # DuckDB takes FARTHEST, after and before 1970, for infinity, which has no epoch; in a file it is a time like others.
        ends = " ".join(f"WHEN '{sign}infinity' THEN {sign}{FARTHEST}" for sign in ("", "-"))
        return f'coalesce(epoch_us("{column}"), CASE "{column}" {ends} END) AS {name}'
    if kind in ("double", "float"):  # + 0.0: minus zero is zero
        return f'"{column}"::{SQL_TYPES[kind]} + 0.0::{SQL_TYPES[kind]} AS {name}'
    return f'"{column}"::{SQL_TYPES[kind]} AS {name}'
