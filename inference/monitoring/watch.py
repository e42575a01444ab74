"""Keeps what the documents say at hand: read in a thread of its own, so that no scrape ever waits for the store.

    watch = Watch(storage, max_age_days=3.0)
    registry.register(watch)                  # a Prometheus collector
    watch.start()
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from contract import clock
from contract.stores.store import Storage
from inference.live.repeating import Repeater
from inference.monitoring.figures import NO_VERDICT, VERDICTS, Documents, ModelFigures, VersionFigures
from inference.telemetry import log_event

EVERY_S = 30.0
STATES = (*VERDICTS, NO_VERDICT)
OF_VERSION = (
    ("accuracy", "trueup_accuracy_ratio", "Accuracy of the newest evaluation's estimate."),
    ("low", "trueup_accuracy_low_ratio", "Lower end of the interval of that accuracy."),
    ("high", "trueup_accuracy_high_ratio", "Upper end of the interval of that accuracy."),
    ("labelled", "trueup_evaluated_labels", "Labelled predictions in the window of the newest evaluation."),
    ("predictions", "trueup_evaluated_predictions", "Predictions in the window of the newest evaluation."),
)


class Watch(Collector):
    """What was read last, as metrics. Ages are of the moment of the scrape."""

    def __init__(self, storage: Storage, max_age_days: float | None, every_s: float = EVERY_S) -> None:
        """`max_age_days`: a verdict older than this says nothing of today (gates.max_age_days)."""
        self._documents = Documents(storage, max_age_days)
        self._found: list[ModelFigures] = []
        self._read_at: float | None = None
        self._repeater = Repeater("figures of the root", every_s, self.look, at_once=True)

    def start(self) -> None:
        """Begins to read; the first figures come when the store gives them."""
        self._repeater.start()

    def stop(self) -> None:
        """Ends the readings. A store that hangs is not waited for."""
        self._repeater.end()

    def look(self) -> None:
        """Reads once. A store that is out of reach leaves what was known, and its age grows."""
        try:
            found = self._documents.read()
        except Exception as error:  # whatever the store does, this thread lives on
            log_event("figures of the root not read", logging.WARNING, error=f"{type(error).__name__}: {error}")
            return
        self._found, self._read_at = found, clock.monotonic()

    def collect(self) -> Iterable[Metric]:
        """Yields the metrics of what was read last; none of the models before the first reading."""
        found, read_at, now = self._found, self._read_at, clock.now().timestamp()
        age = float("inf") if read_at is None else clock.monotonic() - read_at
        yield GaugeMetricFamily("trueup_figures_age_seconds", "Time since the documents of the root were read.", value=age)
        yield _make("trueup_accuracy_bound_ratio", "Accuracy that the gate demands.", ["model"],
                    [((m.model,), m.bound) for m in found])
        yield _make("trueup_evaluation_age_seconds", "Age of the newest evaluation.", ["model"],
                    [((m.model,), _measure_age(now, m.evaluated.at)) for m in found if m.evaluated])
        yield _make("trueup_data_age_seconds", "Time since the end of the newest prediction day in the bucket, as the newest "
                    "evaluation saw it.", ["model"],
                    [((m.model,), _measure_age(now, m.evaluated.data_until)) for m in found if m.evaluated])
        yield _make("trueup_verdict", "1 for the verdict that holds of the live version, 0 for the others.",
                    ["model", "version", "verdict"],
                    [((m.model, m.judged or "", state), float(m.verdict == state)) for m in found for state in STATES])
        for field, name, text in OF_VERSION:
            yield _make(name, text, ["model", "version"], [((m.model, v.version), _read(v, field))
                                                           for m in found if m.evaluated for v in m.evaluated.versions])

    def describe(self) -> Iterable[Metric]:
        """Names no metric ahead, so that registering does not collect."""
        return []


def _make(name: str, text: str, labels: list[str], samples: list[tuple[tuple[str, ...], float | None]]) -> GaugeMetricFamily:
    """Makes one family; what is not known has no sample, so that no rule compares with a number that is none."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family


def _read(figures: VersionFigures, field: str) -> float | None:
    found: float | None = getattr(figures, field)
    return found


def _measure_age(now: float, moment: float) -> float:
    return max(now - moment, 0.0)
