"""Probabilities for pictures without a clean logged answer: a head fitted on the other folds, on features that are clean.

The features are embeddings of a version that did not train on these pictures, where there is one and torch is installed; else
the pixels of the shrunk picture. A network that was fine-tuned on the labels in question has learnt the wrong ones, and a head
on its features would only repeat them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from command.progress import progress
from contract.errors import BadImage, TrueupError, pass_over
from contract.registry import Registry
from contract.stores.store import Storage
from jobs.pictures.embed import prepare_picture
from jobs.suspects.probabilities import Judged
from jobs.suspects.trained import Training

if TYPE_CHECKING:
    from inference.model.embedding import Embedder

Row = dict[str, Any]
SIDE = 16  # pixels of the shrunk picture
STRENGTH = {"embedding": 0.1, "pixels": 0.01}  # C of the logistic regression: small, so that wrong labels are not fitted
READERS = 4


def fold_of(image_sha256: str, folds: int) -> int:
    """The fold of a picture, by its hash alone; not the digits that choose its split."""
    return int(image_sha256[32:48], 16) % folds


def judge_rows(storage: Storage, registry: Registry, rows: Sequence[Row], places: np.ndarray, classes: Sequence[str],
               folds: int, trainings: Mapping[str, Training], appeared: Mapping[str, int]) -> list[Judged]:
    """Judges rows (by their `places`) that have no clean logged answer: by a version's embeddings, the rest by pixels.

    Rows whose picture is missing or damaged, and rows of a class that the other folds lack, are not judged.
    """
    left, found = places, []
    chosen = _choose_version(rows, places, trainings, appeared)
    embedder = _open(registry, chosen[0]) if chosen else None
    if chosen and embedder:
        from inference.model.embedding import BATCH

        name = f"cross-fitted on version {chosen[0]}"
        made = _extract(storage, rows, chosen[1], embedder.prepare, embedder.embed, BATCH, name)
        unknown = trainings[chosen[0]].unknown_until is not None
        found.append(_fit(made, rows, classes, folds, STRENGTH["embedding"], name, unknown))
        left = np.setdiff1d(places, chosen[1])
    if len(left):
        name = "cross-fitted on pixels"
        found.append(_fit(_extract(storage, rows, left, _shrink, np.stack, 256, name), rows, classes, folds,
                          STRENGTH["pixels"], name))
    return found


def _choose_version(rows: Sequence[Row], places: np.ndarray, trainings: Mapping[str, Training],
                    appeared: Mapping[str, int]) -> tuple[str, np.ndarray] | None:
    """Chooses the version that is clean for most of the rows, of several the newest; None where none is for any."""
    best: tuple[str, np.ndarray] | None = None
    for version, training in trainings.items():
        clean = np.array([n for n in places if training.is_clean(
            rows[n]["image_sha256"], appeared.get(rows[n]["image_sha256"]))], np.int64)
        if len(clean) and (best is None or len(clean) > len(best[1])):
            best = version, clean
    return best


def _open(registry: Registry, version: str) -> Embedder | None:
    """Loads the network of a version; None without torch, or where it cannot be used."""
    if find_spec("torch") is None:
        return None
    from inference.model.embedding import Embedder

    try:
        return Embedder(*registry.load(version))
    except TrueupError as error:
        pass_over(error)
        return None


def _extract(storage: Storage, rows: Sequence[Row], places: np.ndarray, prepare: Any, embed: Any, size: int,
             what: str) -> tuple[np.ndarray, np.ndarray]:
    """Makes the features of rows: (places whose picture is there, float [those, features])."""
    there: list[int] = []
    ready: list[Any] = []
    parts: list[np.ndarray] = []
    with ThreadPoolExecutor(READERS) as pool, progress(f"read the pictures, {what}", len(places), "pictures") as shown:
        for place, prepared in zip(places, pool.map(lambda n: prepare_picture(
                storage, rows[n]["image_sha256"], rows[n]["image_uri"], prepare), places), strict=True):
            shown.advance()
            if prepared is not None:
                there.append(int(place))
                ready.append(prepared)
            if len(ready) == size:
                parts.append(embed(ready))
                ready = []
    parts += [embed(ready)] if ready else []
    return np.array(there, np.int64), np.concatenate(parts) if parts else np.empty((0, 1))


def _shrink(data: bytes) -> np.ndarray:
    """The pixels of a picture of SIDE x SIDE, float64 [SIDE * SIDE * 3], 0 to 255; BadImage when it cannot be decoded."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (4 * SIDE, 4 * SIDE))
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadImage(f"expected an image, got: {error}") from error
    return np.asarray(small, np.float64).ravel()


def _fit(made: tuple[np.ndarray, np.ndarray], rows: Sequence[Row], classes: Sequence[str], folds: int, strength: float,
         name: str, unknown: bool = False) -> Judged:
    """Fits a head on all folds but one, and lets it judge that one; a class that it has not learnt is not judged."""
    places, x = made
    order = {label: n for n, label in enumerate(classes)}
    given = np.array([order[rows[n]["label"]] for n in places], np.int64)
    fold = np.array([fold_of(rows[n]["image_sha256"], folds) for n in places], np.int64)
    p, judged = np.zeros((len(places), len(classes))), np.zeros(len(places), bool)
    for k in range(folds):
        learn, ask = fold != k, fold == k
        known = np.unique(given[learn])
        if len(known) < 2 or not ask.any():
            continue
        p[np.ix_(ask, known)] = _learn(x[learn], given[learn], x[ask], strength)
        judged |= ask & np.isin(given, known)
    return Judged(name, places[judged], p[judged], unknown)


def _learn(x: np.ndarray, given: np.ndarray, asked: np.ndarray, strength: float) -> np.ndarray:
    """Probabilities of the classes in `given`, in their order, for the rows `asked`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scale = StandardScaler().fit(x)
    with threadpool_limits(1):  # threads that wait for each other take longer on so small a problem
        head = LogisticRegression(C=strength, max_iter=1000, tol=1e-3).fit(scale.transform(x), given)
        return np.asarray(head.predict_proba(scale.transform(asked)))
