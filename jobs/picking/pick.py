"""Picks of a window: candidates found, looked at, chosen, and described; nothing is sent here (jobs/picking/command.py).

The choice follows from the rows and the pictures. What was picked before and is not answered may be chosen again, so
a second run on the same rows chooses and sends nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contract.deciding.formats import list_answering
from contract.documents import manifest
from contract.documents.manifest import read_index
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.registry import Registry
from contract.review import listed
from contract.review.listed import DIVERSE
from contract.rows.items import list_erased
from contract.stores.store import Storage
from jobs.engines.question import Question
from jobs.picking.candidates import ASKED, Candidate, find_candidates
from jobs.picking.choose import choose, find_far, make_look_of_hashes, take_from_each, weigh
from jobs.picking.look import Looks, look_at
from jobs.pictures.embed import Unknown, open_embedder

if TYPE_CHECKING:
    from inference.model.embedding import Embedder

NEAR_KNOWN, UNREADABLE = "nearly a picture that has a label", "picture missing or damaged"


@dataclass(frozen=True)
class Wanted:
    """What is asked for: `items` pictures of at most `looked` that are looked at, within `near_bits` of none that is known."""

    items: int
    looked: int
    near_bits: int
    embeddings: bool = True


@dataclass(frozen=True)
class Picks:
    """What was chosen, in order, of how many candidates; `without` says why no embeddings were used, None: they were."""

    version: str
    chosen: list[Candidate]
    candidates: int
    looked_at: int
    left_out: dict[str, int]
    without: str | None


def pick(storage: Storage, question: Question, days: Sequence[str], wanted: Wanted) -> Picks:
    """Chooses which pictures of some days to label next. NoSuchModel: no version is live."""
    registry = Registry(storage, question.model)
    newest = registry.newest()
    live = registry.live()
    hashes = _read_dataset(storage, registry, live)
    answering = list_answering(newest.state if newest else None)
    found = find_candidates(storage, days, question, answering, hashes, list_erased(storage))
    others = _read_listed(storage, question.model, days)
    candidates = [one for one in found.candidates if one.prediction_id not in others]
    out = dict(found.left_out)
    if len(candidates) < len(found.candidates):
        out[ASKED] = out.get(ASKED, 0) + len(found.candidates) - len(candidates)
    some = [candidates[n] for n in take_from_each(np.array([one.unsure for one in candidates]),
                                                  [one.predicted for one in candidates], wanted.looked)]
    some.sort(key=lambda one: one.sha256)
    embedder, without = _open(storage, question.model, live, wanted, bool(some))
    looks = look_at(storage, [(one.sha256, one.uri) for one in some], embedder, "the candidates")
    known = look_at(storage, found.known[:wanted.looked], embedder, "labelled pictures")
    left = find_far(looks.near, {*hashes.values(), *known.near.tolist()} - {None}, wanted.near_bits)
    out |= {reason: n for reason, n in ((UNREADABLE, len(some) - len(looks.places)), (NEAR_KNOWN, int((~left).sum())))
            if n}
    weight = weigh(np.array([some[n].unsure for n in looks.places])[left], found.learnt)
    places = choose(_read_look(looks)[left], weight, looks.near[left], wanted.items, wanted.near_bits,
                    _read_look(known) if known.places else None)
    chosen = [some[looks.places[n]] for n in np.flatnonzero(left)[places]]
    return Picks(live, chosen, len(candidates), len(some), dict(sorted(out.items())), without)


def _read_dataset(storage: Storage, registry: Registry, version: str) -> dict[str, int]:
    """Image hash -> perceptual hash of the pictures that a version learnt from or was judged by; empty where it is not known."""
    card = registry.card(version)
    if card.dataset is None:
        return {}
    try:
        table = read_index(storage, manifest.load(storage, card.dataset), ("image_sha256", "near"))
    except (NotFound, DamagedDocument) as error:
        pass_over(error)
        return {}
    return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _read_listed(storage: Storage, model: str, days: Sequence[str]) -> set[str]:
    """Reads which predictions of some days were listed for another reason, or blind: they are asked about anyway."""
    return {name for day in days for blind in (False, True)
            for name, (strategy, _) in listed.read(storage, model, day, blind).items() if blind or strategy != DIVERSE}


def _open(storage: Storage, model: str, version: str, wanted: Wanted, needed: bool) -> tuple[Embedder | None, str | None]:
    if not wanted.embeddings:
        return None, "they were not asked for"
    try:
        return (open_embedder(storage, model, version), None) if needed else (None, None)
    except Unknown as error:
        return None, str(error)


def _read_look(looks: Looks) -> np.ndarray:
    return make_look_of_hashes(looks.near) if looks.embeddings is None else looks.embeddings
