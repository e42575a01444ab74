"""The durable outbox: what was answered is on this disk before the answer leaves, and stays until the bucket has it.

Rows of one table and day are cut into files: the cut is committed here before its first upload, so a retry, after
whatever happened, writes the same rows under the same name (docs/design.md#data-flow). An exclusive lock keeps a second
process out.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract import clock, ids, layout
from contract.errors import TrueupError, UsageError
from inference.outbox.group_commit import GroupCommit, connect

# An id may be brought for a day (service.py), so its answer is kept for longer: no id can get two answers here.
# Ids that the service made come back by mistake only; their answers go after an hour.
BROUGHT_KEPT_S, OWN_KEPT_S = 25 * 3600, 3600
MOST_ROWS_OF_A_FILE = 100_000
# More rows than these are made elsewhere than on the event loop, on which other requests wait.
MANY = 50
# Shipping writes, too: on a disk without room it could not make room. Requests are refused while this is left.
RESERVE_BYTES, RESERVE_SHARE = 64 << 20, 0.1
FREE_S = 0.05  # an answer about free space is good for so long; SQLite refuses what a small disk does not take meanwhile
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (seq INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, day TEXT NOT NULL,
    recorded_us INTEGER NOT NULL, body TEXT NOT NULL, size INTEGER NOT NULL, image TEXT, cut INTEGER);
CREATE INDEX IF NOT EXISTS rows_open ON rows (tbl, day, seq) WHERE cut IS NULL;
CREATE INDEX IF NOT EXISTS rows_cut ON rows (cut) WHERE cut IS NOT NULL;
CREATE INDEX IF NOT EXISTS rows_image ON rows (image) WHERE image IS NOT NULL;
CREATE TABLE IF NOT EXISTS images (sha256 TEXT PRIMARY KEY, extension TEXT NOT NULL, size INTEGER NOT NULL, data BLOB);
CREATE INDEX IF NOT EXISTS images_waiting ON images (sha256) WHERE data IS NOT NULL;
CREATE TABLE IF NOT EXISTS cuts (id INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, day TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, rows_sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (prediction_id TEXT PRIMARY KEY, body_hash TEXT NOT NULL, answer TEXT NOT NULL,
    until_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_until ON answers (until_us);
"""


class OutboxFull(TrueupError):
    """The outbox holds as much as it may, or its disk is full: refuse rather than forget."""


class OtherBody(TrueupError):
    """The prediction id was answered already, for another image."""


@dataclass(frozen=True)
class Image:
    """An image to be stored: the hash of its stripped bytes, their extension, and the bytes."""

    sha256: str
    extension: str
    data: bytes


@dataclass(frozen=True)
class Cut:
    """A file to be: its table, day, sequence numbers, how many rows, and their hash."""

    id: int
    table: str
    day: str
    first: int
    last: int
    count: int
    rows_sha256: str


@dataclass(frozen=True)
class Waiting:
    """What is not yet cut of one table and day: rows, their bytes, and when the oldest was recorded."""

    table: str
    day: str
    rows: int
    bytes: int
    oldest_us: int


@dataclass(frozen=True)
class Depth:
    """How much is not yet in the bucket: rows, bytes (with images), and when the oldest row was recorded."""

    rows: int
    bytes: int
    oldest_us: int | None


class Outbox:
    """One folder, one process. Methods that are not `async` block: call them in any thread but the event loop's."""

    def __init__(self, folder: Path | str, root: str, limit_bytes: int) -> None:
        """Opens or makes it. UsageError when another process has it open, or it holds rows of another root."""
        self.folder, self.limit_bytes = Path(folder), limit_bytes
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.folder)
        file = self.folder / "outbox.sqlite3"
        self._db, self._reader, self._reading = connect(file), connect(file), threading.Lock()
        self._db.executescript(SCHEMA)
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # what a killed life had deleted may lie in the log
        self.writer = self._meta("writer", os.urandom(6).hex())
        self._free, self._free_until = 0, 0.0
        self._reserve = min(RESERVE_BYTES, int(shutil.disk_usage(self.folder).total * RESERVE_SHARE))
        self._bytes, self._entering, self._counting = self.depth().bytes, 0, threading.Lock()
        self._same_root(root)
        self._commits = GroupCommit(self._db)
        self._forget_rows()  # of a life that ended between the two steps of forget_cut

    def _meta(self, key: str, value: str) -> str:
        self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
        return self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]

    def _same_root(self, root: str) -> None:
        found = self._meta("root", root)
        if found != root and self.depth().rows:
            self._lock.close()
            raise UsageError(f"outbox {self.folder}: holds rows of the root {found!r}; this service has {root!r}. "
                             f"Start it once with the old root so that it ships them, or name another --outbox.")
        self._db.execute("UPDATE meta SET value = ? WHERE key = 'root'", (root,))

    # -- appending --------------------------------------------------------------------------------------------------

    async def append_prediction(self, row: dict[str, Any], image: Image | None, body_hash: str,
                                answer: dict[str, Any], brought: bool = False) -> dict[str, Any]:
        """Makes a prediction row, its image and its answer durable in one transaction; `brought`: by the caller.

        Returns the answer that stands: an earlier one when the id was answered meanwhile. OtherBody when that was for
        another image; OutboxFull.
        """
        day, body, size = _encode(row)

        def job() -> dict[str, Any]:
            stored = self._stored(self._db, row["prediction_id"], body_hash)
            if stored is not None:
                return stored
            now, kept = clock.now_us(), BROUGHT_KEPT_S if brought else OWN_KEPT_S
            self._store_image(image)
            self._db.execute(INSERT_ROW, (layout.PREDICTIONS, day, now, body, size, image.sha256 if image else None))
            self._count(size)
            self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", (
                row["prediction_id"], body_hash, json.dumps(answer, ensure_ascii=False), now + kept * 1_000_000))
            return answer

        return await self._enter(job, size + (len(image.data) if image else 0))

    async def append_labels(self, rows: list[dict[str, Any]]) -> None:
        """Makes label rows durable, all or none. OutboxFull."""
        made = await asyncio.to_thread(_encoded, rows) if len(rows) > MANY else _encoded(rows)
        size = sum(row[2] for row in made)

        def job() -> None:
            now = clock.now_us()
            self._db.executemany(INSERT_ROW, [(layout.LABELS, day, now, body, size, None) for day, body, size in made])
            self._count(size)

        await self._enter(job, size)

    async def answered(self, prediction_id: str, body_hash: str) -> dict[str, Any] | None:
        """The stored answer of an id, None when there is none. OtherBody when it was for another image."""
        return await asyncio.to_thread(self._read, lambda: self._stored(self._reader, prediction_id, body_hash))

    def full(self) -> bool:
        """Whether the next row would be refused."""
        return self._bytes + self._entering >= self.limit_bytes or self._disk_is_full(self._entering)

    def _disk_is_full(self, entering: int) -> bool:
        """Asks the disk at most every FREE_S: some take as long to say as a row takes to write."""
        if clock.monotonic() >= self._free_until:
            self._free, self._free_until = shutil.disk_usage(self.folder).free, clock.monotonic() + FREE_S
        return self._free - entering < self._reserve

    async def _enter(self, job: Callable[[], Any], size: int) -> Any:
        with self._counting:
            used = self._bytes + self._entering
            if used + size > self.limit_bytes:
                raise OutboxFull(f"the outbox holds {used:,} of {self.limit_bytes:,} bytes: the bucket does not take "
                                 f"rows as fast as they come. Try again later.")
            if self._disk_is_full(self._entering + size):
                raise OutboxFull(f"the disk of the outbox {self.folder} is full: less than {self._reserve >> 20} MB are left. "
                                 f"Make room; what was acknowledged stays.")
            self._entering += size
        try:
            return await asyncio.wrap_future(self._commits.submit(job))
        except sqlite3.OperationalError as error:
            self._commits.submit(self._recount)
            raise OutboxFull(f"outbox {self.folder}: {error}. Look at its disk; what was acknowledged stays.") from error
        finally:
            with self._counting:
                self._entering -= size

    def _store_image(self, image: Image | None) -> None:
        if image:
            done = self._db.execute("INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?)",
                                    (image.sha256, image.extension, len(image.data), image.data))
            self._count(len(image.data) if done.rowcount else 0)

    def _recount(self) -> None:
        """After a failed commit: what its jobs had counted is not there."""
        ((size,),) = self._db.execute("SELECT (SELECT coalesce(sum(size), 0) FROM rows) + "
                                      "(SELECT coalesce(sum(size), 0) FROM images WHERE data IS NOT NULL)").fetchall()
        with self._counting:
            self._bytes = size

    def _count(self, change: int) -> None:
        with self._counting:
            self._bytes += change

    def _stored(self, db: sqlite3.Connection, prediction_id: str, body_hash: str) -> dict[str, Any] | None:
        found = db.execute("SELECT body_hash, answer FROM answers WHERE prediction_id = ?", (prediction_id,)).fetchone()
        if found and found[0] != body_hash:
            raise OtherBody(f"prediction {prediction_id} was answered already, for another image. Use a new id.")
        return json.loads(found[1]) if found else None

    # -- shipping ---------------------------------------------------------------------------------------------------

    def waiting(self) -> list[Waiting]:
        """What is not yet cut, by table and day."""
        return [Waiting(*row) for row in self._all(
            "SELECT tbl, day, count(*), sum(size), min(recorded_us) FROM rows WHERE cut IS NULL "
            "GROUP BY tbl, day ORDER BY tbl, day")]

    def cut(self, table: str, day: str, max_bytes: int) -> Cut | None:
        """Commits the next file of a table and day: its oldest rows, up to `max_bytes`. None when there are none."""

        def job() -> Cut | None:
            seqs = self._next_rows(table, day, max_bytes)
            if not seqs:
                return None
            id_ = self._db.execute("INSERT INTO cuts (tbl, day, first, last, count, rows_sha256) VALUES (?,?,?,?,?,'')",
                                   (table, day, seqs[0], seqs[-1], len(seqs))).lastrowid
            self._db.execute("UPDATE rows SET cut = ? WHERE cut IS NULL AND tbl = ? AND day = ? AND seq <= ?",
                             (id_, table, day, seqs[-1]))
            digest = _digest(self._db.execute(ROWS_OF_A_CUT, (id_,)).fetchall())
            self._db.execute("UPDATE cuts SET rows_sha256 = ? WHERE id = ?", (digest, id_))
            return Cut(id_, table, day, seqs[0], seqs[-1], len(seqs), digest)

        return self._commits.submit(job).result()

    def _next_rows(self, table: str, day: str, max_bytes: int) -> list[int]:
        taken: list[int] = []
        total = 0
        for seq, size in self._db.execute("SELECT seq, size FROM rows WHERE cut IS NULL AND tbl = ? AND day = ? "
                                          "ORDER BY seq LIMIT ?", (table, day, MOST_ROWS_OF_A_FILE)):
            total += size
            if taken and total > max_bytes:
                break
            taken.append(seq)
        return taken

    def cuts(self) -> list[Cut]:
        """Files that are cut and not yet known to be in the bucket, oldest first."""
        return [Cut(*row) for row in self._all(
            "SELECT id, tbl, day, first, last, count, rows_sha256 FROM cuts ORDER BY id")]

    def rows(self, cut: Cut) -> list[dict[str, Any]]:
        """The rows of a cut, in order, with `recorded_at`; times as microseconds since 1970."""
        return [json.loads(body) | {"recorded_at": recorded} for recorded, body in self._all(ROWS_OF_A_CUT, cut.id)]

    def images(self, cut: Cut | None = None) -> list[tuple[str, str]]:
        """(sha256, extension) of up to 64 images that wait; with `cut`, of all that its rows name."""
        if cut is None:
            return self._all("SELECT sha256, extension FROM images WHERE data IS NOT NULL LIMIT 64")
        return self._all("SELECT DISTINCT sha256, extension FROM images JOIN rows ON image = sha256 "
                         "WHERE data IS NOT NULL AND cut = ?", cut.id)

    def image(self, sha256: str) -> bytes | None:
        """The bytes of an image that waits, None when they have gone."""
        found = self._all("SELECT data FROM images WHERE sha256 = ?", sha256)
        return found[0][0] if found else None

    def forget_images(self, sha256s: list[str]) -> None:
        """Drops the bytes of images: they are in the bucket, or erased."""

        def job() -> None:
            for sha256 in sha256s:
                freed = self._db.execute("SELECT size FROM images WHERE sha256 = ? AND data IS NOT NULL", (sha256,))
                freed_bytes = sum(size for (size,) in freed)
                self._db.execute("UPDATE images SET data = NULL WHERE sha256 = ?", (sha256,))
                self._count(-freed_bytes)
            self._db.execute(UNNAMED_IMAGES)
            self._commits.truncate_log()

        if sha256s:
            self._commits.submit(job).result()

    def forget_cut(self, cut: Cut) -> None:
        """Drops a cut, whose file is in the bucket, with its rows; answers whose time is over go, too."""

        def job() -> None:
            self._db.execute("DELETE FROM cuts WHERE id = ?", (cut.id,))
            self._db.execute("DELETE FROM answers WHERE until_us < ?", (clock.now_us(),))

        self._commits.submit(job).result()
        self._forget_rows()

    def _forget_rows(self) -> None:
        """Rows whose cut is gone are in the bucket. In small steps: requests wait for the same commits."""

        def job() -> int:
            some = self._db.execute("SELECT seq, size FROM rows WHERE cut IS NOT NULL AND cut NOT IN "
                                    "(SELECT id FROM cuts) LIMIT 1000").fetchall()
            self._db.executemany("DELETE FROM rows WHERE seq = ?", [(seq,) for seq, _ in some])
            if not some:
                self._db.execute(UNNAMED_IMAGES)
            self._count(-sum(size for _, size in some))
            return len(some)

        while self._commits.submit(job).result():
            pass

    def depth(self) -> Depth:
        """How much is not yet in the bucket."""
        ((rows, size, oldest),) = self._all("SELECT count(*), coalesce(sum(size), 0), min(recorded_us) FROM rows")
        ((images,),) = self._all("SELECT coalesce(sum(size), 0) FROM images WHERE data IS NOT NULL")
        return Depth(rows, size + images, oldest)

    def _all(self, text: str, *values: Any) -> list[Any]:
        return self._read(lambda: self._reader.execute(text, values).fetchall())

    def _read(self, question: Callable[[], Any]) -> Any:
        with self._reading:
            return question()

    def close(self) -> None:
        """Finishes what was given to it, and lets go of the folder."""
        self._commits.close()
        with self._reading:
            self._reader.close()
        self._db.close()
        self._lock.close()


INSERT_ROW = "INSERT INTO rows (tbl, day, recorded_us, body, size, image) VALUES (?, ?, ?, ?, ?, ?)"
ROWS_OF_A_CUT = "SELECT recorded_us, body FROM rows WHERE cut = ? ORDER BY seq"
# Bytes are gone and no row here names it: the bucket is where it is looked for.
UNNAMED_IMAGES = "DELETE FROM images WHERE data IS NULL AND NOT EXISTS (SELECT 1 FROM rows WHERE image = sha256)"


def _lock(folder: Path) -> Any:
    file = open(folder / "lock", "a+")  # noqa: SIM115  (held as long as the outbox is open)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UsageError(f"outbox {folder}: another process has it open. Every service needs its own: "
                         f"name another with --outbox.") from None
    return file


def _encode(row: dict[str, Any]) -> tuple[str, str, int]:
    """Day, text and bytes of a row."""
    day = ids.day_of(row["prediction_id"])
    if day is None:
        raise UsageError(f"expected a prediction id that is a UUIDv7, got {row['prediction_id']!r}.")
    body = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return day, body, len(body.encode())


def _encoded(rows: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [_encode(row) for row in rows]


def _digest(rows: list[tuple[int, str]]) -> str:
    return hashlib.sha256("\n".join(f"{recorded} {body}" for recorded, body in rows).encode()).hexdigest()
