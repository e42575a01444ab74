"""The model registry: immutable versions, and a history in which every change of what is live is one record.

Nothing here is ever overwritten but `live.json`, a copy for people and other programs. Two publishers cannot both
win: a record is created under the next number, exclusively (contract.sequence).
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contract import clock, jsonio, layout
from contract.documents.card import Card
from contract.documents.document import Document
from contract.errors import (
    AlreadyExists,
    BadWeights,
    NoConditionalWrites,
    NoSuchModel,
    NoSuchVersion,
    NotFound,
    PointerMoved,
    UsageError,
)
from contract.sequence import NumberedDocuments
from contract.stores.store import Storage, create_if_absent


class State(Document):
    """All that can change about a model: what is live, aliases, thresholds, gate overrides, versions without weights."""

    live: str | None = None
    aliases: dict[str, str] = {}
    thresholds: dict[str, float] = {}
    overrides: list[dict[str, Any]] = []
    deleted: list[str] = []


class HistoryEntry(Document):
    """One history record: the change and the whole state after it."""

    seq: int
    at: str
    change: dict[str, Any]
    state: State


class Registry:
    """The versions and the history of one model under one root."""

    def __init__(self, storage: Storage, model: str) -> None:
        self.storage, self.model = storage, model
        self._history = NumberedDocuments(storage, layout.history(model), begin=self._read_copied_number)
        self._claims = NumberedDocuments(storage, layout.claim(model))

    # -- versions ---------------------------------------------------------------------------------------------------

    def claim(self, by: str, run: str | None = None) -> str:
        """Takes the next version number for good. A run that asks again (after a crash) gets the one it has."""
        if run and (mine := self._claim_of(run)):
            return mine
        return str(self._claims.add({"by": by, "run": run, "at": clock.iso(clock.now())}))

    def _claim_of(self, run: str) -> str | None:
        newest = self._claims.newest()
        for n in range(newest[0] if newest else 0, 0, -1):
            if self._claims.get(n).get("run") == run:
                return str(n)
        return None

    def write_version(self, card: Card, weights: Path) -> None:
        """Weights first, card last. Written again with the same card, nothing changes; with another, AlreadyExists."""
        key = layout.card(self.model, card.version)
        found = file_sha256(weights)
        if found != card.weights_sha256:
            raise BadWeights(f"{weights}: its card says sha256 {card.weights_sha256}, the file has {found}. Make it again.")
        if not self.storage.exists(key):
            self.storage.put_file(layout.weights(self.model, card.version), weights)
        try:
            self.storage.create(key, card.to_bytes())
        except AlreadyExists:
            if Card.load(self.storage, key).weights_sha256 != card.weights_sha256:
                raise

    def versions(self) -> list[str]:
        """Versions that have a card, in order of their numbers."""
        names = self.storage.folders(layout.versions(self.model))
        made = [n for n in names if n.isdigit() and self.storage.exists(layout.card(self.model, n))]
        return sorted(made, key=int)

    def card(self, version: str) -> Card:
        """The card of a version; NoSuchVersion names those that there are."""
        try:
            return Card.load(self.storage, layout.card(self.model, version))
        except NotFound:
            there = ", ".join(self.versions()) or "none"
            raise NoSuchVersion(f"model {self.model!r} has no version {version!r}; it has: {there}.") from None

    def ancestors(self, *versions: str, missing_ok: bool = False) -> Iterator[Card]:
        """Yields the cards of versions and of all that they descend from, each once: these first, then their parents.

        NoSuchVersion: one of them has no card here (`missing_ok`: it ends the line).
        """
        waiting, seen = list(versions), set[str]()
        there = set(self.versions()) if missing_ok else set()
        while waiting:
            version = waiting.pop(0)
            if version in seen:
                continue
            seen.add(version)
            if missing_ok and version not in there:
                continue
            card = self.card(version)
            yield card
            if card.parent is not None:
                waiting.append(card.parent)

    def weights(self, version: str) -> bytes:
        """The safetensors bytes of a version, checked against the card's sha256."""
        card = self.card(version)
        data = self.storage.read(layout.weights(self.model, version))
        found = hashlib.sha256(data).hexdigest()
        if found != card.weights_sha256:
            raise BadWeights(f"{self.model} version {version}: the card says sha256 {card.weights_sha256}, the weights "
                             f"have {found}. The file was damaged or replaced; publish the version again.")
        return data

    # -- history ----------------------------------------------------------------------------------------------------

    def newest(self) -> HistoryEntry | None:
        """The newest history record, or None before the first."""
        found = self._history.newest()
        return HistoryEntry.parse(found[1], self.storage.uri(self._history.key(found[0]))) if found else None

    def _read_copied_number(self) -> int:
        """The number in live.json, 0 when it tells none. A copy is only where to begin: what counts are the records."""
        try:
            return int(jsonio.loads(self.storage.read(layout.live(self.model)))["seq"])
        except (NotFound, ValueError, KeyError, TypeError):
            return 0

    def history(self) -> list[HistoryEntry]:
        """All records, oldest first."""
        newest = self.newest()
        numbers = range(1, newest.seq + 1) if newest else ()
        return [HistoryEntry.parse(self._history.get(n), self._history.key(n)) for n in numbers]

    def live(self) -> str:
        """The live version; NoSuchModel when nothing was ever promoted."""
        newest = self.newest()
        if newest is None or newest.state.live is None:
            raise NoSuchModel(f"model {self.model!r} was never published under {self.storage.root}. "
                              f"Models there: {', '.join(models(self.storage)) or 'none'}. Publish one: trueup publish.")
        return newest.state.live

    def promote(self, version: str, by: str, reason: str, expected_live: str | None, run: str | None = None,
                kind: str = "promote") -> HistoryEntry:
        """Makes a version live, if `expected_live` still is. PointerMoved otherwise.

        A run that asks again finds its own record and changes nothing. Rollback is a promotion of an older version.
        """
        self.card(version)
        self.check_conditional_writes()
        done = self._record_of(run, version) if run else None
        if done:
            self.publish_copy()
            return done
        return self.change({"kind": kind, "version": version, "by": by, "reason": reason, "run": run,
                            "replaces": expected_live}, {"live": version}, expected_live)

    def _record_of(self, run: str, version: str) -> HistoryEntry | None:
        for record in reversed(self.history()):
            if record.change.get("run") == run and record.change.get("version") == version:
                return record
        return None

    def change(self, change: dict[str, Any], update: dict[str, Any], expected_live: str | None) -> HistoryEntry:
        """Appends a record whose state is the newest one with `update`; tries again while `live` stays as expected."""
        while True:
            newest = self.newest()
            state = newest.state if newest else State()
            if state.live != expected_live:
                raise PointerMoved(f"model {self.model!r}: version {expected_live} was live when this was decided, now "
                                   f"it is {state.live}. Look at `trueup model history` and decide again.")
            if update.get("live") in state.deleted:
                raise NoSuchVersion(f"{self.model} version {update['live']}: its weights were deleted, only its card is left. "
                                    f"Name another version, or train it again.")
            seq = newest.seq if newest else 0
            record = HistoryEntry(seq=seq + 1, at=clock.iso(clock.now()), change=change,
                            state=state.model_copy(update=update))
            try:
                self._history.append(record.to_dict(), after=seq)
            except AlreadyExists:
                continue
            self.publish_copy()
            return record

    def delete(self, version: str, by: str, reason: str) -> HistoryEntry:
        """Removes the weights of a version that is not live. Its card stays, for lineage and the leakage check.

        The record comes first: no promotion can come between it and the removal.
        """
        self.card(version)
        newest = self.newest()
        state = newest.state if newest else State()
        if state.live == version:
            raise UsageError(f"{self.model} version {version} is live. Make another version live first: trueup model promote.")
        if newest is None or version not in state.deleted:
            newest = self.change({"kind": "delete", "version": version, "by": by, "reason": reason},
                                 {"deleted": sorted([*state.deleted, version], key=int)}, state.live)
        self.storage.delete(layout.weights(self.model, version))
        return newest

    def publish_copy(self) -> None:
        """Writes live.json; repeats when the history moved meanwhile, so that the copy ends up as the newest."""
        while (newest := self.newest()) is not None:
            self.storage.put(layout.live(self.model), newest.to_bytes())
            if self.newest() == newest:
                return

    def check_conditional_writes(self) -> None:
        """Refuses a store on which two publishers could both win."""
        probe, body = layout.probe(self.model), jsonio.dumps({"probe": "conditional writes"})
        self.storage.put(probe, body)
        if create_if_absent(self.storage, probe, body):
            raise NoConditionalWrites(f"{self.storage.root}: expected the store to refuse a second creation of {probe} "
                                      f"(If-None-Match: *), it did not. Publishing is refused there; use another store.")


def models(storage: Storage) -> list[str]:
    """Names of the models under a root."""
    return [layout.decode_name(f) for f in storage.folders(layout.models())]


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_version(text: str) -> str:
    """A version number as it is written: '1', '2', …"""
    if not re.fullmatch(r"[1-9]\d*", text):
        raise NoSuchVersion(f"expected a version such as 3, got {text!r}.")
    return text
