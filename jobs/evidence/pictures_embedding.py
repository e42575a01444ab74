"""How the live version's network sees the pictures of each day, for the section `pictures`: only where a setting asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from contract import layout
from contract.documents import manifest
from contract.errors import TrueupError
from contract.evidence.pictures import OfEmbeddings, OfMeasure
from contract.measured.embedded import EmbeddedDay, Space
from contract.measured.measures import EMBEDDING
from contract.stores.recorded import PinnedStorage, unwrap
from jobs.evidence.collect import Material
from jobs.pictures.embed import embed_dataset, embed_day
from jobs.pictures.measure import Measuring
from metrics.pictures.compare import can_compare
from metrics.pictures.embedding import compare_embeddings


@dataclass
class Embedded:
    """The space of the live version, the days in it, and why these are not known."""

    most: int
    space: Space | None = None
    days: dict[str, EmbeddedDay] = field(default_factory=dict)
    reason: str | None = None

    def count_comparisons(self) -> int:
        """Days that can be compared: one comparison each."""
        return sum(self._is_comparable(day) for day in self.days.values())

    def _is_comparable(self, day: EmbeddedDay) -> bool:
        return self.space is not None and can_compare(self.space.histograms["rest"], day.histograms["rest"])

    def describe(self, day: str, error: float) -> list[OfMeasure]:
        """The figure of a day; none where its embeddings are not known."""
        if self.space is None or day not in self.days:
            return []
        distance = compare_embeddings(self.space.histograms, self.days[day].histograms, error)
        return [{"measure": EMBEDDING.name, **distance, "low_value": None, "median": None, "high_value": None}]

    def tell(self) -> OfEmbeddings:
        """What the section says of them."""
        return {"trained": self.space.trained if self.space else 0, "held_out": self.space.held_out if self.space else 0,
                "most": self.most, "reason": self.reason}


def find_embedded(material: Material, asked: Measuring, days: Sequence[str]) -> Embedded | None:
    """The embeddings of these days; None where they are not asked for. Without them an evaluation goes on.

    LookupError when an evaluation is verified that does not name what it rests on.
    """
    since, most = material.document["since_dataset"], material.request.embeddings
    if most is None:
        return None
    if since is None or since["dataset"] is None:
        return Embedded(most, reason="no dataset is known that it was trained on")
    if isinstance(material.storage, PinnedStorage):
        return _read_named(material, asked.question.model, since["version"], most)
    try:
        return _make(material, asked, since["version"], since["dataset"], most, days)
    except TrueupError as error:
        return Embedded(most, reason=str(error))


def _make(material: Material, asked: Measuring, version: str, dataset: str, most: int, days: Sequence[str]) -> Embedded:
    """Makes what is missing, and reads each document through the storage that records what is read."""
    store, model = unwrap(material.storage), asked.question.model
    space = embed_dataset(store, manifest.load(store, dataset), model, version)
    found = Embedded(most, Space.load(material.storage, layout.measures_document(space.folder, space.inputs)))
    for day in days:
        if made := embed_day(store, day, asked, space, most):
            found.days[day] = EmbeddedDay.load(material.storage, layout.measures_document(made.folder, made.inputs))
    return found


def _read_named(material: Material, model: str, version: str, most: int) -> Embedded:
    folder = layout.measures(model, version=version)
    keys = [entry.key for entry in material.storage.list(folder)]
    spaces = [key for key in keys if "/" not in key.removeprefix(folder)]
    if not spaces:
        raise LookupError("it names no embeddings")
    of_days = (EmbeddedDay.load(material.storage, key) for key in keys if key not in spaces)
    return Embedded(most, Space.load(material.storage, spaces[0]), {day.day: day for day in of_days})
