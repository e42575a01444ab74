"""Features of candidates: perceptual hashes of their pictures, and, with torch, embeddings by the live version's network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from command.progress import progress
from contract.errors import BadImage, NotFound
from contract.stores.store import Storage

if TYPE_CHECKING:
    from inference.model.embedding import Embedder

READERS = 4
TOGETHER = 256  # pictures in memory at once


@dataclass(frozen=True)
class Looks:
    """Of those pictures that can be read, by their places in what was asked: hashes int64 [n], embeddings [n, size] or None."""

    places: list[int]
    near: np.ndarray
    embeddings: np.ndarray | None


def look_at(storage: Storage, named: Sequence[tuple[str, str]], embedder: Embedder | None, what: str) -> Looks:
    """Looks at the pictures of (hash, key), in their order; those that are missing, damaged or no pictures are left out."""
    places, near, parts = list[int](), list[int](), list[np.ndarray]()
    with ThreadPoolExecutor(READERS) as pool, progress(f"look at {what}", len(named), "pictures") as shown:
        for start in range(0, len(named), TOGETHER):
            ready = []
            some = pool.map(lambda one: _look(storage, one, embedder), named[start:start + TOGETHER])
            for place, found in enumerate(some, start):
                shown.advance()
                if found:
                    places.append(place)
                    near.append(found[0])
                    ready.append(found[1])
            if embedder:
                parts += _embed(embedder, ready)
    return Looks(places, np.asarray(near, np.int64), np.concatenate(parts) if parts else None)


def _look(storage: Storage, one: tuple[str, str], embedder: Embedder | None) -> tuple[int, Any] | None:
    from inference.model import preprocess
    from inference.model.perceptual_hash import phash

    try:
        data = storage.read(one[1])
        if hashlib.sha256(data).hexdigest() != one[0]:
            return None
        preprocess.inspect(data)
        return phash(preprocess.decode(data)), embedder.prepare(data) if embedder else None
    except (NotFound, BadImage, IsADirectoryError):
        return None


def _embed(embedder: Embedder, ready: Sequence[Any]) -> list[np.ndarray]:
    from inference.model.embedding import BATCH

    return [embedder.embed(ready[start:start + BATCH]) for start in range(0, len(ready), BATCH)]
