"""The predictions of a day as the review queue sees them: read from the raw rows, only the columns needed.

A file never changes, so what was drawn from it is remembered; a page that asks again reads only new files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from contract import ids, layout
from contract.confidence import NO_BIN, confidence_bins
from contract.errors import ForeignSchema, pass_over
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.samples import KINDS, Cell, Sample, draw_rows, uniform
from contract.samples import read as read_sample
from contract.stores.store import Entry, Storage

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("prediction_id", "model", "role", "predicted_label", "confidence", "image_sha256", "image_uri")
REQUIRED = ("prediction_id", "model", "predicted_label")


class Item(NamedTuple):
    """One prediction that a person may be asked about, with its probability."""

    prediction_id: str
    predicted: str
    bin: int | None
    image_sha256: str | None
    image_uri: str | None
    p: float = 1.0


def list_files(storage: Storage, day: str) -> list[Entry]:
    """Lists the Parquet files of a day's predictions."""
    return [e for e in list_rows(storage, layout.PREDICTIONS, day) if e.key.endswith(".parquet")]


def count_cells(storage: Storage, model: str, day: str, role: str = "live") -> dict[Cell, int]:
    """Counts the model's predictions of a role in each cell; a prediction in two files counts once."""
    seen = {i.prediction_id: Cell(i.predicted, i.bin) for e in list_files(storage, day)
            for i in read_items_or_none(storage, e.key, model, day, role)}
    return dict(Counter(seen.values()))


def read_items(storage: Storage, key: str, model: str, day: str, role: str = "live") -> list[Item]:
    """Reads the predictions of one model and role in one file, without rows that belong to another day.

    ForeignSchema.
    """
    import pyarrow.compute as pc

    table = _read_columns(storage, key)
    mine = pc.and_(pc.equal(table["model"], model), pc.equal(pc.fill_null(pc.ascii_lower(table["role"]), "live"), role))
    table = table.filter(pc.fill_null(mine, False))
    columns = [table[c].to_pylist() for c in ("prediction_id", "predicted_label")]
    bins = _bin_confidences(table["confidence"])
    hashes = [text if ids.is_sha256(text) else None for text in table["image_sha256"].to_pylist()]
    rows = (Item(*row) for row in zip(*columns, bins, hashes, table["image_uri"].to_pylist(), strict=True))
    return [r for r in rows if r.prediction_id and r.predicted and ids.may_lie_in(day, r.prediction_id)]


def read_items_or_none(storage: Storage, key: str, model: str, day: str, role: str = "live") -> list[Item]:
    """The same; a file that cannot be read is named, and has none."""
    try:
        return read_items(storage, key, model, day, role)
    except ForeignSchema as error:
        pass_over(error)
        return []


def _read_columns(storage: Storage, key: str) -> pa.Table:
    """Reads COLUMNS of a file, null where it has no such column.

    ForeignSchema when it is no file of predictions.
    """
    import pyarrow as pa

    table = read_columns(storage, key, COLUMNS, REQUIRED)
    kinds = {c: pa.float64() if c == "confidence" else pa.string() for c in COLUMNS}
    try:
        return pa.table({c: table[c].cast(kind) if c in table.column_names else pa.nulls(len(table), kind)
                         for c, kind in kinds.items()})
    except pa.ArrowException as error:
        raise ForeignSchema(f"{storage.uri(key)}: expected texts and, as confidence, numbers, got: {error}. Write the file "
                            f"again in the schema of the documentation.") from error


def _bin_confidences(confidence: pa.ChunkedArray) -> list[int | None]:
    """Finds the confidence bin of each value of an Arrow column, None without one."""
    return [None if k == NO_BIN else k for k in confidence_bins(confidence.to_numpy(zero_copy_only=False)).tolist()]


class DrawnItems:
    """The drawn items of one sample; each file is read once. May be used from several threads."""

    def __init__(self, storage: Storage, sample: Sample) -> None:
        self.storage, self.sample = storage, sample
        self.predicted: frozenset[str] = frozenset()  # every label that the model gave, of the files read so far
        self._by_file: dict[tuple[str, str], list[Item]] = {}
        self._ordered: tuple[int, dict[str, Item]] = (0, {})

    def read_all(self) -> dict[str, Item]:
        """Returns the drawn items by prediction id, in the order of asking: by another hash, so that no cell comes first."""
        for entry in list_files(self.storage, self.sample.day):
            if (entry.key, entry.etag) not in self._by_file:
                self._by_file[entry.key, entry.etag] = self._draw_from(entry.key)
        known = list(self._by_file.values())
        if self._ordered[0] != len(known):
            drawn_items = {item.prediction_id: item for items in reversed(known) for item in items}
            order = sorted(drawn_items, key=lambda i: uniform(f"order:{self.sample.salt}", i))
            self._ordered = (len(known), {i: drawn_items[i] for i in order})
        return self._ordered[1]

    def _draw_from(self, key: str) -> list[Item]:
        rows = read_items_or_none(self.storage, key, self.sample.model, self.sample.day, self.sample.role)
        self.predicted |= {row.predicted for row in rows}
        chosen = {i: p for i, p in draw_rows(self.sample, _make_keys(rows))}
        for other in self._find_others():
            for i, _ in draw_rows(other, _make_keys(rows)):
                chosen.pop(i, None)
        return [rows[i]._replace(p=p) for i, p in chosen.items()]

    def _find_others(self) -> Iterator[Sample]:
        """Yields, for a sample of what thresholds leave over, the day's other samples: what they ask about stays theirs."""
        if self.sample.below is not None:
            at = self.sample.model, self.sample.day
            yield from filter(None, (read_sample(self.storage, *at, kind, self.sample.role) for kind in KINDS))


def _make_keys(rows: list[Item]) -> Iterator[tuple[str, str, int | None]]:
    return ((r.prediction_id, r.predicted, r.bin) for r in rows)
