"""The section `shadow`: the live version and the one that computes beside it, on the same predictions and the same labels.

How often the two name the same class is told of all predictions; who is right, of the labelled ones, by origin, with the
figures and the test that the promotion gate takes (metrics/significance/paired.py, docs/shadow.md). The label is that of the
live row's item: people judged that answer. A `≠` names no class, so such rows are in no comparison.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from contract.counts import ORIGINS, UNNAMED, Origin
from contract.evidence.paired_shadow import PairedCounts, Shadow, VersionPair, WithoutLabeler
from contract.rows.items import VOTES
from contract.texts.figures import write_count, write_figure, write_points
from jobs.evidence.collect import Material
from jobs.evidence.paired_rows import DayPairs, read_pairs, select
from metrics.figure import share
from metrics.significance.paired import NO_ROWS, Paired

MOST_LEFT_OUT = 20  # as an assessment has it
OF_ITEM = ("label", "origin", VOTES)


def make(material: Material) -> Shadow:
    """Makes the section of an evaluation: of the days of its window whose rows are still there."""
    document, question = material.document, material.request.question
    left_out = {row["file"] for row in document["partial"]}
    days = {day: read_pairs(material.storage, day, [key for key in keys if key not in left_out], question)
            for day, keys in sorted(material.predictions.items())}
    paired = [day for day, found in days.items() if found.pairs.num_rows]
    labelled = [select(days[day].pairs, material.items[day], OF_ITEM) for day in paired if day in material.items]
    gone = sorted({*document.get("expired", []), *(day for day in paired if day not in material.items)})
    pairs = _describe_pairs(days.values(), labelled, document["confidence"])
    rows, both = sum(d.rows for d in days.values()), sum(d.pairs.num_rows for d in days.values())
    told = [pair["sentence"] for pair in pairs]
    return {"rows": rows, "unpaired": rows - both, "pairs": pairs, "days_left_out": gone,
            "sentence": " ".join(told) or "No prediction has a row of the shadow."}


def _describe_pairs(days: Iterable[DayPairs], labelled: Sequence[pa.Table], confidence: float) -> list[VersionPair]:
    rows: Counter[tuple[str, str]] = Counter()
    agree: Counter[tuple[str, str]] = Counter()
    for day in days:
        live, predicted, shadow, other = (day.pairs[n].to_pylist() for n in ("live", "predicted", "shadow", "shadow_predicted"))
        both = list(zip(live, shadow, strict=True))
        rows.update(both)
        agree.update(pair for pair, a, b in zip(both, predicted, other, strict=True) if a == b)
    of_pair: dict[tuple[str, str], list[dict[str, Any]]] = {pair: [] for pair in rows}
    for row in (row for table in labelled for row in table.to_pylist()):
        of_pair[row["live"], row["shadow"]].append(row)
    order = sorted(rows, key=lambda p: (len(p[1]), p[1], len(p[0]), p[0]))
    return [_Labelled(pair, of_pair[pair]).describe(rows[pair], agree[pair], confidence) for pair in order]


class _Labelled:
    """The labelled predictions of a pair of versions (live, shadow)."""

    def __init__(self, pair: tuple[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
        self.pair = pair
        self.unnamed = sum(row["label"] == UNNAMED for row in rows)
        named = [row for row in rows if row["label"] != UNNAMED]
        self.label, self.origin = (np.array([row[n] for row in named], object) for n in ("label", "origin"))
        self.alone = np.array([_find_alone(row) for row in named], object)
        self.live_right = np.array([row["predicted"] == row["label"] for row in named], bool)
        self.shadow_right = np.array([row["shadow_predicted"] == row["label"] for row in named], bool)

    def describe(self, rows: int, agree: int, confidence: float) -> VersionPair:
        """The pair's part of the section; `agree` of `rows` predictions got the same class from both."""
        live, shadow = self.pair
        by_origin = {origin: self.count(self.origin == origin).to_dict() for origin in ORIGINS if (self.origin == origin).any()}
        agreement = share(agree, rows, confidence, NO_ROWS)
        return {"live": live, "shadow": shadow, "rows": rows, "agree": agree, "agreement": agreement,
                "labelled": len(self.label), "unnamed": self.unnamed,
                "by_origin": by_origin, "per_class_by_origin": self._count_classes(),  # type: ignore[typeddict-item]
                "without": self._leave_out_each(),
                "sentence": _say(live, shadow, rows, write_figure(agreement), by_origin)}

    def count(self, rows: np.ndarray) -> Paired:
        """The paired counts of some of the rows (a bool mask)."""
        return Paired.count(self.live_right[rows], self.shadow_right[rows])

    def _count_classes(self) -> list[dict[str, Any]]:
        groups = sorted(set(zip(self.origin.tolist(), self.label.tolist(), strict=True)))
        return [{"label": label, "origin": origin, **_counts(self.count((self.origin == origin) & (self.label == label)))}
                for origin, label in groups]

    def _leave_out_each(self) -> list[WithoutLabeler]:
        sizes = Counter(name for name in self.alone.tolist() if name is not None)
        return [{"labeler": name or None, "rows": n, "by_origin": {
            origin: _counts(self.count((self.origin == origin) & (self.alone != name)))
            for origin in ORIGINS if ((self.origin == origin) & (self.alone != name)).any()}}
            for name, n in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:MOST_LEFT_OUT]]


def _counts(paired: Paired) -> PairedCounts:
    return {"n": paired.n, "both": paired.both, "only_live": paired.only_live, "only_candidate": paired.only_candidate,
            "neither": paired.neither}


def _find_alone(row: Mapping[str, Any]) -> str | None:
    """Returns the only person who gave deciding votes on an item, empty where nobody is named; None: several people did."""
    people = {vote["labeler"] or "" for vote in row[VOTES] if vote["origin"] == row["origin"]}
    return people.pop() if len(people) == 1 else None


def _say(live: str, shadow: str, rows: int, agreement: str, by_origin: Mapping[Origin, Mapping[str, Any]]) -> str:
    said = (f"Of {write_count(rows, 'prediction')} that live version {live} and its shadow, version {shadow}, both answered, "
            f"they agree on {agreement}.")
    for origin, found in by_origin.items():
        return (f"{said} On {write_count(found['n'], 'label')} of origin {origin} the shadow has "
                f"{write_figure(found['candidate'])}, the live version {write_figure(found['live'])}: a "
                f"difference of {write_points(found['difference'])}.")
    return f"{said} None of them has a label yet."
