"""The raw files that a day's counts name: whether each is there, and the very bytes that were counted."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from contract import layout
from contract.counts_store import CountsDocument
from contract.documents import expiry
from contract.documents.compaction import Compaction, Part
from contract.documents.verification import DIFFERS, EQUAL, EXPIRED, MISSING, UNHASHED, UNKNOWN, Finding, say
from contract.errors import DamagedDocument, NotFound
from contract.rows.listing import Name, find_newest
from contract.stores.hashing import hash_object
from contract.stores.store import Entry, Storage
from jobs.engines.question import DayFiles, RawFile

READS_AT_ONCE = 4
NO_HASH = "no content hash: size and etag only"


@dataclass
class RawDay:
    """What there is of a day's files: `files` to count again, None when they cannot be; what was found of each; what was read.

    `whole`: every file is there with the bytes that were counted, as far as they can be told.
    """

    findings: list[Finding] = field(default_factory=list)
    files: DayFiles | None = None
    read: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong with any file."""
        return all(f["state"] in (EQUAL, UNHASHED) for f in self.findings)


def look_at_day(storage: Storage, document: CountsDocument) -> RawDay:
    """Looks at every file that a counts document names. `read` has the keys of all that was looked at."""
    found = RawDay()
    if expired := _find_expired(storage, document):
        found.findings.append(expired)
        found.read.add(layout.expiry(document.day, "rows"))
        return found
    chosen: dict[str, list[RawFile] | None] = {}
    for table in (layout.PREDICTIONS, layout.LABELS):
        folder = layout.day_folder(table, document.day)
        names = [(key, size, etag) for key, size, etag in document.files if key.startswith(folder)]
        chosen[table] = _look_at_table(storage, document, table, names, found)
    strange = [key for key, _, _ in document.files
               if not key.startswith(tuple(layout.day_folder(t, document.day) for t in chosen))]
    found.findings += [say(key, DIFFERS, f"named by the counts of {document.day}, and no file of that day") for key in strange]
    predictions, labels = chosen[layout.PREDICTIONS], chosen[layout.LABELS]
    if predictions is not None and labels is not None and not strange:
        found.files = DayFiles(document.day, tuple(sorted(predictions, key=lambda f: f.key)),
                               tuple(sorted(labels, key=lambda f: f.key)))
    return found


def _find_expired(storage: Storage, document: CountsDocument) -> Finding | None:
    """That the rows of a day went by age, where its record names these very files and kept these very counts."""
    key = layout.expiry(document.day, "rows")
    try:
        record = expiry.find_rows(storage, document.day)
    except DamagedDocument as error:
        return say(key, DIFFERS, str(error))
    if record is None:
        return None
    kept = (document.model, document.role, document.name) in {(c.model, c.role, c.name) for c in record.counts}
    if record.files != document.files or not kept:
        return say(key, UNKNOWN, f"{record.sentence}; its record names other files or other counts than these")
    return say(key, EXPIRED, f"{record.sentence}: what these counts were made from is gone, the counts that were kept stand")


def _look_at_table(storage: Storage, document: CountsDocument, table: str, names: Sequence[Name],
                   found: RawDay) -> list[RawFile] | None:
    listed = {e.key: e for e in storage.list(layout.day_folder(table, document.day))}
    there = [name for name in names if name[0] in listed]
    gone = [name for name in names if name[0] not in listed]
    packed = _look_at_packed(storage, document, table, listed, gone, {*names}, found) if gone else []
    if packed is None:
        return None
    within = {name for file in packed for name in file.made_of}
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        found.findings += pool.map(lambda name: _look_at_file(storage, listed[name[0]], name, document.hashes), there)
    found.read |= {name[0] for name in there}
    loose = [name for name in there if name not in within]
    return [RawFile(key, listed[key].size, etag, 0, 0, {}) for key, _, etag in loose] + packed


def _look_at_file(storage: Storage, entry: Entry, name: Name, hashes: Mapping[str, str] | None) -> Finding:
    key, size, etag = name
    if str(entry.size) != size:
        return say(key, DIFFERS, f"expected {size} bytes, got {entry.size}")
    expected = (hashes or {}).get(key)
    if expected is not None:
        try:
            got = hash_object(storage, key)
        except OSError as error:
            return say(key, DIFFERS, f"cannot be read: {error}")
        return say(key, EQUAL, f"sha256 {got}") if got == expected else say(
            key, DIFFERS, f"expected the sha256 {expected}, got {got}")
    if entry.etag == etag:
        return say(key, UNHASHED, NO_HASH)
    if storage.root.startswith("s3://"):
        return say(key, DIFFERS, f"{NO_HASH}: expected the etag {etag}, got {entry.etag}")
    return say(key, UNHASHED, f"{NO_HASH}; its modification time is another, as that of a copy is")


def _look_at_packed(storage: Storage, document: CountsDocument, table: str, listed: Mapping[str, Entry], gone: Sequence[Name],
                    names: set[Name], found: RawDay) -> list[RawFile] | None:
    """The packed files that hold the rows of files that are gone; None when some are nowhere."""
    try:
        newest = find_newest(storage, table, document.day, listed.values())
    except (NotFound, DamagedDocument) as error:
        found.findings.append(say(layout.compacted(table, document.day), DIFFERS, str(error)))
        newest = None
    found.read |= {key for key in listed if (at := layout.find_compaction(key)) and at["ending"] == "json"}
    files: list[RawFile] = []
    ways = _find_ways(newest)
    for name in gone:
        part = ways.get(name)
        if part is None:
            found.findings.append(say(name[0], MISSING, f"counted on {document.day}, and not there"))
        elif part.at not in [file.key for file in files]:
            state = _look_at_part(storage, part, listed, document.hashes or {}, names)
            found.findings.append(state)
            found.read.add(part.at)
            files.append(RawFile(part.at, part.size, part.sha256, 0, 0, {}, made_of=part.names))
            if state["state"] in (MISSING, UNKNOWN):
                return None
    return files if all(name in ways for name in gone) else None


def _find_ways(newest: Compaction | None) -> dict[Name, Part]:
    return {name: part for part in newest.parts for name in part.names} if newest else {}


def _look_at_part(storage: Storage, part: Part, listed: Mapping[str, Entry], hashes: Mapping[str, str],
                  names: set[Name]) -> Finding:
    """A packed file: its own hash, and the hashes of those it stands for as they were counted."""
    if part.at not in listed:
        return say(part.at, MISSING, "packed from files that were counted, and not there")
    if hash_object(storage, part.at) != part.sha256:
        return say(part.at, DIFFERS, f"expected the sha256 {part.sha256} of its compaction, got another")
    if other := [o.key for o in part.originals if hashes.get(o.key, o.sha256) != o.sha256]:
        return say(part.at, DIFFERS, f"packed from {other[0]} with another content than was counted")
    if more := [name[0] for name in part.names if name not in names]:
        return say(part.at, UNKNOWN, f"packed with {more[0]}, which came after these counts: its rows cannot be told apart")
    return say(part.at, EQUAL if hashes else UNHASHED, f"stands for {len(part.names)} packed files: sha256 {part.sha256}")
