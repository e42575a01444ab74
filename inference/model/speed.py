"""How fast a version answers on this machine, against its own network in float32 as torch runs it: a batch of each, in turn.

A format that is fast on one processor may be slow on another: bfloat16 in torch ran at a sixth of float32 on one that has AVX2
and no more. So whoever loads a version for serving asks this once.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contract.documents.card import Card
from inference.model.predictor import TORCH, Predictor
from inference.model.trial_picture import make_trial_picture

# After so long no further round is begun. The fastest of each counts: what else runs on the machine only ever slows.
ROUNDS, ENOUGH_S = 3, 2.0
SLOWER = 1.05  # more than so many times float32's time is slower; less is chance
FLOAT32 = "float32"


@dataclass(frozen=True)
class Speed:
    """Milliseconds of one batch of `batch` pictures, from prepared pictures to probabilities, by each of the two."""

    batch: int
    milliseconds: float
    float32_milliseconds: float

    @property
    def is_slower(self) -> bool:
        """Whether float32 would answer faster here."""
        return self.milliseconds > SLOWER * self.float32_milliseconds

    def to_dict(self) -> dict[str, Any]:
        """Returns it as readiness, the log and doctor show it."""
        return {"batch": self.batch, "ms": round(self.milliseconds, 2), "float32_ms": round(self.float32_milliseconds, 2),
                "slower_than_float32": self.is_slower}


def is_plain(card: Card) -> bool:
    """Whether a version is what others are compared with: float32, as torch runs it."""
    return (card.runtime, card.number_format) == (TORCH, FLOAT32)


def make_plain(card: Card, weights: bytes, device: str | None = None) -> Predictor:
    """Makes a predictor of the same network in float32, as torch runs it."""
    plain = card.model_copy(update={"runtime": TORCH, "number_format": FLOAT32, "converted": None})
    return Predictor(plain, weights, device)


def measure_milliseconds(predictors: Sequence[Predictor], batch: int) -> list[float]:
    """Measures the fastest of ROUNDS batches of each, in turn, after one that warms up. All prepare pictures alike."""
    pictures = predictors[0].stack([predictors[0].prepare(make_trial_picture())] * batch)
    for predictor in predictors:
        predictor.probabilities(pictures)
    found = [float("inf")] * len(predictors)
    until = time.monotonic() + ENOUGH_S
    for done in range(ROUNDS):
        if done and time.monotonic() > until:
            break
        for n, predictor in enumerate(predictors):
            began = time.perf_counter()
            predictor.probabilities(pictures)
            found[n] = min(found[n], 1000 * (time.perf_counter() - began))
    return found


def measure_speed(predictor: Predictor, weights: bytes, batch: int, device: str | None = None) -> Speed:
    """Times a version; `weights` are those of its card. One that is plain is its own measure, and nothing is computed."""
    if is_plain(predictor.card):
        return Speed(batch, 0.0, 0.0)
    own, plain = measure_milliseconds([predictor, make_plain(predictor.card, weights, device)], batch)
    return Speed(batch, own, plain)
