"""What this replica answers, as distributions: the confidence of the first class, and which class it was.

A Prometheus keeps a series for each value of a label for ever, so only the first MOST_CLASSES classes of a version's card
have one of their own; the same ones in every replica.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

MOST_CLASSES = 50
OTHER = "other"
CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 1.0)


class PredictedMetrics:
    """Counts answers by model and version."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._confidence = Histogram("trueup_prediction_confidence_ratio", "Confidence of the first class of each answer.",
                                     ["model", "version"], buckets=CONFIDENCES, registry=registry)
        self._classes = Counter("trueup_predicted_class", f"Answers by their first class: the first {MOST_CLASSES} of the "
                                f"version's card, all others as {OTHER}.", ["model", "version", "class"], registry=registry)
        self._named: dict[tuple[str, str], frozenset[str]] = {}

    def count(self, model: str, version: str, label: str, confidence: float, classes: Sequence[str]) -> None:
        """Counts one answer; `classes` are those of the version's card, in its order."""
        named = self._named.get((model, version))
        if named is None:
            named = self._named[model, version] = frozenset(classes[:MOST_CLASSES])
        self._confidence.labels(model, version).observe(confidence)
        self._classes.labels(model, version, label if label in named else OTHER).inc()
