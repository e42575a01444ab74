"""The predictions of a day as the review queue sees them: read from the raw rows, only the columns needed.

A file never changes, so what was drawn from it is remembered; a page that asks again reads only new files.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from contract import ids, layout
from contract.confidence import NO_BIN, confidence_bins
from contract.errors import ForeignSchema
from contract.samples import Cell, Sample, drawn, uniform
from contract.stores.store import Entry, Storage

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


def files(storage: Storage, day: str) -> list[Entry]:
    """The Parquet files of a day's predictions."""
    found = storage.list(layout.day_folder(layout.PREDICTIONS, day))
    return [e for e in found if e.key.endswith(".parquet") and layout.holds_rows(e.key)]


def cells(storage: Storage, model: str, day: str) -> dict[Cell, int]:
    """How many live predictions of the model lie in each cell; a prediction in two files counts once."""
    seen = {i.prediction_id: Cell(i.predicted, i.bin) for e in files(storage, day)
            for i in items_of(storage, e.key, model, day)}
    return dict(Counter(seen.values()))


def items_of(storage: Storage, key: str, model: str, day: str) -> list[Item]:
    """The live predictions of one model in one file, without rows that belong to another day."""
    import pyarrow.compute as pc

    table = _read(storage, key)
    mine = pc.and_(pc.equal(table["model"], model), pc.equal(pc.fill_null(table["role"], "live"), "live"))
    table = table.filter(pc.fill_null(mine, False))
    columns = [table[c].to_pylist() for c in ("prediction_id", "predicted_label")]
    bins = _bins(table["confidence"])
    images = [table[c].to_pylist() for c in ("image_sha256", "image_uri")]
    rows = (Item(*row) for row in zip(*columns, bins, *images, strict=True))
    return [r for r in rows if r.prediction_id and r.predicted and ids.may_lie_in(day, r.prediction_id)]


def _read(storage: Storage, key: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    filesystem, base = storage.arrow()
    try:
        # The file alone: its folder's name would otherwise become a column of its own.
        file = pq.ParquetFile(f"{base}/{key}", filesystem=filesystem)
        table = file.read(columns=[c for c in COLUMNS if c in file.schema_arrow.names])
    except pa.ArrowInvalid as error:
        raise ForeignSchema(f"{storage.uri(key)}: expected a Parquet file of predictions, got: {error}.") from error
    missing = [c for c in REQUIRED if c not in table.column_names]
    if missing:
        raise ForeignSchema(f"{storage.uri(key)}: expected the columns {', '.join(REQUIRED)}, {missing[0]} is missing.")
    types = {"confidence": pa.float64()}
    return pa.table({c: table[c].cast(types.get(c, pa.string())) if c in table.column_names
                     else pa.nulls(len(table), types.get(c, pa.string())) for c in COLUMNS})


def _bins(confidence: Any) -> list[int | None]:
    """The confidence bin of each value of an Arrow column, None without one."""
    return [None if k == NO_BIN else k for k in confidence_bins(confidence.to_numpy(zero_copy_only=False)).tolist()]


class DrawnItems:
    """The drawn items of one sample; each file is read once. May be used from several threads."""

    def __init__(self, storage: Storage, sample: Sample) -> None:
        self.storage, self.sample = storage, sample
        self._by_file: dict[tuple[str, str], list[Item]] = {}
        self._all: tuple[int, dict[str, Item]] = (0, {})

    def all(self) -> dict[str, Item]:
        """Drawn items by prediction id, in the order of asking: that of another hash, so no cell is asked first."""
        for entry in files(self.storage, self.sample.day):
            if (entry.key, entry.etag) not in self._by_file:
                self._by_file[entry.key, entry.etag] = self._drawn_from(entry.key)
        known = list(self._by_file.values())
        if self._all[0] != len(known):
            found = {item.prediction_id: item for items in reversed(known) for item in items}
            order = sorted(found, key=lambda i: uniform(f"order:{self.sample.salt}", i))
            self._all = (len(known), {i: found[i] for i in order})
        return self._all[1]

    def _drawn_from(self, key: str) -> list[Item]:
        rows = items_of(self.storage, key, self.sample.model, self.sample.day)
        chosen = drawn(self.sample, ((r.prediction_id, r.predicted, r.bin) for r in rows))
        return [rows[i]._replace(p=p) for i, p in chosen]
