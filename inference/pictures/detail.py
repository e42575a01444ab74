"""Everything that is known of one prediction: its answer, what people said and when, where its picture was used."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from contract import clock, layout
from contract.counts import UNNAMED, rank_role
from contract.documents import manifest
from contract.errors import DamagedDocument, Mismatch, NoSuchModel, NoSuchVersion, NotFound, pass_over
from contract.records import LABEL, PREDICTION
from contract.registry import Registry
from contract.rows.reading import rows_where
from contract.stores.store import Storage

if TYPE_CHECKING:
    import pyarrow as pa

DATASETS = 12  # the newest, which are looked into for a picture


class Details:
    """Reads single rows of one root. Threads may share it."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._indexes: OrderedDict[str, pa.Table] = OrderedDict()

    def read_row(self, model: str, day: str, prediction_id: str) -> dict[str, Any] | None:
        """Reads the row that counts (rule 2): of several with one id the first; None when the model has none.

        What other versions said of the same picture, such as a shadow, comes after what was answered.
        """
        rows = [row for _, row in rows_where(self.storage, layout.PREDICTIONS, day, "prediction_id", [prediction_id],
                                             PREDICTION.names, unreadable=[])]
        whole = [row for row in rows if row["predicted_at"] and row["model_version"] and row["predicted_label"]]
        first = min(whole, key=_order, default=None)
        return first if first and first["model"] == model else None

    def read_labels(self, day: str, prediction_id: str) -> list[dict[str, Any]]:
        """Reads all label rows of a prediction, also those without a say, by when they were given."""
        rows = (row for _, row in rows_where(self.storage, layout.LABELS, day, "prediction_id", [prediction_id], LABEL.names,
                                             unreadable=[]))
        return sorted((r for r in rows if r["labeled_at"]), key=lambda r: (r["labeled_at"], r["label_id"] or ""))

    def describe_lineage(self, model: str, row: dict[str, Any]) -> dict[str, Any]:
        """Says what answered, and which datasets hold the picture: `card` (or None) and `datasets` [(id, split)]."""
        try:
            card = Registry(self.storage, model).card(row["model_version"])
        except (NotFound, NoSuchVersion, NoSuchModel, Mismatch, DamagedDocument):  # logs of other services have none
            card = None
        return {"card": card, "datasets": self._find_datasets(model, row["image_sha256"])}

    def _find_datasets(self, model: str, sha256: str | None) -> list[tuple[str, str]]:
        import pyarrow.compute as pc

        found = []
        for made in self._list_datasets(model) if sha256 else ():
            try:
                index = self._read_index(made)
            except (NotFound, Mismatch) as error:
                pass_over(error)
                continue
            at = pc.index(index["image_sha256"], sha256).as_py()
            if at >= 0:
                found.append((made.dataset, index["split"][at].as_py()))
        return found

    def _list_datasets(self, model: str) -> list[manifest.Manifest]:
        """Reads the manifests of the model's newest datasets, the newest first; what cannot be read is passed over."""
        made = []
        for name in self.storage.folders(layout.datasets()):
            try:
                made.append(manifest.load(self.storage, name))
            except (NotFound, DamagedDocument) as error:
                pass_over(error)
        mine = (one for one in made if one.model == model)
        return sorted(mine, key=lambda one: one.created_at, reverse=True)[:DATASETS]

    def _read_index(self, made: manifest.Manifest) -> pa.Table:
        if made.dataset not in self._indexes:
            self._indexes[made.dataset] = manifest.read_index(self.storage, made, ["image_sha256", "split"])
            while len(self._indexes) > DATASETS:
                self._indexes.popitem(last=False)
        return self._indexes[made.dataset]


def list_history(row: dict[str, Any], labels: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Lists what happened to a row, in order: (moment, what, by whom or '')."""
    events = [(row["predicted_at"], f"predicted: {row['predicted_label']}", row["client"] or "")]
    if row["recorded_at"]:
        events.append((row["recorded_at"], "recorded in the log", ""))
    for label in labels:
        events.append((label["labeled_at"], _say(label), label["labeler"] or ""))
    return [(clock.iso(at), what, who) for at, what, who in sorted(events, key=lambda event: event[0])]


def _say(label: dict[str, Any]) -> str:
    if label["withdraws"]:
        return "withdrew their answer"
    what = "called wrong" if label["label"] == UNNAMED else f"labelled: {label['label']}"
    how = [label["origin"] or "import"]
    if label["saw_prediction"] is not None:
        how.append("had seen the answer" if label["saw_prediction"] else "blind")
    if label["strategy"]:
        how.append(label["strategy"])
    return f"{what} ({', '.join(how)})"


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    confidence = row["confidence"]
    return (rank_role(row["role"]), row["predicted_at"], row["model_version"], row["predicted_label"],
            confidence is not None, confidence if confidence is not None and confidence == confidence else float("inf"))
