"""A version is loaded aside and tried before anything is asked of it; what cannot be loaded is refused, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.errors import BadWeights, Mismatch, NoSuchVersion, NotFinite, RootError, UsageError
from contract.registry import Registry

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


def refuse_version(version: str, seq: int, error: BaseException) -> RefusedVersion:
    """What is remembered of a version that raised `error` while it was loaded or tried, under history record `seq`."""
    for_good = isinstance(error, BAD_VERSION) or not isinstance(error, Exception)
    return RefusedVersion(version, seq, describe_error(error), for_good)


def load_version(registry: Registry, version: str, device: str, max_batch: int) -> Predictor:
    """Loads a version and runs trial batches of one and of `max_batch` images. Raises whatever its code raises."""
    from inference.model.predictor import Predictor

    predictor = Predictor(*registry.load(version), device)
    for batch in sorted({1, max_batch}):
        predictor.run_trial(batch)
    return predictor


def describe_error(error: BaseException) -> str:
    """Returns the kind and the text of an error that code from outside raised, whose text may itself fail."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # as above
        return type(error).__name__
