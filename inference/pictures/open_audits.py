"""Which predictions wait for a blind audit: whoever may label must not see what the model said of them before they answer."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from contract import clock, samples
from contract.confidence import confidence_bin
from contract.errors import DamagedDocument
from contract.review import listed
from contract.samples import Sample
from contract.stores.store import Storage
from inference.labelling.queue import SPLIT_OPINIONS

LOOKED_S = 5.0


class OpenAudits:
    """The audit samples of one root, read once each. Threads may share it."""

    def __init__(self, storage: Storage, label_days: int) -> None:
        """`label_days`: age of a prediction at which its labels are refused, so that nobody is asked any more."""
        self.storage, self._oldest = storage, timedelta(days=label_days + 1)
        self._samples: dict[tuple[str, str], tuple[float, Sample | None]] = {}
        self._blind: dict[tuple[str, str], tuple[float, frozenset[str]]] = {}

    def is_open(self, model: str, day: str, row: dict[str, Any]) -> bool:
        """Says whether a row (prediction_id, predicted, confidence, its item or None) is asked and not answered yet.

        By what lies in the bucket: an answer that is not shipped and joined yet leaves the row hidden a little longer.
        """
        if day < clock.day_of(clock.now() - self._oldest):
            return False
        if row["prediction_id"] in self._list_waiting(model, day):
            return True
        sample = self._find(model, day)
        if sample is None:
            return False
        cell = (row["prediction_id"], row["predicted"], confidence_bin(row["confidence"]))
        if not any(samples.draw_rows(sample, [cell])):
            return False
        said = [vote["label"] for vote in (row["item"] or {}).get("votes", ()) if vote["origin"] == "audit"]
        top = Counter(said).most_common(2)
        tied = len(top) > 1 and top[0][1] == top[1][1] and len(said) < SPLIT_OPINIONS
        return tied or len(said) < samples.opinions(sample, row["prediction_id"])

    def _list_waiting(self, model: str, day: str) -> frozenset[str]:
        """Lists what was sent to be judged blind, and nobody did: a user's feedback on such a prediction is no answer to it."""
        known, now = self._blind.get((model, day)), clock.monotonic()
        if known is None or now - known[0] > LOOKED_S:
            sent = listed.read(self.storage, model, day, blind=True).keys()
            answered = listed.find_answered_blind(self.storage, day) if sent else set()
            known = self._blind[model, day] = now, frozenset(sent - answered)
        return known[1]

    def _find(self, model: str, day: str) -> Sample | None:
        """Reads the sample of a day; of a damaged one nothing is known, and nobody is asked by it."""
        known, now = self._samples.get((model, day)), clock.monotonic()
        if known is None or (known[1] is None and now - known[0] > LOOKED_S):
            try:
                found = samples.read(self.storage, model, day, "audit")
            except DamagedDocument:
                found = None
            known = self._samples[model, day] = now, found
        return known[1]
