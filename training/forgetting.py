"""What a candidate forgot: its answers and the live version's to the held-out rows of the first dataset of its line.

No version of the line trained on these rows, so they show over all versions what each still knows of the beginning.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.documents import manifest
from contract.documents.manifest import Manifest
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.registry import Registry
from contract.stores.store import Storage
from metrics.significance.paired import Paired
from training import compare
from training.compare import Answers


@dataclass(frozen=True)
class First:
    """The first dataset of a line whose held-out rows can be asked, and the version that was trained on it."""

    made: Manifest
    version: str


def find_first(storage: Storage, registry: Registry, version: str) -> First | None:
    """Finds the first dataset of a version and of all that it descends from; None when none of them is there.

    A dataset that is gone, or of which a picture was erased, is passed over: then the oldest that is there is the first.
    """
    for card in reversed(list(registry.ancestors(version, missing_ok=True))):
        try:
            made = manifest.load(storage, card.dataset) if card.dataset else None
        except (NotFound, DamagedDocument) as error:
            pass_over(error)
            continue
        if made and made.rows.get("holdout") and not made.erased:
            return First(made, card.version)
    return None


def describe(first: First, truth: np.ndarray, origin: Sequence[str], answers: Mapping[str, Answers], versions: Mapping[str, str],
             earlier: Iterable[Mapping[str, Any]], leakage: Mapping[str, Any]) -> dict[str, Any]:
    """Describes what was found; `answers` are those of `live` and `candidate`, and of `start`, the line's first version, where
    it is another and its weights are there. `versions`: side -> version; `earlier`: rows of `versions` that are known."""
    live, candidate = answers["live"], answers["candidate"]
    start = live if versions["live"] == first.version else answers.get("start")
    own = {versions[side]: of for side, of in answers.items()}
    rows = {row["version"]: dict(row) for row in earlier} | {
        version: {"version": version, "n": len(truth), "accuracy": Paired.count(right, right).live()}
        for version, of in own.items() for right in [of.index == truth]}
    return {"dataset": first.made.dataset, "version": first.version, "rows": len(truth), "reason": None,
            "overall": compare.compare_paired(truth, live, candidate),
            "by_origin": compare.compare_groups(truth, live, candidate, origin),
            "since_first": None if start is None else compare.compare_paired(truth, start, candidate),
            "versions": [rows[version] for version in sorted(rows, key=int)], "leakage": dict(leakage)}


def describe_unknown(first: First, reason: str) -> dict[str, Any]:
    """Describes why nothing can be told of the first dataset: it has rows that were trained on, or its files are gone."""
    return {"dataset": first.made.dataset, "version": first.version, "rows": 0, "reason": reason, "overall": None,
            "by_origin": {}, "since_first": None, "versions": [], "leakage": None}
