"""One day of one table: what lies there, and the steps from many files to few (docs/decisions/0016-many-small-files.md).

Each step ends with one exclusive creation, or can be repeated, so a process may die anywhere:

pack    files are packed aside; the next document names them: from then on our readers take them
show    a day later (`compact.grace_hours`) other programs get the packed files instead of the originals
clean   a day after that, what nobody may have listed any more is removed
"""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contract import clock, layout
from contract.documents.compaction import Compaction, Part
from contract.errors import AlreadyExists, Mismatch, NotFound
from contract.rows.listing import RowFile, find_newest, find_newest_number, take_once
from contract.sequence import NumberedDocuments
from contract.settings import CompactSettings
from contract.stores.store import Entry, Storage, create_if_absent
from jobs.compacting.pack import pack, write_part
from jobs.compacting.sources import group, read_sources

AT_ONCE = 16


@dataclass
class Done:
    """What was done to a day of one table; `left` names the files that could not be packed, and why."""

    table: str
    day: str
    packed: int = 0  # files that are read as fewer from now on
    into: int = 0
    rows: int = 0
    shown: int = 0  # packed files that other programs see from now on
    removed: int = 0
    waits_until: str | None = None  # other programs see the packed files then
    left: dict[str, str] = field(default_factory=dict)


class Folder:
    """A day of one table, as it was listed last."""

    def __init__(self, storage: Storage, table: str, day: str, settings: CompactSettings) -> None:
        self.storage, self.table, self.day, self.settings = storage, table, day, settings
        self.documents = NumberedDocuments(storage, layout.compactions(table, day))
        self.done = Done(table, day)
        self.look()

    def look(self) -> None:
        """Lists the folder again."""
        self.listed: list[Entry] = sorted(self.storage.list(layout.day_folder(self.table, self.day)))
        self.newest = find_newest(self.storage, self.table, self.day, self.listed)
        self.number = find_newest_number(self.listed)
        self.files: list[RowFile] = take_once(self.listed, self.newest)

    def is_due(self) -> bool:
        """Whether every reader that may have listed the folder before the newest document is done."""
        return self.newest is not None and clock.from_us(int(self.storage.now() * 1e6)) >= self.find_due()

    def find_due(self) -> datetime:
        """When `is_due` becomes true."""
        assert self.newest is not None
        return clock.parse_moment(self.newest.at) + timedelta(hours=self.settings.grace_hours)

    def list_small(self) -> list[RowFile]:
        """The files that are to be packed: none unless they are as many as the setting says."""
        if self.newest is not None and not self.newest.is_shown:
            return []
        small = [file for file in self.files if file.size <= self.settings.part_mib << 19]
        return small if len([f for f in small if not f.made_of]) >= self.settings.files else []

    def list_outdated(self) -> list[str]:
        """Keys that no reader takes any more: originals, and earlier packed files and documents."""
        if self.newest is None:
            return []
        replaced = {name for part in self.newest.parts for name in part.names}
        named = {part.key for part in self.newest.parts} | {part.aside for part in self.newest.parts}
        return [e.key for e in self.listed if e.key not in named
                and ((e.key, str(e.size), e.etag) in replaced or layout.is_packed(e.key) or self._is_before(e.key))]

    def _is_before(self, key: str) -> bool:
        found = layout.find_compaction(key)
        if found is None:
            return False
        number = int(found["number"])
        return number < self.number or (number == self.number and found["ending"] != "json")

    def advance(self) -> Done:
        """Does what can be done now. A step that another process did meanwhile is left to it."""
        try:
            if self.newest is not None and not self.newest.is_shown:
                self.show() if self.is_due() else None
            elif self.newest is not None and self.list_outdated() and self.is_due():
                self.remove(self.list_outdated())
            if small := self.list_small():
                self.pack(small)
        except AlreadyExists:
            self.look()
        if self.newest is not None and not self.newest.is_shown:
            self.done.waits_until = clock.iso(self.find_due())
        return self.done

    def foresee(self) -> Done:
        """What `advance` would do, by the listing alone: how many files become how few needs their rows."""
        if self.newest is not None and not self.newest.is_shown:
            if self.is_due():
                self.done.shown = sum(part.aside is not None for part in self.newest.parts)
                self.done.removed = len([key for key in self.list_outdated() if layout.holds_rows(key)])
            else:
                self.done.waits_until = clock.iso(self.find_due())
        elif (outdated := self.list_outdated()) and self.is_due():
            self.done.removed = len(outdated)
        self.done.packed = len(self.list_small())
        return self.done

    def pack(self, small: list[RowFile]) -> None:
        """Packs files aside and names them in the next document."""
        parts, attempt = list(self.newest.parts) if self.newest else [], os.urandom(4).hex()
        made: list[Part] = []
        taken: list[RowFile] = []
        sources = read_sources(self.storage, small, parts, self.done.left)
        for same in group(sources, self.settings.part_mib << 20):
            data = pack(same) if len(same) > 1 else None
            if data is None:
                alone = "no other small file has its columns in the same types"
                why = alone if len(same) == 1 else "its types are not the same when it is written again"
                self.done.left |= {source.file.key: why for source in same if not source.file.made_of}
                continue
            made.append(write_part(self.storage, self.table, self.day, self.number + 1, attempt, len(made), same, data))
            taken += [source.file for source in same]
        if not made:
            return
        self._check_unchanged(taken)
        gone = {file.key for file in taken}
        self._append([*(part for part in parts if part.at not in gone), *made])
        self.done.packed, self.done.into = len(taken), len(made)
        self.done.rows = sum(part.rows for part in made)

    def _check_unchanged(self, taken: Iterable[RowFile]) -> None:
        """Raises Mismatch where a file was written again while it was packed."""
        now = {(e.key, e.size, e.etag) for e in self.storage.list(layout.day_folder(self.table, self.day))}
        for file in taken:
            if not file.made_of and (file.key, file.size, file.etag) not in now:
                raise Mismatch(f"{self.storage.uri(file.key)}: expected a file that nobody changes, and it was while it was "
                               f"packed. Nothing was replaced. Run compact again when its writer is done.")

    def show(self) -> None:
        """Lets other programs see the packed files, and no longer the originals; our readers saw them already."""
        assert self.newest is not None
        hidden = [part for part in self.newest.parts if part.aside]
        for part in hidden:
            self._show(part)
        outdated = [key for key in self.list_outdated() if layout.holds_rows(key)]
        self.remove(outdated)
        self._append([part.model_copy(update={"aside": None}) for part in self.newest.parts])
        self.done.shown = len(hidden)

    def _show(self, part: Part) -> None:
        try:
            data = self.storage.read(part.at)
            if hashlib.sha256(data).hexdigest() != part.sha256:
                raise Mismatch(f"{self.storage.uri(part.at)}: expected the packed file of sha256 {part.sha256}, found another. "
                               f"Its originals are there still. Remove {self._uri()} and run compact again.")
            if not create_if_absent(self.storage, part.key, data) and self.storage.read(part.key) != data:
                raise Mismatch(f"{self.storage.uri(part.key)}: expected the packed file that lies in {self._uri()}, found "
                               f"another. Remove it, and run compact again.")
        except NotFound:  # another process went on meanwhile, or the folder is damaged
            raise Mismatch(f"{self.storage.uri(part.at)}: expected a packed file, found none. Run compact again; where this "
                           f"stays, its originals are there still: remove {self._uri()}.") from None

    def _uri(self) -> str:
        return self.storage.uri(layout.compacted(self.table, self.day))

    def remove(self, keys: list[str]) -> None:
        """Removes objects, several at once: until the last is gone, other programs see its rows twice."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self.storage.delete, keys))
        self.done.removed += len(keys)

    def _append(self, parts: list[Part]) -> None:
        at = clock.iso(clock.from_us(int(self.storage.now() * 1e6)))
        made = Compaction(table=self.table, day=self.day, at=at, parts=parts)
        self.documents.append(made.to_dict(), after=self.number)
        self.look()
