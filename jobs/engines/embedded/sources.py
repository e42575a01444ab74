"""The raw files of a day as DuckDB sources with the names that `embedded_sql.py` uses.

Files in our own schema on a local disk are read by DuckDB itself. Everything else - a bucket, nanoseconds, dictionaries
of numbers, names that differ in case only - goes through pyarrow (`embedded_read.py`).
"""

from collections.abc import Container, Iterator, Sequence
from itertools import count, groupby
from typing import Any

from contract.records import LABEL, PREDICTION, TableSchema, arrow_type
from contract.stores.store import Storage
from jobs.engines.day_files import slice_columns, tie_columns, used_columns
from jobs.engines.embedded.read import coded, is_null, read
from jobs.engines.embedded.sql import text
from jobs.engines.question import DayFiles, RawFile, Slice

IDS = {"prediction_id", "label_id"}
PREDICTION_NAMES = {"id": "prediction_id", "p_t": "predicted_at", "version": "model_version",
                    "predicted": "predicted_label", "confidence": "confidence", "p_recorded": "recorded_at",
                    "model": "model", "role": "role", "top": "top_labels"}
LABEL_NAMES = {"id": "prediction_id", "label_id": "label_id", "label": "label", "labeler": "labeler", "t": "labeled_at",
               "recorded": "recorded_at", "origin": "origin", "saw": "saw_prediction", "withdraws": "withdraws",
               "probability": "selection_probability", "strategy": "strategy", "actor": "actor"}
SQL_TYPES = {"string": "VARCHAR", "double": "DOUBLE", "float": "FLOAT", "int32": "INTEGER", "int64": "BIGINT",
             "bool": "BOOLEAN", "timestamp": "BIGINT", "list<string>": "VARCHAR[]", "list<float>": "DOUBLE[]",
             "map<string,string>": "MAP(VARCHAR, VARCHAR)"}


def ordered(name: str, kind: str) -> str:
    """SQL by which a column of this type is ordered: nulls first inside lists and maps, too, where DuckDB has them last."""
    if kind == "list<string>":
        return f"list_transform({name}, lambda x: coalesce('1' || x, '0'))"
    if kind == "list<float>":
        return f"list_transform({name}, lambda x: [(x IS NOT NULL)::DOUBLE, coalesce(x + 0.0, 0.0)])"
    if kind == "map<string,string>":  # by its sorted keys: a map has no order of its own
        return f"list_transform(list_sort(map_keys({name})), lambda k: [k, coalesce('1' || {name}[k], '0')])"
    return name


class Sources:
    """The day's two tables as FROM clauses. Each call makes one that can be read once."""

    def __init__(self, db: Any, storage: Storage, day: DayFiles, slices: Sequence[Slice]) -> None:
        self.db, self.storage, self.day = db, storage, day
        self._numbers = count()
        wanted = {c for s in slices for c in slice_columns(s.expression)}
        self.slice_columns = [f"s_{n}" for n in used_columns(PREDICTION, slices) if n in wanted]
        self.tie_columns = [f"s_{n}" for n in tie_columns(slices) if _anywhere(day.predictions, n)]

    @property
    def prediction_order(self) -> list[str]:
        """(predicted_at, model_version, predicted_label, confidence), then the rest in schema order.

        The order of duplicates: docs/design.md#rule-2-prediction-rows.
        """
        rest = sorted(self.slice_columns + self.tie_columns, key=lambda c: PREDICTION.names.index(c.removeprefix("s_")))
        return ["p_t", "version", "predicted", "confidence", "p_recorded", "model", "role", ordered("top", "list<string>"),
                *(ordered(c, PREDICTION.field(c.removeprefix("s_")).type) for c in rest)]

    def predictions(self, ties: bool = False) -> str:
        """All prediction rows of the day; with `ties` also the columns that only order equal rows."""
        more = self.slice_columns + (self.tie_columns if ties else [])
        names = PREDICTION_NAMES | {c: c.removeprefix("s_") for c in more}
        return self._union(PREDICTION, names, self.day.predictions)

    def labels(self) -> str:
        """All label rows of the day."""
        return self._union(LABEL, LABEL_NAMES, self.day.labels)

    def coded_predictions(self) -> dict[str, Any]:
        """`version` and `predicted` of all rows of `predictions()`, in its order, as Arrow dictionaries."""
        return self._coded(PREDICTION, self.day.predictions, {n: PREDICTION_NAMES[n] for n in ("version", "predicted")})

    def coded_labels(self) -> dict[str, Any]:
        """`label` and `labeler` of all rows of `labels()`, in its order, as Arrow dictionaries."""
        return self._coded(LABEL, self.day.labels, {n: LABEL_NAMES[n] for n in ("label", "labeler")})

    def _coded(self, record: TableSchema, files: Sequence[RawFile], names: dict[str, str]) -> dict[str, Any]:
        system, base = self.storage.arrow()
        paths = [(f"{base}/{f.key}", f) for f in sorted(files, key=_signature)]
        return dict(zip(names, coded(system, paths, record, list(names.values())), strict=True))

    def present_labels(self) -> list[str]:
        """The names of label columns, but the id, that any file has with values."""
        return [n for n, c in LABEL_NAMES.items() if n != "id" and _anywhere(self.day.labels, c)]

    @property
    def are_plain(self) -> bool:
        """Whether DuckDB itself reads all files, so that a look at few columns reads only those."""
        both = ((PREDICTION, self.day.predictions), (LABEL, self.day.labels))
        return all(self._is_read_by_duckdb(record, f) for record, files in both for f in files)

    def _is_read_by_duckdb(self, record: TableSchema, file: RawFile) -> bool:
        path = f"{self.storage.arrow()[1]}/{file.key}"
        return self.storage.root.startswith("file:") and _is_plain(record, file) and not any(c in path for c in "*?[")

    @property
    def has_top(self) -> bool:
        """Whether any file has top labels."""
        return _anywhere(self.day.predictions, "top_labels")

    @property
    def has_recorded(self) -> bool:
        """Whether any file says when its predictions became durable."""
        return _anywhere(self.day.predictions, "recorded_at")

    def _union(self, record: TableSchema, names: dict[str, str], files: Sequence[RawFile]) -> str:
        if not files:
            nothing = ", ".join(f"NULL::{SQL_TYPES[record.field(c).type]} AS {n}" for n, c in names.items())
            return f"SELECT {nothing} WHERE false"
        parts = []
        for _, group in groupby(sorted(files, key=_signature), key=_signature):
            part = list(group)
            parts += [self._select(record, names, part[0], source) for source in self._scans(record, part, set(names.values()))]
        return " UNION ALL ".join(parts)

    def _scans(self, record: TableSchema, files: Sequence[RawFile], columns: Container[str]) -> Iterator[str]:
        system, base = self.storage.arrow()
        paths = [f"{base}/{f.key}" for f in files]
        if all(self._is_read_by_duckdb(record, f) for f in files):
            listed = ", ".join(text(p) for p in paths)
            yield f"read_parquet([{listed}], hive_partitioning = false)"
            return
        for path, file in zip(paths, files, strict=True):
            if all(is_null(t) for n, t in file.columns.items() if n in columns):
                yield f"range({file.rows})"  # rows without a single value
                continue
            name = f"arrow_{next(self._numbers)}"
            self.db.register(name, read(system, path, record, file, columns))
            yield name

    def _select(self, record: TableSchema, names: dict[str, str], file: RawFile, source: str) -> str:
        return f"SELECT {', '.join(_expression(record, n, c, file) for n, c in names.items())} FROM {source}"


def _signature(file: RawFile) -> str:
    return repr([(n, str(t)) for n, t in sorted(file.columns.items())] + [file.clashing])


def _is_plain(record: TableSchema, file: RawFile) -> bool:
    """Whether DuckDB reads the file's used columns exactly as we do."""
    import pyarrow.types as t

    def plain(name: str, found: Any) -> bool:
        wanted = arrow_type(record.field(name).type)
        return (t.is_null(found) or found == wanted or (t.is_timestamp(found) and found.unit in ("ms", "us"))
                or (t.is_floating(found) and t.is_floating(wanted)) or (t.is_list(found) and t.is_floating(found.value_type))
                or (t.is_integer(found) and name == "model_version"))

    return not file.clashing and all(plain(n, f) for n, f in file.columns.items())


def _anywhere(files: Sequence[RawFile], column: str) -> bool:
    return any(not is_null(f.columns.get(column)) for f in files)


def _expression(record: TableSchema, name: str, column: str, file: RawFile) -> str:
    kind = record.field(column).type
    if is_null(file.columns.get(column)):
        return f"NULL::{SQL_TYPES[kind]} AS {name}"
    if column in IDS:
        return f'nullif("{column}", \'\') AS {name}'
    if kind == "timestamp":
        return f'epoch_us("{column}") AS {name}'
    if kind in ("double", "float"):  # + 0.0: minus zero is zero
        return f'"{column}"::{SQL_TYPES[kind]} + 0.0::{SQL_TYPES[kind]} AS {name}'
    return f'"{column}"::{SQL_TYPES[kind]} AS {name}'
