"""A version is loaded aside, tried and timed before anything is asked of it; what cannot be is refused, with the reason."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.errors import BadWeights, Mismatch, NoSuchVersion, NotFinite, RootError, UsageError
from contract.registry import Registry
from inference.telemetry import log_event

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

# What no second attempt cures. Anything else (network, rights) is tried again.
BAD_VERSION = (BadWeights, Mismatch, NoSuchVersion, NotFinite, UsageError, RuntimeError, ValueError)
OUT_OF_REACH = (RootError, OSError)


@dataclass(frozen=True)
class RefusedVersion:
    """A version that was not taken over, and why."""

    version: str
    seq: int
    reason: str
    for_good: bool

    def describe(self) -> dict[str, str]:
        """What readiness and /v1/models say of it."""
        return {"version": self.version, "reason": self.reason}


def refuse_version(version: str, seq: int, error: BaseException) -> RefusedVersion:
    """Makes what is remembered of a version that raised `error` while it was loaded or tried, under history record `seq`."""
    for_good = isinstance(error, BAD_VERSION) or not isinstance(error, Exception)
    return RefusedVersion(version, seq, describe_error(error), for_good)


def load_version(registry: Registry, version: str, device: str, max_batch: int, lanes: int = 1) -> Predictor:
    """Loads a version, runs trial batches of up to `max_batch` images and times it. Raises whatever its code raises.

    `lanes`: how many batches will be computed side by side at most.
    """
    from inference.model.predictor import Predictor

    card, weights = registry.load(version)
    predictor = Predictor(card, weights, device, registry.load_converted(card))
    predictor.warm_up(max_batch, lanes)
    _time(predictor, weights, device, max_batch)
    return predictor


def _time(predictor: Predictor, weights: bytes, device: str, batch: int) -> None:
    """Measures how fast the version is here, and logs a warning where float32 is faster. It is taken over in any case."""
    from inference.model.speed import is_plain, measure_speed

    card = predictor.card
    if is_plain(card):
        return
    try:
        predictor.speed = measure_speed(predictor, weights, batch, device)
    except Exception as error:  # float32 may fail where the version's own format does not
        log_event("speed unknown", logging.WARNING, model=card.model, version=card.version, error=describe_error(error))
        return
    level = logging.WARNING if predictor.speed.is_slower else logging.INFO
    log_event("slower than float32" if predictor.speed.is_slower else "speed", level, model=card.model, version=card.version,
              runtime=card.runtime, number_format=card.number_format, **predictor.speed.to_dict())


def describe_error(error: BaseException) -> str:
    """Returns the kind and the text of an error that code from outside raised, whose text may itself fail."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # as above
        return type(error).__name__
