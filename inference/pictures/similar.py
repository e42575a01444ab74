"""Pictures that look like one: by perceptual hash, over the newest rows that pass the filters, for about a second.

Hashes are kept in memory, so that each look goes farther than the one before.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import numpy as np

from contract import clock
from contract.errors import BadImage, NotFound
from contract.stores.store import Storage
from inference.model import preprocess
from inference.model.perceptual_hash import phash, popcount
from inference.pictures.question import Question
from inference.pictures.search import Found, Search
from inference.pictures.thumbnails import read_picture

LOOKED_AT = 2000  # rows
NEAR_BITS = 20  # of 64; half of them are what two unrelated pictures differ in
BUDGET_S = 1.2
HELD = 500_000


class Similar:
    """The perceptual hashes of one root's pictures. Threads may share it."""

    def __init__(self, storage: Storage, search: Search, max_pixels: int) -> None:
        self.storage, self.search, self.max_pixels = storage, search, max_pixels
        self._held: OrderedDict[str, int | None] = OrderedDict()

    def find(self, question: Question, wanted: int, hides_audits: bool) -> tuple[Found, int, bool]:
        """Finds the rows whose pictures are nearest, each with its `bits` apart, nearest first; the picture itself is left out.

        Returns them with how many pictures were compared, and whether all were that were to be.
        """
        assert question.similar is not None
        own = self.hash(question.similar)
        looked = self.search.find(replace(question, similar=None, after=None), LOOKED_AT, hides_audits)
        if own is None:
            return replace(looked, rows=[], more=False), 0, True
        seen: dict[str, dict[str, Any]] = {}
        for row in looked.rows:  # one picture that was sent twice is shown once
            if row["image_sha256"] and row["stored"] and row["image_sha256"] != question.similar:
                seen.setdefault(row["image_sha256"], row)
        known, whole = self._hash_all(list(seen))
        names = list(known)
        words = np.asarray([known[name] for name in names], np.int64).view(np.uint64)
        bits = popcount(words ^ np.asarray([own], np.int64).view(np.uint64)) if names else np.zeros(0, np.int64)
        near = [n for n in np.argsort(bits, kind="stable").tolist() if bits[n] <= NEAR_BITS][:wanted]
        rows = [seen[names[n]] | {"bits": int(bits[n])} for n in near]
        return replace(looked, rows=rows, more=False), len(names), whole

    def _hash_all(self, names: list[str]) -> tuple[dict[str, int], bool]:
        began = clock.monotonic()
        known: dict[str, int] = {}
        erased = self.search.list_erased()
        for name in names:
            if name not in self._held and clock.monotonic() - began > BUDGET_S:
                return known, False
            value = None if name in erased else self.hash(name)
            if value is not None:
                known[name] = value
        return known, True

    def hash(self, sha256: str) -> int | None:
        """Returns the perceptual hash of a stored picture; None when it is not there, or cannot be decoded. RootError."""
        if sha256 not in self._held:
            self._held[sha256] = self._compute(sha256)
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return self._held[sha256]

    def _compute(self, sha256: str) -> int | None:
        try:
            data = read_picture(self.storage, sha256)
            if data is None:
                return None
            preprocess.inspect(data, self.max_pixels)
            return phash(preprocess.decode_visible(data))
        except (BadImage, NotFound):
            return None
