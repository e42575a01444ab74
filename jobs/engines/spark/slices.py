"""Declared slices of a piece: the value of each prediction as text, and the values that a day keeps."""

from typing import Any

import numpy as np

from contract.counts import MOST_SLICE_VALUES, OTHER, TABLES, canonical
from jobs.engines.question import BANDS
from jobs.engines.spark.arrays import NULL, numbers, places, present, ranks, whole
from jobs.engines.spark.rows import IDS, Rows

US_PER_HOUR = 3_600_000_000
NONE = np.iinfo(np.int64).min


def values(rows: Rows, expression: str) -> Any:
    """The text of a slice for each row, as an Arrow array; null where the row has none."""
    import pyarrow as pa

    if expression.startswith("attributes."):
        return _attribute(whole(rows.column("attributes")), expression.removeprefix("attributes."))
    if expression == "hour":
        hours = numbers(rows.column("predicted_at"), 0) // US_PER_HOUR % 24
        return pa.array([f"{n:02}" for n in range(24)]).take(pa.array(hours))
    if expression == "image_size":
        size = np.maximum(*(numbers(rows.column(name).cast(pa.int64()), NONE) for name in ("width", "height")))
        return _band(expression, size, size == NONE)
    if expression == "latency":
        latency = numbers(rows.column("latency_ms"), np.nan)
        return _band(expression, latency, np.isnan(latency))
    return rows.ids(expression) if expression in IDS else whole(rows.column(expression))


def _band(name: str, value: Any, missing: Any) -> Any:
    import pyarrow as pa

    edges = BANDS[name]
    texts = [f"<{edges[0]}", *(f"{a}-{b}" for a, b in zip(edges, edges[1:], strict=False)), f">={edges[-1]}"]
    return pa.array(texts).take(pa.array(np.searchsorted(edges, value, side="right"), mask=missing))


def _attribute(entries: Any, name: str) -> Any:
    """The value of an entry; of several with one key the first by value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    _, row = places(numbers(entries.value_lengths(), 0))
    keys, items = entries.flatten().flatten()
    hit = np.flatnonzero(numbers(pc.equal(keys, name), False))
    hit = hit[np.lexsort((ranks(items.take(pa.array(hit))), row[hit]))]
    found, first = np.unique(row[hit], return_index=True)
    place = np.full(len(entries), NULL)
    place[found] = hit[first]
    return items.take(pa.array(place, mask=place == NULL))


def top_values(table: Any) -> Any:
    """A day's slices with the 200 most frequent values of each (ties: smaller bytes), the rest in "other"."""
    import pyarrow as pa

    parts = [_top_values(table.filter(pa.compute.equal(table["slice"], name))) for name in table["slice"].unique()]
    return canonical("slices", pa.concat_tables([TABLES["slices"].arrow().empty_table(), *parts]))


def _top_values(table: Any) -> Any:
    import pyarrow.compute as pc

    totals = table.filter(present(table["value"])).group_by("value").aggregate([("n", "sum")])
    kept = totals.sort_by([("n_sum", "descending"), ("value", "ascending")])["value"].slice(0, MOST_SLICE_VALUES)
    value = table["value"]
    shown = pc.if_else(pc.or_(pc.is_null(value), pc.is_in(value, kept)), value, OTHER)
    return table.set_column(table.schema.get_field_index("value"), table.schema.field("value"), shown)
