"""Of the live version and its formats (contract/deciding/formats.py), the one that answers first on this machine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from contract.registry import Registry
from inference.live.loading import describe_error, load_version
from inference.telemetry import log_event

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

OWN, FASTEST = "own", "fastest"
CLEARLY = 0.95  # of the live version's time; a format that gains less is not taken instead of it


def choose_fastest(registry: Registry, live: Predictor, others: Sequence[str], device: str, max_batch: int,
                   lanes: int) -> Predictor:
    """Loads the other formats of a loaded version and returns the one that answers a batch first on this machine.

    One that cannot be loaded is named in the log and left out.
    """
    from inference.model.speed import measure_milliseconds

    found = [live, *(p for version in others if (p := _try(registry, live, version, device, max_batch, lanes)) is not None)]
    if len(found) == 1:
        return live
    try:
        times = measure_milliseconds(found, max_batch)
    except Exception as error:  # each has answered by itself, and the live version was tried
        log_event("formats not timed", logging.WARNING, model=registry.model, live=live.card.version,
                  reason=describe_error(error))
        return live
    best = min(range(len(found)), key=times.__getitem__)
    chosen = found[best] if times[best] < CLEARLY * times[0] else live
    log_event("fastest format", model=registry.model, live=live.card.version, chosen=chosen.card.version, batch=max_batch,
              ms={p.card.version: round(t, 2) for p, t in zip(found, times, strict=True)})
    return chosen


def _try(registry: Registry, live: Predictor, version: str, device: str, max_batch: int, lanes: int) -> Predictor | None:
    try:
        predictor = load_version(registry, version, device, max_batch, lanes)
    except BaseException as error:  # as of a live version: it may raise anything, and the live one answers
        log_event("format left out", logging.WARNING, model=registry.model, version=version, reason=describe_error(error))
        return None
    if predictor.card.weights_sha256 == live.card.weights_sha256:
        return predictor
    log_event("format left out", logging.ERROR, model=registry.model, version=version, reason="it has other weights than "
              f"version {live.card.version}")
    return None
