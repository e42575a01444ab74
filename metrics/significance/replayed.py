"""Live answers against those of another version to the same pictures: agreement, flips, the strongest disagreements, labels.

Counts add up over days. Accuracy is compared by the promotion gate's own test (metrics/significance/paired.py), per origin of
the labels: origins are never pooled, because people choose what they correct.
"""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contract.counts import ORIGINS, UNNAMED
from metrics.figure import share
from metrics.intervals import CONFIDENCE
from metrics.significance.paired import NO_ROWS, Paired, estimate_weighted_difference

MOST_FLIPS, MOST_STRONGEST = 1000, 50


@dataclass(frozen=True)
class Pair:
    """One prediction that both answered: the answers, confidences (None: none), and what people said of it (None: nothing).

    `p` is the selection probability of the label, None where it gives no weight; `about` is shown of a disagreement.
    """

    prediction_id: str
    live_version: str
    live: str
    live_confidence: float | None
    replay: str
    replay_confidence: float | None
    label: str | None = None
    origin: str | None = None
    p: float | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class OriginPairs:
    """Labelled pairs of one origin: the class, who was right, and the selection probability (NaN: unknown), row by row."""

    label: list[str] = field(default_factory=list)
    live_right: list[bool] = field(default_factory=list)
    replay_right: list[bool] = field(default_factory=list)
    p: list[float] = field(default_factory=list)

    def to_dict(self, confidence: float) -> dict[str, Any]:
        """Returns the paired counts and figures, weighted and by class, too."""
        label, p = np.asarray(self.label, object), np.asarray(self.p, float)
        live, replay = np.asarray(self.live_right, bool), np.asarray(self.replay_right, bool)
        classes = [{"label": name, **Paired.count(live[label == name], replay[label == name]).to_dict(confidence)}
                   for name in sorted(set(self.label))]
        return {**Paired.count(live, replay).to_dict(confidence), "per_class": classes,
                "weighted": estimate_weighted_difference(live, replay, p)}


class Comparison:
    """Pairs of a window, taken day by day."""

    def __init__(self) -> None:
        self.cells: Counter[tuple[str, str]] = Counter()  # (live answer, replayed one) -> predictions
        self.versions: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # live version -> predictions, agreed
        self.origins: dict[str, OriginPairs] = {}
        self.labelled = self.unnamed = 0
        self.strongest: list[Pair] = []

    def add(self, pairs: Sequence[Pair]) -> None:
        """Takes the pairs of one more day."""
        self.cells.update((pair.live, pair.replay) for pair in pairs)
        for pair in pairs:
            found = self.versions[pair.live_version]
            found[0] += 1
            found[1] += pair.live == pair.replay
            if pair.label is not None:
                self._add_label(pair)
        apart = (pair for pair in pairs if pair.live != pair.replay)
        self.strongest = heapq.nsmallest(MOST_STRONGEST, [*self.strongest, *apart], key=rank_disagreement)

    def _add_label(self, pair: Pair) -> None:
        self.labelled += 1
        if pair.label == UNNAMED:
            self.unnamed += 1
            return
        of = self.origins.setdefault(str(pair.origin), OriginPairs())
        of.label.append(str(pair.label))
        of.live_right.append(pair.live == pair.label)
        of.replay_right.append(pair.replay == pair.label)
        of.p.append(math.nan if pair.p is None else pair.p)

    def to_dict(self, trusted: Iterable[str], least: int, confidence: float = CONFIDENCE) -> dict[str, Any]:
        """Returns the figures of `replay.json`. `trusted`, `least`: the origins, and how many rows of one, that may decide."""
        n, agreed = sum(self.cells.values()), sum(k for (live, replay), k in self.cells.items() if live == replay)
        flips = sorted(((-k, live, replay) for (live, replay), k in self.cells.items() if live != replay))
        by_origin = {o: self.origins[o].to_dict(confidence) for o in ORIGINS if o in self.origins}
        decides = next((o for o in by_origin if o in set(trusted) and by_origin[o]["n"] >= least), None)
        return {"replayed": n, "agreed": agreed, "agreement": share(agreed, n, confidence, NO_ROWS),
                "per_class": self._count_classes(confidence),
                "by_live_version": [{"version": version, "predictions": of, "agreed": both,
                                     "agreement": share(both, of, confidence, NO_ROWS)}
                                    for version, (of, both) in sorted(self.versions.items())],
                "flips": [{"live": live, "replay": replay, "count": -k} for k, live, replay in flips[:MOST_FLIPS]],
                "flips_omitted": max(len(flips) - MOST_FLIPS, 0),
                "strongest": [_show(pair) for pair in self.strongest],
                "labels": {"labelled": self.labelled, "unnamed": self.unnamed, "decides": decides, "by_origin": by_origin},
                "confidence": confidence}

    def _count_classes(self, confidence: float) -> list[dict[str, Any]]:
        live, replay, agreed = Counter[str](), Counter[str](), Counter[str]()
        for (before, now), k in self.cells.items():
            live[before] += k
            replay[now] += k
            agreed[before] += k * (before == now)
        return [{"label": name, "live": live[name], "replay": replay[name], "agreed": agreed[name],
                 "agreement": share(agreed[name], live[name], confidence, "no live answer of this class")}
                for name in sorted({*live, *replay})]


def rank_disagreement(pair: Pair) -> tuple[float, float, bytes]:
    """Orders disagreements: both sides sure first. By the smaller confidence, then the larger, descending; then by id.

    A confidence that is none, NaN or outside [0, 1] is the smallest.
    """
    low, high = sorted(-1.0 if c is None or not 0 <= c <= 1 else c for c in (pair.live_confidence, pair.replay_confidence))
    return -low, -high, pair.prediction_id.encode()


def _show(pair: Pair) -> dict[str, Any]:
    def known(confidence: float | None) -> float | None:
        return None if confidence is None or not math.isfinite(confidence) else confidence

    return {"prediction_id": pair.prediction_id, "live_version": pair.live_version, "live": pair.live,
            "live_confidence": known(pair.live_confidence), "replay": pair.replay,
            "replay_confidence": known(pair.replay_confidence), "label": pair.label, **pair.about}
