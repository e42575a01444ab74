"""The raw files of the days asked for: listed, their footers read, their columns checked against `contract.records`.

Only footers are read here. What docs/design.md#label-rows says is taken as it is; anything else in a column that is used is a
ForeignSchema that names file, column, what was expected and what came.
"""

import logging
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from command.progress import progress
from contract import layout
from contract.days import split_folders
from contract.errors import ForeignSchema, UsageError
from contract.records import LABEL, PREDICTION, Field, TableSchema
from contract.rows.listing import RowFile, find_expired, list_folder, list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Entry, Storage
from jobs.engines.question import BANDS, DayFiles, RawFile, Slice

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

log = logging.getLogger(__name__)
DEFAULT_DAYS = 30
FOOTERS_AT_ONCE = 16
# Counting looks at these of every prediction; slices add theirs. All columns of a label take part in the rule of
# duplicates.
COUNTED = ("prediction_id", "predicted_at", "recorded_at", "model", "model_version", "predicted_label", "confidence",
           "role", "top_labels")


@dataclass(frozen=True)
class Window:
    """Both ends included; `days` are those in between that have a partition in either table, oldest first.

    `beyond` are days that have labels alone, after the newest predictions: of a window that ends with these.
    """

    first: str
    last: str
    days: tuple[str, ...]
    beyond: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str]:
        return iter(self.days)


def choose_window(storage: Storage, first: str | None, last: str | None, as_of_day: str, most: int = DEFAULT_DAYS) -> Window:
    """The days from `first` to `last`.

    Without `last`, up to the day of `as_of`; without `first`, the newest `most` prediction days up to there, however
    old they are. UsageError when the ends are the wrong way round.
    """
    until = last or as_of_day
    there, judged = (_list_days(storage, table) for table in (layout.PREDICTIONS, layout.LABELS))
    predicted = [d for d in there if d <= until]
    since = first or min(predicted[-most:], default=until)
    if since > until:
        raise UsageError(f"expected a window that ends on or after its first day, got {since} to {until}.")
    end = last or max(predicted, default=until)
    days = tuple(sorted(d for d in {*predicted, *judged} if since <= d <= end))
    return Window(since, max(since, end), days, () if last else tuple(d for d in judged if end < d <= until))


def _list_days(storage: Storage, table: str) -> list[str]:
    """The days of a table; warns of folders that are none, so that rows in them are not left out silently."""
    days, others = split_folders(storage, table)
    if others:
        log.warning("not counted: %s/%s/%s: expected a folder dt=YYYY-MM-DD for each day.", table, others[0],
                    f" and {len(others) - 1} more" if others[1:] else "")
    return days


def list_used_columns(record: TableSchema, slices: Sequence[Slice] = ()) -> list[str]:
    """The columns of a record that counting looks at, in schema order."""
    if record is LABEL:
        return record.names
    wanted = set(COUNTED) | {c for s in slices for c in list_slice_columns(s.expression)}
    return [n for n in record.names if n in wanted]


def list_tie_columns(slices: Sequence[Slice]) -> list[str]:
    """Prediction columns that only decide which of a prediction's equal rows comes first (docs/design.md#rule-2-prediction-rows).

    A tie shows in slices alone, so these are the columns before the last one that a slice reads. A stored form that
    is not taken as it is makes no file foreign here: such a column counts as missing.
    """
    read = {c for s in slices for c in list_slice_columns(s.expression)}
    last = max((PREDICTION.names.index(c) for c in read), default=0)
    used = list_used_columns(PREDICTION, slices)
    return [n for n in PREDICTION.names[:last] if n not in used]


def list_slice_columns(expression: str) -> tuple[str, ...]:
    """The prediction columns that a slice's expression reads."""
    if expression.startswith("attributes."):
        return ("attributes",)
    bounded = {"hour": ("predicted_at",), "image_size": ("width", "height"), "latency": ("latency_ms",)}
    assert set(BANDS) <= set(bounded)
    return bounded.get(expression, (expression,))


def list_day(storage: Storage, day: str) -> DayFiles:
    """A day's files by their listing alone: keys, sizes and etags, enough for the fingerprint; no footer is read."""
    predictions, listed = _list_folder(storage, layout.PREDICTIONS, day)
    if expired := find_expired(storage, day, listed):
        return DayFiles(day, (), (), expired)
    there, judged = (tuple(RawFile(e.key, e.size, e.etag, 0, 0, {}, made_of=e.made_of) for e in files)
                     for files in (predictions, _list_folder(storage, layout.LABELS, day)[0]))
    return DayFiles(day, there, judged)


def _list_folder(storage: Storage, table: str, day: str) -> tuple[list[RowFile], list[Entry]]:
    """The objects of a day's folder that are data; warns of deeper ones, which are not (docs/design.md#prediction-rows)."""
    folder = layout.day_folder(table, day)
    files, entries = list_folder(storage, table, day)
    deeper = [e.key for e in entries if "/" in e.key[len(folder):] and not _is_hidden(e.key[len(folder):])]
    if deeper:
        log.warning("not counted: %s%s: files of rows lie in the day's folder itself, not below it.", deeper[0],
                    f" and {len(deeper) - 1} more" if deeper[1:] else "")
    return files, entries


def _is_hidden(path: str) -> bool:
    return any(part.startswith(("_", ".")) for part in path.split("/"))


def read_footers(storage: Storage, days: Sequence[DayFiles], slices: Sequence[Slice] = (), quarantine: bool = False,
                 beside: Sequence[str] = ()) -> tuple[list[DayFiles], dict[str, str]]:
    """The same days with row counts and columns from the footers, and what quarantine left out: key -> reason.

    `beside`: columns of predictions that are read, too, and count as missing where they are stored as another type.
    Raises ForeignSchema for the first bad file (by key), unless `quarantine` leaves such files out and names them.
    """
    wanted = [(f, record) for d in days for f, record in _list_tagged(d)]
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        read = list(pool.map(lambda w: _check(storage, w[0], w[1], slices, beside), wanted))
    bad = {f.key: r for (f, _), r in zip(wanted, read, strict=True) if isinstance(r, ForeignSchema)}
    if bad and not quarantine:
        raise next(iter(bad.values()))
    good = {r.key: r for r in read if isinstance(r, RawFile)}
    kept = [leave_out(d, bad) for d in days]
    checked = [DayFiles(d.day, tuple(good[f.key] for f in d.predictions), tuple(good[f.key] for f in d.labels), d.expired)
               for d in kept]
    return checked, {key: str(error) for key, error in bad.items()}


def leave_out(day: DayFiles, keys: Container[str]) -> DayFiles:
    """The day without some of its files."""
    there, judged = (tuple(f for f in t if f.key not in keys) for t in (day.predictions, day.labels))
    return DayFiles(day.day, there, judged, day.expired)


def find_unreadable(storage: Storage, days: Sequence[DayFiles]) -> dict[str, str]:
    """Files whose data cannot be read through, although their footers can: key -> reason. Reads everything."""
    every = [f for d in days for f in d.predictions + d.labels]
    bad = {}
    with progress("look for files that cannot be read", len(every), "files") as shown:
        for file in every:
            if reason := _find_damage(storage, file):
                bad[file.key] = reason
            shown.advance()
    return bad


def _find_damage(storage: Storage, file: RawFile) -> str | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    system, base = storage.arrow()
    try:
        with pq.ParquetFile(f"{base}/{file.key}", filesystem=system) as parquet:
            for batch in parquet.iter_batches(columns=list(file.columns)):
                batch.validate(full=True)
                _check_times(batch)
    except (OSError, pa.ArrowException) as error:
        return (f"{storage.root}: {file.key}: expected a Parquet file that can be read through, got {error}. "
                f"Restore it, or go on without it by --quarantine.")
    return None


def _check_times(batch: "pa.RecordBatch") -> None:
    """Raises ArrowInvalid for a time that 64 bits of microseconds do not hold."""
    import pyarrow as pa

    for column in batch.columns:
        if pa.types.is_timestamp(column.type) and column.type.unit == "ms":
            column.cast(pa.timestamp("us", column.type.tz))


def list_models_in(storage: Storage, days: Sequence[str]) -> list[str]:
    """The models that have prediction rows on the newest of these days that has any readable file."""
    for day in reversed(days):
        found: set[str] = set()
        for entry in list_rows(storage, layout.PREDICTIONS, day):
            try:
                column = read_columns(storage, entry.key, ["model"], required=["model"])["model"]
            except ForeignSchema:
                continue  # is named when the day is counted
            found |= {m for m in column.unique().to_pylist() if m}
        if found:
            return sorted(map(str, found))
    return []


def _list_tagged(day: DayFiles) -> list[tuple[RawFile, TableSchema]]:
    return [(f, PREDICTION) for f in day.predictions] + [(f, LABEL) for f in day.labels]


def _check(storage: Storage, file: RawFile, record: TableSchema, slices: Sequence[Slice],
           beside: Sequence[str]) -> RawFile | ForeignSchema:
    import pyarrow.parquet as pq

    where = f"{storage.root}: {file.key}"
    system, base = storage.arrow()
    try:
        with pq.ParquetFile(f"{base}/{file.key}", filesystem=system) as parquet:
            metadata, schema = parquet.metadata, parquet.schema_arrow
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        return ForeignSchema(f"{where}: expected a Parquet file, got {file.size} bytes that are none ({error}). "
                             f"Remove it, or go on without it by --quarantine.")
    try:
        columns = _columns(where, schema, record, list_used_columns(record, slices))
        if record is PREDICTION:
            columns |= _comparable(schema, [*list_tie_columns(slices), *beside])
    except ForeignSchema as error:
        return error
    clashing = any(n not in record.names and n.lower() in record.names for n in schema.names)
    return RawFile(file.key, file.size, file.etag, metadata.num_rows, metadata.num_row_groups, columns, clashing,
                   _count_values(metadata, columns), file.made_of)


def _count_values(metadata: "pq.FileMetaData", columns: Container[str]) -> int:
    """Counts the values that the columns hold."""
    used = [n for n in range(metadata.num_columns) if metadata.schema.column(n).path.partition(".")[0] in columns]
    return sum(metadata.row_group(g).column(n).num_values for g in range(metadata.num_row_groups) for n in used)


def _columns(where: str, schema: "pa.Schema", record: TableSchema, used: Sequence[str]) -> dict[str, "pa.DataType"]:
    """Returns the stored types of the used columns; ForeignSchema when one is missing or is not taken."""
    columns = {}
    for field in (record.field(n) for n in used):
        found = schema.get_all_field_indices(field.name)
        if len(found) > 1:
            raise _foreign(where, field, f"{len(found)} columns of that name")
        if found:
            columns[field.name] = schema.field(found[0]).type
            if not is_taken(field, columns[field.name]):
                raise _foreign(where, field, str(columns[field.name]), _advise(field, columns[field.name]))
        elif field.required:
            raise _foreign(where, field, f"no such column among {', '.join(schema.names)}")
    return columns


def _comparable(schema: "pa.Schema", names: Sequence[str]) -> dict[str, "pa.DataType"]:
    """Returns the stored types of those of the columns that are taken as they are."""
    found = {n: schema.get_all_field_indices(n) for n in names}
    types = {n: schema.field(at[0]).type for n, at in found.items() if len(at) == 1}
    return {n: t for n, t in types.items() if is_taken(PREDICTION.field(n), t)}


def _advise(field: Field, found: "pa.DataType") -> str:
    """Says how to correct the mistake behind a stored type, where it is a common one."""
    import pyarrow.types as t

    if field.type == "timestamp":
        return "Write it as a timestamp in UTC. "
    if field.type != "string":
        return ""
    if t.is_integer(found) or t.is_floating(found) or t.is_decimal(found):
        return "Write it as text, as the other files spell it: a number loses leading zeros, and 7 becomes 7.0. "
    return "Write one text a row. " if _is_list(found) or t.is_struct(found) else ""


def _foreign(where: str, field: Field, came: str, advice: str = "") -> ForeignSchema:
    return ForeignSchema(f"{where}: column {field.name!r}: expected {field.type}, got {came}. {advice}"
                         f"Write the file again in the schema of the documentation, or go on without it by --quarantine.")


def is_taken(field: Field, found: "pa.DataType") -> bool:
    """Says whether a column stored as this pyarrow type is read for the field (docs/design.md#label-rows)."""
    import pyarrow.types as t

    if t.is_null(found):
        return True
    if field.type == "string":
        return _is_text(found) or (field.name == "model_version" and _is_whole(found))
    if field.type == "list<string>":
        return _is_list(found) and _is_text(found.value_type)
    if field.type == "list<float>":
        return _is_list(found) and (t.is_float32(found.value_type) or t.is_float64(found.value_type))
    if field.type == "map<string,string>":
        return t.is_map(found) and _is_text(found.key_type) and _is_text(found.item_type)
    if field.type == "timestamp":
        return t.is_timestamp(found) and found.unit in ("ms", "us", "ns") and found.tz in (None, *UTC)
    exact = {"double": (t.is_float64, t.is_float32), "float": (t.is_float32,), "int32": (t.is_int32,),
             "int64": (t.is_int64,), "bool": (t.is_boolean,)}
    return any(test(found) for test in exact[field.type])


UTC = ("UTC", "utc", "Etc/UTC", "+00:00", "Z")


def _is_list(found: "pa.DataType") -> bool:
    import pyarrow.types as t

    return t.is_list(found) or t.is_large_list(found)


def _is_text(found: "pa.DataType") -> bool:
    import pyarrow.types as t

    if t.is_dictionary(found):
        return _is_text(found.value_type)
    return t.is_string(found) or t.is_large_string(found)


def _is_whole(found: "pa.DataType") -> bool:
    import pyarrow.types as t

    return t.is_integer(found) or (t.is_dictionary(found) and t.is_integer(found.value_type))
