"""The model registry: immutable versions, and a history in which every change of what is live is one record.

Nothing here is ever overwritten but `live.json`, a copy for people and other programs. Two publishers cannot both
win: a record is created under the next number, exclusively (contract.sequence).
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from contract import clock, jsonio, layout
from contract.deciding.names import require_unused, require_weights
from contract.documents.card import Card
from contract.documents.history import Claim, HistoryEntry, State
from contract.documents.rests_on import hash_grounds
from contract.errors import (
    AlreadyExists,
    BadWeights,
    DamagedDocument,
    NoConditionalWrites,
    NoSuchModel,
    NoSuchVersion,
    NotFound,
    PointerMoved,
)
from contract.sequence import NumberedDocuments
from contract.stores.store import Storage, create_if_absent

VERSION = re.compile("[1-9][0-9]{0,18}")
# Fields of the state and their new values, or a function that makes these of the state that is changed.
Update = Mapping[str, Any] | Callable[[State], Mapping[str, Any]]


class Registry:
    """The versions and the history of one model under one root."""

    def __init__(self, storage: Storage, model: str) -> None:
        self.storage, self.model = storage, model
        self._history = NumberedDocuments(storage, layout.history(model), begin=self.read_copied_number)
        self._claims = NumberedDocuments(storage, layout.claim(model))

    # -- versions ---------------------------------------------------------------------------------------------------

    def claim(self, by: str, run: str | None = None) -> str:
        """Takes the next version number for good. A run that asks again (after a crash) gets the one it has."""
        if run and (mine := self._claim_of(run)):
            return mine
        return str(self._claims.add(Claim(by=by, run=run, at=clock.iso(clock.now())).to_dict()))

    def _claim_of(self, run: str) -> str | None:
        for n in range(self._claims.newest_number(), 0, -1):
            try:
                if Claim.load(self.storage, self._claims.key(n)).run == run:
                    return str(n)
            except DamagedDocument:  # it is not this run's, or the run gets another number: none is given twice
                continue
        return None

    def newest_claim(self) -> int:
        """The highest number that was claimed, 0 before the first; the one after it is given next."""
        return self._claims.newest_number()

    def reserve(self, version: str, by: str) -> list[str]:
        """Claims every number up to a version's, so that none is given again: those of a registry that lost claims.

        Returns those that it claimed.
        """
        claim, taken = Claim(by=by, at=clock.iso(clock.now())).to_dict(), []
        for n in range(1, int(check_version(version)) + 1):
            if create_if_absent(self.storage, self._claims.key(n), jsonio.dumps(claim)):
                taken.append(str(n))
        self._claims.forget()
        return taken

    def write_version(self, card: Card, weights: Path, network: Path | None = None) -> None:
        """Weights first, card last. Written again with the same card, nothing changes; with another, AlreadyExists.

        `network`: what the card's `converted` names.
        """
        key = layout.card(self.model, card.version)
        found = file_sha256(weights)
        if found != card.weights_sha256:
            raise BadWeights(f"{weights}: its card says sha256 {card.weights_sha256}, the file has {found}. Make it again.")
        if not self.storage.exists(key):
            self.storage.put_file(layout.weights(self.model, card.version), weights)
            if network is not None:
                self.storage.put_file(layout.network(self.model, card.version, card.runtime), network)
        try:
            self.storage.create(key, card.to_bytes())
        except AlreadyExists:
            if Card.load(self.storage, key).weights_sha256 != card.weights_sha256:
                raise

    def versions(self) -> list[str]:
        """Versions that have a card, in order of their numbers."""
        names = self.storage.folders(layout.versions(self.model))
        # A question for each would take long on S3.
        there = {entry.key for entry in self.storage.list(layout.versions(self.model))}
        made = [n for n in names if VERSION.fullmatch(n) and layout.card(self.model, n) in there]
        return sorted(made, key=int)

    def card(self, version: str) -> Card:
        """The card of a version; NoSuchVersion names those that there are."""
        return self._read_card(version)[0]

    def _read_card(self, version: str) -> tuple[Card, str]:
        """The card of a version, and the sha256 of its bytes."""
        key = layout.card(self.model, version)
        try:
            if not VERSION.fullmatch(version):  # of other services' logs, which may say anything
                raise NotFound(version)
            data = self.storage.read(key)
        except NotFound:
            there = ", ".join(self.versions()) or "none"
            raise NoSuchVersion(f"model {self.model!r} has no version {version!r}; it has: {there}.") from None
        return Card.parse(jsonio.parse(data, self.storage.uri(key)), self.storage.uri(key)), hashlib.sha256(data).hexdigest()

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
        """The safetensors bytes of a version; see `load`."""
        return self.load(version)[1]

    def load(self, version: str) -> tuple[Card, bytes]:
        """The card of a version and its safetensors bytes, which are what was published.

        BadWeights: the weights have another sha256 than the card says, or the card another than the history says.
        """
        card, digest = self._read_card(version)
        newest, _ = self.newest_known()
        self._check_card(version, digest, self._find_cards(newest))
        data = self.storage.read(layout.weights(self.model, version))
        found = hashlib.sha256(data).hexdigest()
        if found != card.weights_sha256:
            raise BadWeights(f"{self.model} version {version}: the card says sha256 {card.weights_sha256}, the weights "
                             f"have {found}. The file was damaged or replaced; publish the version again.")
        return card, data

    def load_converted(self, card: Card) -> bytes | None:
        """The network that a card names as converted, None where it names none. BadWeights: it has another sha256."""
        if card.converted is None:
            return None
        key = layout.network(self.model, card.version, card.runtime)
        data = self.storage.read(key)
        found = hashlib.sha256(data).hexdigest()
        if found != card.converted.sha256:
            raise BadWeights(f"{self.model} version {card.version}: the card says sha256 {card.converted.sha256} of its network "
                             f"for {card.runtime}, {self.storage.uri(key)} has {found}. The file was damaged or replaced; "
                             f"convert the version again.")
        return data

    def hash_card(self, version: str) -> str:
        """The sha256 of a card's bytes; NoSuchVersion."""
        return self._read_card(version)[1]

    def _check_card(self, version: str, digest: str, cards: Mapping[str, str]) -> None:
        """A card that was changed after its version was live would vouch for any weights."""
        expected = cards.get(version, digest)
        if digest != expected:
            raise BadWeights(f"{self.model} version {version}: the history says that its card has the sha256 {expected}, it has "
                             f"{digest}. It was changed after it was made live. Restore {layout.card(self.model, version)}, or "
                             f"publish again, which makes a new version.")

    def _find_cards(self, newest: HistoryEntry | None) -> dict[str, str]:
        """The hashes of cards that the newest record keeps. A release that did not know them leaves them out of its records:
        then those of the record before hold."""
        while newest is not None and "cards" not in newest.state.model_fields_set:
            newest = self._find_readable(newest.seq - 1)
        return newest.state.cards if newest else {}

    # -- history ----------------------------------------------------------------------------------------------------

    def newest(self) -> HistoryEntry | None:
        """The newest history record, or None before the first. DamagedDocument says how it is repaired."""
        with suppress(DamagedDocument):
            return self._read_newest()
        self._history.forget()  # it may have been repaired since it was read
        try:
            return self._read_newest()
        except DamagedDocument as error:
            n = self._history.newest_number()
            repair = (f"{layout.live(self.model)} is a copy of that record: put it in its place."
                      if self._read_copy(n) else "Until then nothing can be made live.")
            raise DamagedDocument(f"{error} {repair}") from error

    def _read_newest(self) -> HistoryEntry | None:
        found = self._history.newest()
        return self._parse(*found) if found else None

    def newest_known(self) -> tuple[HistoryEntry | None, str | None]:
        """The newest record and None; where it is damaged, what is known of it, and what is wrong with it.

        That is its copy in `live.json`, or else the record before it. For those who go on with what there is; who
        changes something asks `newest`.
        """
        try:
            return self.newest(), None
        except DamagedDocument as error:
            n = self._history.newest_number()
            if (copy := self._read_copy(n)) is not None:
                return copy, str(error)
            return self._find_readable(n - 1), str(error)

    def _find_readable(self, last: int) -> HistoryEntry | None:
        for n in range(last, 0, -1):
            with suppress(DamagedDocument, NotFound):
                return self._parse(n, self._history.get(n))
        return None

    def _parse(self, n: int, value: Any) -> HistoryEntry:
        record = HistoryEntry.parse(value, self._history.uri(n))
        if record.seq != n:
            raise DamagedDocument(f"{self._history.uri(n)}: expected record {n}, got record {record.seq}. Restore the file "
                                  f"from a copy.")
        return record

    def _read_copy(self, n: int) -> HistoryEntry | None:
        """`live.json`, where it is whole and a copy of record n."""
        try:
            copy = HistoryEntry.load(self.storage, layout.live(self.model))
        except (NotFound, DamagedDocument):
            return None
        return copy if copy.seq == n else None

    def read_copied_number(self) -> int:
        """The number in live.json, 0 when it tells none. A copy is only where to begin: what counts are the records."""
        try:
            return int(jsonio.loads(self.storage.read(layout.live(self.model)))["seq"])
        except (NotFound, ValueError, KeyError, TypeError):
            return 0

    def history(self) -> list[HistoryEntry]:
        """All records, oldest first. DamagedDocument names one that cannot be read."""
        newest = self.newest()
        return [self._parse(n, self._history.get(n)) for n in range(1, newest.seq + 1)] if newest else []

    def history_known(self) -> tuple[list[HistoryEntry], list[str]]:
        """The records that can be read, oldest first; and what is wrong with the others."""
        records, damaged = [], []
        for n in range(1, self._history.newest_number() + 1):
            try:
                records.append(self._parse(n, self._history.get(n)))
            except (DamagedDocument, NotFound) as error:
                damaged.append(str(error))
        return records, damaged

    def live(self) -> str:
        """The live version; NoSuchModel when nothing was ever promoted."""
        newest = self.newest()
        if newest is not None and newest.state.live is None and newest.state.cards:
            raise NoSuchModel(f"model {self.model!r} was retired: no version of it is live (since when: trueup model history). "
                              f"Make one live again: trueup model promote.")
        if newest is None or newest.state.live is None:
            raise NoSuchModel(f"model {self.model!r} was never published under {self.storage.root}. "
                              f"Models there: {', '.join(models(self.storage)) or 'none'}. Publish one: trueup publish.")
        return newest.state.live

    def promote(self, version: str, by: str, reason: str, expected_live: str | None, run: str | None = None,
                kind: str = "promote", further: Mapping[str, Any] | None = None,
                require: Callable[[State], None] | None = None) -> HistoryEntry:
        """Makes a version live, if `expected_live` still is, and ends a canary. PointerMoved otherwise.

        A run that asks again finds its own record and changes nothing. Rollback is a promotion of an older version.
        `further`: what else its record says; `require`: see `change`.
        """
        card, digest = self._read_card(version)
        done = self._record_of(run, version) if run else None
        if done:
            self.publish_copy()
            return done
        newest = self.newest()
        state = newest.state if newest else State()
        self._require(state, expected_live, version)
        self._check_card(version, digest, self._find_cards(newest))
        self.check_conditional_writes()
        return self.change({"kind": kind, "version": version, "by": by, "reason": reason, "run": run,
                            "replaces": expected_live, "rests_on": hash_grounds(self.storage, self.model, run, card.dataset),
                            **(further or {})}, {"live": version, "canary": None}, expected_live, {version: digest}, require)

    def _record_of(self, run: str, version: str) -> HistoryEntry | None:
        for record in reversed(self.history_known()[0]):
            if record.change.get("run") == run and record.change.get("version") == version == record.state.live:
                return record
        return None

    def change(self, change: dict[str, Any], update: Update, expected_live: str | None,
               cards: dict[str, str] | None = None, require: Callable[[State], None] | None = None) -> HistoryEntry:
        """Appends a record whose state is the newest one with `update`; tries again while `live` stays as expected.

        An update that adds to what the state has is a function of it: so nothing is lost that a record written meanwhile added.
        `cards`: version -> sha256 of the card's bytes, kept beside those of the versions that were live before. `require` raises
        when the state that would be changed is not the one that this was decided for.
        """
        while True:
            newest = self.newest()
            state = newest.state if newest else State()
            made = update(state) if callable(update) else update
            self._require(state, expected_live, made.get("live"))
            if require:
                require(state)
            seq = newest.seq if newest else 0
            kept = self._find_cards(newest) | (cards or {})
            record = HistoryEntry(seq=seq + 1, at=clock.iso(clock.now()), change=change, previous=self._hash_record(seq),
                                  state=state.model_copy(update={**made, "cards": kept}))
            try:
                self._history.append(record.to_dict(), after=seq)
            except AlreadyExists:
                continue
            self.publish_copy()
            return record

    def _hash_record(self, seq: int) -> str | None:
        return hashlib.sha256(self.storage.read(self._history.key(seq))).hexdigest() if seq else None

    def _require(self, state: State, expected_live: str | None, version: str | None) -> None:
        """PointerMoved when another version is live than was expected, NoSuchVersion when the one to be has no weights."""
        if state.live != expected_live:
            raise PointerMoved(f"model {self.model!r}: version {expected_live} was live when this was decided, now "
                               f"it is {state.live}. Look at `trueup model history` and decide again.")
        if version is not None:
            require_weights(self.model, state, version)

    def delete(self, version: str, by: str, reason: str) -> HistoryEntry:
        """Removes the weights of a version that is not live. Its card stays, for lineage and the leakage check.

        The record comes first: no promotion can come between it and the removal.
        """
        card = self.card(version)
        newest = self.newest()
        state = newest.state if newest else State()
        require_unused(self.model, state, version)
        if newest is None or version not in state.deleted:
            newest = self.change({"kind": "delete", "version": version, "by": by, "reason": reason},
                                 lambda now: {"deleted": sorted({*now.deleted, version}, key=lambda v: (len(v), v))}, state.live,
                                 require=lambda now: require_unused(self.model, now, version))
        self.storage.delete(layout.weights(self.model, version))
        if card.converted is not None:
            self.storage.delete(layout.network(self.model, version, card.runtime))
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
    """Names of the models under a root; a folder of somebody else's, such as a hidden one, is none."""
    names = ((folder, layout.decode_name(folder)) for folder in storage.folders(layout.models()))
    return [name for folder, name in names if not folder.startswith(".") and layout.encode_name(name) == folder]


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_version(text: str) -> str:
    """A version number as it is written: '1', '2', …"""
    if not VERSION.fullmatch(text):
        raise NoSuchVersion(f"expected a version such as 3, got {text!r}.")
    return text
