"""Which versions did not train on which pictures: only answers of such versions say anything of a picture's label.

A version has learnt the labels that it was trained on, wrong ones too, and so have its descendants. Pictures of a validation
split count as trained on: they selected the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from contract import clock
from contract.documents import manifest
from contract.documents.card import Card
from contract.documents.manifest import read_index
from contract.errors import TrueupError, UsageError, pass_over
from contract.registry import Registry

SEEN_SPLITS = ("train", "validation")


@dataclass
class Training:
    """What a version and its ancestors were trained on; `unknown_until`: us of the newest whose data is not known."""

    card: Card
    seen: frozenset[str] = frozenset()
    unknown_until: int | None = None

    def is_clean(self, image_sha256: str, appeared: int | None) -> bool:
        """Says whether a picture was in no training set of the line.

        `appeared`: us of the prediction that brought the picture, None for an imported one. An unknown training set cannot hold
        what came after its version was made.
        """
        if image_sha256 in self.seen:
            return False
        return self.unknown_until is None or (appeared is not None and appeared > self.unknown_until)


@dataclass
class Trainings:
    """The training sets of a model's versions; each dataset's index is read once."""

    registry: Registry
    _seen: dict[str, frozenset[str]] = field(default_factory=dict)

    def find(self, version: str) -> Training | None:
        """Finds what a version was trained on; None where that cannot be told: it has no card here, or a dataset is gone."""
        try:
            line = list(self.registry.ancestors(version))
            seen: frozenset[str] = frozenset().union(*(self._read(card.dataset) for card in line if card.dataset))
            unknown = [clock.to_us(clock.parse_moment(card.created_at)) for card in line if card.dataset is None]
        except UsageError:  # a card without a valid moment
            return None
        except TrueupError as error:
            pass_over(error)
            return None
        return Training(line[0], seen, max(unknown, default=None))

    def find_all(self) -> Mapping[str, Training]:
        """Finds those of all versions of which that can be told, the newest first."""
        found = {version: self.find(version) for version in sorted(self.registry.versions(), key=int, reverse=True)}
        return {version: training for version, training in found.items() if training}

    def _read(self, dataset: str) -> frozenset[str]:
        """Reads the hashes of a dataset's training and validation pictures."""
        if dataset not in self._seen:
            table = read_index(self.registry.storage, manifest.load(self.registry.storage, dataset), ("image_sha256", "split"))
            self._seen[dataset] = frozenset(row["image_sha256"] for row in table.to_pylist() if row["split"] in SEEN_SPLITS)
        return self._seen[dataset]
