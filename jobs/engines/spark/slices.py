"""Declared slices of a part of a day: the value of each prediction as text, and the values that a day keeps."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.clock import US_PER_HOUR
from contract.counts import MOST_SLICE_VALUES, OTHER, TABLES, canonical
from jobs.engines.arrays import NULL, join_chunks
from jobs.engines.question import BANDS
from jobs.engines.spark.arrays import numbers, places_in_lists, present, ranks
from jobs.engines.spark.rows import IDS, Rows

NO_SIZE = np.iinfo(np.int64).min


def slice_values(rows: Rows, expression: str) -> pa.Array:
    """Returns the text of a slice for each row; null where the row has none."""
    if expression.startswith("attributes."):
        return _attribute(join_chunks(rows.column("attributes")), expression.removeprefix("attributes."))
    if expression == "hour":
        hours = numbers(rows.column("predicted_at"), 0) // US_PER_HOUR % 24
        return pa.array([f"{n:02}" for n in range(24)]).take(pa.array(hours))
    if expression == "image_size":
        size = np.maximum(*(numbers(rows.column(name).cast(pa.int64()), NO_SIZE) for name in ("width", "height")))
        return _name_bands(expression, size, size == NO_SIZE)
    if expression == "latency":
        latency = numbers(rows.column("latency_ms"), np.nan)
        return _name_bands(expression, latency, np.isnan(latency))
    return rows.ids(expression) if expression in IDS else join_chunks(rows.column(expression))


def _name_bands(name: str, value: np.ndarray, missing: np.ndarray) -> pa.StringArray:
    """Returns the text of the band that each value falls in; null where it is missing."""
    edges = BANDS[name]
    texts = [f"<{edges[0]}", *(f"{a}-{b}" for a, b in zip(edges, edges[1:], strict=False)), f">={edges[-1]}"]
    return pa.array(texts).take(pa.array(np.searchsorted(edges, value, side="right"), mask=missing))


def _attribute(entries: pa.ListArray, name: str) -> pa.StringArray:
    """Returns the value of an entry; of several with one key the first by value."""
    _, row = places_in_lists(numbers(entries.value_lengths(), 0))
    keys, items = entries.flatten().flatten()
    hit = np.flatnonzero(numbers(pc.equal(keys, name), False))
    hit = hit[np.lexsort((ranks(items.take(pa.array(hit))), row[hit]))]
    found, first = np.unique(row[hit], return_index=True)
    place = np.full(len(entries), NULL)
    place[found] = hit[first]
    return items.take(pa.array(place, mask=place == NULL))


def keep_top_values(table: pa.Table) -> pa.Table:
    """Keeps the 200 most frequent values of each of a day's slices (ties: smaller bytes), the rest as "other"."""
    parts = [_keep_top_values(table.filter(pc.equal(table["slice"], name))) for name in table["slice"].unique()]
    return canonical("slices", pa.concat_tables([TABLES["slices"].arrow().empty_table(), *parts]))


def _keep_top_values(table: pa.Table) -> pa.Table:
    totals = table.filter(present(table["value"])).group_by("value").aggregate([("n", "sum")])
    kept = totals.sort_by([("n_sum", "descending"), ("value", "ascending")])["value"].slice(0, MOST_SLICE_VALUES)
    value = table["value"]
    shown = pc.if_else(pc.or_(pc.is_null(value), pc.is_in(value, kept)), value, OTHER)
    return table.set_column(table.schema.get_field_index("value"), table.schema.field("value"), shown)
