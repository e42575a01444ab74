"""The predictions of one day as `/pictures` searches them: distinct rows by rule 2, few columns, codes for words.

Made once from the raw files, which never change, and kept beside the service (kept_days.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract import clock, ids
from contract.counts import ROLES, UNNAMED
from contract.errors import ForeignSchema
from contract.records import PREDICTION, arrow_type
from contract.rows.listing import DayListing
from contract.rows.reading import read_columns
from contract.stores.store import Storage

if TYPE_CHECKING:
    import pyarrow as pa

READ = ("prediction_id", "predicted_at", "model", "model_version", "predicted_label", "confidence", "role", "image_sha256",
        "image_uri", "attributes")
WORDS = ("model", "model_version", "predicted_label")
UUID = f"^{ids.UUID7.pattern}$"
COLUMNS = (*WORDS, "confidence", "prediction_id", "at", "image_sha256", "stored", "attributes")


def make_day_table(storage: Storage, listing: DayListing, roles: dict[str, str]) -> tuple[pa.Table, list[str]]:
    """Reads the live predictions of all models on a day: each id once, ascending by (at, id).

    `roles` maps other words to roles (`evaluate.roles`). Returns the table (COLUMNS; `at` is int64 microseconds since 1970) and
    what could not be read, as texts.
    """
    import pyarrow as pa

    tables, unreadable = [], []
    for entry in listing.predictions:
        try:
            tables.append(_read_file(storage, entry.key))
        except ForeignSchema as error:
            unreadable.append(f"{entry.key} ({error})")
    found = pa.concat_tables(tables) if tables else _make_schema().empty_table()
    return _compact(_keep_distinct(_keep_valid(found, listing.day, roles))), unreadable


def _make_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, arrow_type(PREDICTION.field(name).type)) for name in READ])


def _read_file(storage: Storage, key: str) -> pa.Table:
    import pyarrow as pa

    table = read_columns(storage, key, READ, PREDICTION.required)
    try:
        columns = [table[f.name].cast(f.type, safe=False) if f.name in table.column_names else pa.nulls(len(table), f.type)
                   for f in _make_schema()]
    except pa.ArrowException as error:
        raise ForeignSchema(f"{storage.uri(key)}: expected the columns of predictions, got: {error}.") from error
    return pa.table(columns, schema=_make_schema())


def _keep_valid(table: pa.Table, day: str, roles: dict[str, str]) -> pa.Table:
    """Keeps what rule 2 takes for a prediction of this day, of the role live; whether it is known by now, a search asks."""
    import pyarrow as pa
    import pyarrow.compute as pc

    role = pc.ascii_lower(pc.fill_null(table["role"], "live"))
    live = pa.array(sorted({"live", *(word.lower() for word, meant in roles.items() if meant == "live")} - set(ROLES[1:])))
    keep = [pc.is_in(role, live), pc.is_valid(table["predicted_at"]), pc.not_equal(table["predicted_label"], UNNAMED)]
    keep += [pc.not_equal(table[name], "") for name in ("prediction_id", *WORDS)]
    mask = keep[0]
    for other in keep[1:]:
        mask = pc.and_(mask, pc.fill_null(other, False))
    return _keep_of_day(table.filter(mask), day)


def _keep_of_day(table: pa.Table, day: str) -> pa.Table:
    """Leaves out UUIDv7 of other days; what lies between the day's bounds by its bytes, or is no UUID, need not be parsed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = clock.to_us(clock.parse_moment(f"{day}T00:00:00Z")) // 1000
    low, high = (f"{ms.to_bytes(6, 'big').hex()[:8]}-{ms.to_bytes(6, 'big').hex()[8:]}"
                 for ms in (first, first + clock.MS_PER_DAY))
    found = table["prediction_id"]
    elsewhere = pc.and_(pc.or_(pc.less(found, low), pc.greater_equal(found, high)), pc.match_substring_regex(found, UUID))
    if not pc.any(elsewhere).as_py():
        return table
    texts = zip(elsewhere.to_pylist(), found.to_pylist(), strict=True)
    return table.filter(pa.array([not far or ids.may_lie_in(day, text) for far, text in texts]))


def _keep_distinct(table: pa.Table) -> pa.Table:
    """Keeps the first row of each id by (predicted_at, model_version, predicted_label, confidence), and sorts by (at, id)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.count_distinct(table["prediction_id"]).as_py() < len(table):
        # NaN comes last: beyond every number.
        number = pc.if_else(pc.is_nan(table["confidence"]), float("inf"), table["confidence"])
        order = pa.table({"at": table["predicted_at"], "version": table["model_version"], "label": table["predicted_label"],
                          "confidence": pc.if_else(pc.is_null(table["confidence"]), float("-inf"), number)})
        table = table.take(pc.sort_indices(order, [(name, "ascending") for name in order.column_names]))
        numbered = pa.table({"id": table["prediction_id"], "n": pa.array(range(len(table)))})
        table = table.take(numbered.group_by("id", use_threads=False).aggregate([("n", "min")])["n_min"])
    return table.take(pc.sort_indices(table, [("predicted_at", "ascending"), ("prediction_id", "ascending")]))


def _compact(table: pa.Table) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    made = {name: table[name] for name in COLUMNS if name in table.column_names}
    made |= {name: table[name].dictionary_encode().unify_dictionaries() for name in WORDS}
    made |= {"at": table["predicted_at"].cast(pa.int64()), "stored": pc.is_valid(table["image_uri"])}
    return pa.table({name: made[name] for name in COLUMNS}).combine_chunks()
