"""Which models there are: those that were published, and those that prediction rows name (logs of other services)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from contract import layout
from contract.days import prediction_days
from contract.errors import ForeignSchema, NoSuchModel
from contract.registry import models
from contract.rows.listing import list_rows
from contract.rows.reading import open_parquet
from contract.stores.store import Storage

if TYPE_CHECKING:
    import pyarrow.parquet as pq

COLUMN = "model"
READS_AT_ONCE = 16


def require_model(storage: Storage, model: str, days: Sequence[str] = ()) -> None:
    """Raises NoSuchModel when other models are known under the root, and not this one: its name is a typing mistake.

    Rows are looked at only for a model that was never published: those of `days` first, then those of all others, newest
    first, by the statistics in their files where these tell. A root without any model tells nothing, and neither does a
    file that cannot be read: whoever reads it for its rows says so.
    """
    layout.encode_name(model)
    published = models(storage)
    if model in published:
        return
    found = set(published)
    order = dict.fromkeys([*days, *reversed(prediction_days(storage))])
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        for day in order:
            for names in pool.map(lambda entry: find_names(storage, entry.key), list_rows(storage, layout.PREDICTIONS, day)):
                if names is None or model in names:
                    return
                found |= names
    if found:
        near = difflib.get_close_matches(model, sorted(found), 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise NoSuchModel(f"{storage.root}: there is no model {model!r}: none of that name was published, and no prediction row "
                          f"names it.{hint} Known are: {', '.join(sorted(found))}.")


def find_names(storage: Storage, key: str) -> set[str] | None:
    """Finds the models that the rows of a file name; None for a file that cannot be read."""
    try:
        with open_parquet(storage, key) as file:
            return _find_names(file) if COLUMN in file.schema_arrow.names else set()
    except ForeignSchema:
        return None


def _find_names(file: pq.ParquetFile) -> set[str]:
    import pyarrow as pa

    place = next((n for n in range(file.metadata.num_columns) if file.metadata.schema.column(n).path == COLUMN), None)
    found, unclear = set(), []
    for group in range(file.num_row_groups):
        only = _find_only_value(file.metadata.row_group(group).column(place)) if place is not None else None
        if only is None:
            unclear.append(group)
        else:
            found.add(only)
    if unclear:
        values = file.read_row_groups(unclear, columns=[COLUMN])[COLUMN].cast(pa.string()).unique().to_pylist()
        found |= {value for value in values if value}
    return found


def _find_only_value(column: Any) -> str | None:
    """The text that all values of a column chunk are, by its statistics; None where they do not tell."""
    statistics = column.statistics
    if statistics is None or not statistics.has_min_max or statistics.min != statistics.max:
        return None
    return statistics.min if isinstance(statistics.min, str) and statistics.min else None
