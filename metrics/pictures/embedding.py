"""Embeddings of pictures along the principal directions of others: histograms that add, and their distance.

Directions are found on training pictures, and days are compared with held-out pictures of the same dataset: a network has
learnt from its training pictures, so that embeddings of these and of new ones differ without any change.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from typing_extensions import TypedDict

from contract.evidence.pictures import Distance
from contract.measured.embedded import ALONG, DIRECTIONS, OFF
from metrics.pictures.compare import compare_counts

SMALLEST = 1e-9  # a direction, of the first, that is rounding alone


class Directions(TypedDict):
    """A space without its histograms (contract.measured.embedded.Space)."""

    mean: list[float]
    directions: list[list[float]]
    rest: float


def find_directions(embeddings: np.ndarray) -> Directions:
    """The first principal directions of float [n, size], of which each has variance 1 over these; at most DIRECTIONS."""
    mean = embeddings.mean(0)
    _, sizes, vectors = np.linalg.svd(embeddings - mean, full_matrices=False)
    kept = [k for k in range(min(DIRECTIONS, len(sizes))) if sizes[k] > SMALLEST * max(float(sizes[0]), SMALLEST)]
    scaled = vectors[kept] / (sizes[kept, None] / np.sqrt(max(len(embeddings) - 1, 1)))
    rest = np.linalg.norm((embeddings - mean) - (embeddings - mean) @ vectors[kept].T @ vectors[kept], axis=1)
    return {"mean": mean.tolist(), "directions": scaled.tolist(), "rest": max(float(np.median(rest)), SMALLEST)}


def count_embeddings(embeddings: np.ndarray, space: Directions) -> dict[str, list[int]]:
    """Histograms of float [n, size]: one for each direction, and `rest` of what none explains."""
    scaled = np.asarray(space["directions"]).reshape(-1, len(space["mean"]))
    centred = np.asarray(embeddings).reshape(-1, len(space["mean"])) - np.asarray(space["mean"])
    units = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    rest = np.linalg.norm(centred - centred @ units.T @ units, axis=1) / space["rest"]
    found = {f"direction {k + 1}": _count(centred @ direction, ALONG) for k, direction in enumerate(scaled)}
    return {**found, "rest": _count(rest, OFF)}


def _count(values: np.ndarray, edges: Sequence[float]) -> list[int]:
    at = np.searchsorted(edges, values, side="right")
    return [int(n) for n in np.bincount(at, minlength=len(edges) + 1)]


def compare_embeddings(reference: Mapping[str, Sequence[int]], current: Mapping[str, Sequence[int]], error: float) -> Distance:
    """The distance along the direction where chance explains least; its p and its chance are for all directions together."""
    found = [compare_counts(reference[name], current[name], error / len(reference)) for name in reference]
    known = [one for one in found if one["js"] is not None and one["p"] is not None]
    if not known:
        return found[0]
    worst = min(known, key=lambda one: (one["p"] or 0.0, -(one["js"] or 0.0)))
    return {**worst, "p": min((worst["p"] or 0.0) * len(found), 1.0)}
