"""The predictions of a root that rows of a file belong to: their days, and the classes that were predicted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from contract import ids, layout
from contract.days import prediction_days
from contract.errors import ForeignSchema
from contract.rows.listing import list_rows
from contract.rows.reading import Row, read_columns, rows_where
from contract.stores.store import Storage

if TYPE_CHECKING:
    import pyarrow as pa


class Known:
    """The predictions of a root, looked up when they are needed. `table` is that of the file that is read."""

    def __init__(self, storage: Storage, table: str) -> None:
        self.storage, self.table = storage, table

    @cached_property
    def days(self) -> list[str]:
        """The prediction days of the root, newest first."""
        return prediction_days(self.storage)[::-1]

    def find_ids(self, wanted: Iterable[str]) -> dict[str, set[str]]:
        """Maps those of the ids that were predicted to their days. ForeignSchema: a file that cannot be read."""
        left = set(wanted)
        found: dict[str, set[str]] = {}
        for day in self.days if left else ():
            mine = {i for i in left if ids.may_lie_in(day, i)}
            rows = rows_where(self.storage, layout.PREDICTIONS, day, "prediction_id", mine, ("prediction_id",),
                              unreadable=None) if mine else ()
            for _, row in rows:
                found.setdefault(str(row["prediction_id"]), set()).add(day)
        return found

    def list_classes(self, prediction_ids: Iterable[str]) -> frozenset[str]:
        """The classes that were predicted on the days of these predictions; of a file of predictions: on the newest day."""
        if self.table == "predictions":
            days = set(self.days[:1])
        else:
            days = {day for of_id in self.find_ids(prediction_ids).values() for day in of_id}
        return frozenset(self.classes_of(days))

    def classes_of(self, days: Iterable[str], models: frozenset[str] | None = None) -> Iterator[str]:
        """Yields each class that was predicted, or stood in `top_labels`, on one of the days; some more than once.

        `models`: by these alone.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        for entry in (e for day in sorted(days) for e in list_rows(self.storage, layout.PREDICTIONS, day)):
            try:
                table = read_columns(self.storage, entry.key, ["model", "predicted_label", "top_labels"])
                if models is not None:
                    table = table.filter(pc.is_in(table["model"].cast(pa.string()), pa.array(sorted(models), pa.string())))
                for name in set(table.column_names) - {"model"}:
                    yield from _list_texts(table[name])
            except (ForeignSchema, KeyError, pa.ArrowException):
                continue  # is named when the day is counted

    def models_of(self, by_day: Mapping[str, Sequence[Row]]) -> frozenset[str]:
        """The models whose predictions these rows of labels are of."""
        return frozenset(str(found["model"]) for day, rows in by_day.items() for _, found in rows_where(
            self.storage, layout.PREDICTIONS, day, "prediction_id", {row["prediction_id"] for row in rows}, ("model",),
            unreadable=[]))


def _list_texts(values: "pa.ChunkedArray") -> list[str]:
    """The different texts of a column, of lists too."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        values = pc.list_flatten(values)
    return [text for text in pc.unique(values.cast(pa.string())).to_pylist() if text is not None]
