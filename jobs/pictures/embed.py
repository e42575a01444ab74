"""Embeddings of a day's pictures and of a dataset's, by the network of a version: made once, kept as histograms.

They need torch, which a cluster that only counts does not have; without it they are left out, and the document says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from command.progress import progress
from contract import layout
from contract.documents.manifest import Manifest, read_index
from contract.errors import BadImage, NotFound, TrueupError
from contract.measured.document import find_made, name_inputs, write_made
from contract.measured.embedded import EmbeddedDay, Space
from contract.registry import Registry
from contract.rows.items import list_erased
from contract.stores.store import Storage, may_be_key
from jobs.pictures.measure import Measuring, list_files
from jobs.pictures.sources import list_of_day
from metrics.pictures.embedding import Directions, count_embeddings, find_directions

if TYPE_CHECKING:
    from inference.model.embedding import Embedder

MOST_OF_DATASET = 2000  # pictures of each side of a dataset
LEAST = 30
READERS = 4


class Unknown(TrueupError):
    """Raised where there can be no embeddings; its text says why."""


def open_embedder(storage: Storage, model: str, version: str) -> Embedder:
    """Loads the network of a version. Unknown: torch is not here, or the weights are not, or cannot be used."""
    if find_spec("torch") is None:
        raise Unknown("torch, which computes embeddings, is not installed here (pip install 'trueup[serve]')")
    from inference.model.embedding import Embedder

    try:
        return Embedder(*Registry(storage, model).load(version))
    except TrueupError as error:
        raise Unknown(str(error)) from error


def embed_dataset(storage: Storage, made: Manifest, model: str, version: str, embedder: Embedder | None = None) -> Space:
    """The space of a version: directions of training pictures, histograms of held-out ones. Unknown: it cannot be made."""
    card = Registry(storage, model).card(version)
    inputs = name_inputs({"dataset": made.dataset, "index": made.index.sha256, "weights": card.weights_sha256})
    key = layout.measures_document(layout.measures(model, version=version), inputs)
    if found := find_made(storage, key, Space):
        return found
    network = embedder or open_embedder(storage, model, version)
    rows = read_index(storage, made, ("image_sha256", "image_uri", "split")).to_pylist()
    train, held_out = (_embed(storage, network, [(row["image_sha256"], row["image_uri"]) for row in rows if (
        row["split"] == "train") == trained][:MOST_OF_DATASET], f"dataset {made.dataset}") for trained in (True, False))
    if min(len(train), len(held_out)) < LEAST:
        raise Unknown(f"dataset {made.dataset} has {len(train)} training and {len(held_out)} held-out pictures that are there; "
                      f"embeddings need {LEAST} of each")
    directions = find_directions(train)
    space = Space(model=model, version=version, weights_sha256=card.weights_sha256, dataset=made.dataset, inputs=inputs,
                  trained=len(train), held_out=len(held_out), **directions, histograms=count_embeddings(held_out, directions))
    return write_made(storage, key, space)


def embed_day(storage: Storage, day: str, asked: Measuring, space: Space, most: int,
              embedder: Embedder | None = None) -> EmbeddedDay | None:
    """The embeddings of at most `most` pictures of a day; None for a day whose rows expired before they were made."""
    question, files = asked.question, list_files(storage, day)
    inputs = name_inputs({"model": question.model, "role": question.role, "roles": dict(question.roles), "files": files[0],
                          "space": space.inputs, "most": most})
    key = layout.measures_document(layout.measures(question.model, day=day, version=space.version), inputs)
    if (found := find_made(storage, key, EmbeddedDay)) or files[1]:
        return found
    network = embedder or open_embedder(storage, question.model, space.version)
    named = [(p.sha256, p.uri) for p in list_of_day(storage, day, question).pictures if p.uri][:most]
    directions: Directions = {"mean": space.mean, "directions": space.directions, "rest": space.rest}
    embeddings = _embed(storage, network, named, day)
    made = EmbeddedDay(model=question.model, version=space.version, day=day, role=question.role, space=space.inputs,
                       inputs=inputs, pictures=len(embeddings), histograms=count_embeddings(embeddings, directions))
    return write_made(storage, key, made)


def _embed(storage: Storage, embedder: Embedder, named: Sequence[tuple[str, str]], what: str) -> np.ndarray:
    """Embeds the pictures of (hash, key) that are there and not erased, in the order of their hashes: float [pictures, size]."""
    from inference.model.embedding import BATCH

    erased, parts, ready = list_erased(storage), [], []
    ordered = sorted(one for one in named if one[0] not in erased)
    with ThreadPoolExecutor(READERS) as pool, progress(f"embed the pictures of {what}", len(ordered), "pictures") as shown:
        for prepared in pool.map(lambda one: prepare_picture(storage, one[0], one[1], embedder.prepare), ordered):
            shown.advance()
            ready += [prepared] if prepared is not None else []
            if len(ready) == BATCH:
                parts.append(embedder.embed(ready))
                ready = []
    parts += [embedder.embed(ready)] if ready else []
    return np.concatenate(parts) if parts else np.empty((0, 0))


def prepare_picture(storage: Storage, sha256: str, key: str, prepare: Callable[[bytes], Any]) -> Any:
    """Prepares a stored picture by its bytes; None for one that is missing, damaged or cannot be decoded."""
    try:
        data = storage.read(key) if may_be_key(key) else b""
        return prepare(data) if hashlib.sha256(data).hexdigest() == sha256 else None
    except (NotFound, BadImage, IsADirectoryError):
        return None
