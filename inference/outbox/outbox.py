"""The durable outbox: what was answered is on this disk before the answer leaves, and stays until the bucket has it.

Rows of one table and day are cut into files: the cut is committed here before its first upload, so a retry, after
whatever happened, writes the same rows under the same name (docs/design.md#data-flow). An exclusive lock keeps a second
process out.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from contract import clock, layout
from contract.errors import TrueupError, UsageError
from contract.stores.private import make_folder
from inference.outbox import tables
from inference.outbox.encode import encode_row, encode_rows, hash_rows
from inference.outbox.files import lock, prepare_file
from inference.outbox.group_commit import GroupCommit, connect
from inference.outbox.room import OutboxFull, Room
from inference.outbox.tables import Cut, Depth, Image, Waiting

Result = TypeVar("Result")

# An id may be brought for a day (service.py), so its answer is kept for longer: no id can get two answers here.
# Ids that the service made come back by mistake only; their answers go after an hour.
BROUGHT_KEPT_S, OWN_KEPT_S = 25 * 3600, 3600
MOST_ROWS_OF_A_FILE = 100_000
# What one commit deletes at most, so that the log and the waits of others stay short; and on a full disk.
COMMIT_BYTES, PIECE_BYTES = 4 << 20, 256 << 10
MOST_COPIED = 4 << 20  # bytes that the outbox may hold when its file is made shorter: all of it is copied
OVERWRITTEN = bytes(16)  # begins an image of which a part was overwritten; no other image begins so
# More rows than these are made elsewhere than on the event loop, on which other requests wait.
MANY = 50


class OtherBody(TrueupError):
    """The prediction id was answered already, for another image."""


class Outbox:
    """The outbox in one folder, open in one process.

    Methods that are not `async` block: call them in any thread but the event loop's.
    """

    def __init__(self, folder: Path | str, root: str, limit_bytes: int, root_id: str | None = None,
                 restored_from: str | None = None) -> None:
        """Opens or makes it, for the root of that address and id (contract.storage.find_root_id).

        `restored_from`: the address that the root had; what was to be shipped there is shipped to `root`. UsageError when
        another process has it open, or it holds rows of another root.
        """
        self.folder = Path(folder)
        make_folder(self.folder)
        self._lock = lock(self.folder)
        file = prepare_file(self.folder)
        self._db, self._reader = connect(file), connect(file)
        self._reading = threading.Lock()
        self._db.executescript(tables.SCHEMA)
        with suppress(sqlite3.OperationalError):  # a full disk: the first commits try again
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # what a killed life had deleted may lie in the log
            self._db.execute(tables.REQUEST_INDEX)  # without it what is asked by request id is slow, no more
        self.writer = self._keep_meta("writer", os.urandom(6).hex())
        self.room = Room(self.folder, limit_bytes, self.measure_depth().bytes)
        self.room.set_reusable(self._measure_free_pages())
        self._check_root("root", root, restored_from)
        if root_id is not None:
            self._check_root("root_id", root_id)
        self._commits = GroupCommit(self._db)
        self._forget_rows()  # of a life that ended between the two steps of forget_cut

    def _keep_meta(self, key: str, value: str) -> str:
        found = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if found is None:
            self._db.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
        return found[0] if found else value

    def _check_root(self, key: str, found: str, moved_from: str | None = None) -> None:
        """Compares what this outbox remembers of its root. One of an earlier release remembers no id."""
        earlier = self._keep_meta(key, found)
        if earlier == found:
            return
        if earlier and earlier != moved_from and self.measure_depth().rows:
            self._lock.close()
            raise UsageError(f"outbox {self.folder}: holds rows of the root {earlier!r}; this service has {found or None!r}. "
                             f"Is the disk of the root mounted? Start it once with the old root so that it ships them, name "
                             f"another --outbox, or, where the old root is lost and this is its copy: --restored-from.")
        self._db.execute("UPDATE meta SET value = ? WHERE key = ?", (found, key))

    # -- appending --------------------------------------------------------------------------------------------------

    async def append_prediction(self, row: dict[str, Any], image: Image | None, body_hash: str,
                                answer: dict[str, Any], brought: bool = False) -> dict[str, Any]:
        """Makes a prediction row, its image and its answer durable in one transaction; `brought`: by the caller.

        Returns the answer that stands: an earlier one when the id was answered meanwhile. OtherBody when that was for
        another image; OutboxFull.
        """
        day, body, size = encode_row(row)

        def job() -> dict[str, Any]:
            stored = self._find_stored_answer(self._db, row["prediction_id"], body_hash)
            if stored is not None:
                return stored
            now = clock.now_us()
            until = now + (BROUGHT_KEPT_S if brought else OWN_KEPT_S) * 1_000_000
            self._store_image(image)
            sha256 = image.sha256 if image else None
            self._db.execute(tables.INSERT_ROW, (layout.PREDICTIONS, day, now, body, size, sha256))
            self.room.add(size)
            self._db.execute(tables.INSERT_ANSWER, (
                row["prediction_id"], body_hash, json.dumps(answer, ensure_ascii=False), until))
            return answer

        return await self._commit_within_room(job, size + (len(image.data) if image else 0))

    async def append_labels(self, rows: list[dict[str, Any]], day: str | None = None) -> None:
        """Makes label rows durable, all or none. OutboxFull. `day`: of their predictions, whatever the ids say."""
        encoded = await asyncio.to_thread(encode_rows, rows, day) if len(rows) > MANY else encode_rows(rows, day)
        size = sum(row[2] for row in encoded)

        def job() -> None:
            now = clock.now_us()
            self._db.executemany(tables.INSERT_ROW, [(layout.LABELS, day, now, body, size, None)
                                                     for day, body, size in encoded])
            self.room.add(size)

        await self._commit_within_room(job, size)

    def append_beside(self, rows: list[dict[str, Any]]) -> None:
        """Makes rows of other roles durable, of predictions whose answer and picture are so already. Blocks; all or none.

        OutboxFull while more than half of the room is taken: answers come first.
        """
        if 2 * self.room.used_bytes > self.room.limit_bytes or self.room.is_disk_low():
            raise OutboxFull(f"outbox {self.folder}: more than half full, so it takes only what was answered.")
        encoded = encode_rows(rows)

        def job() -> None:
            now = clock.now_us()
            self._db.executemany(tables.INSERT_ROW, [(layout.PREDICTIONS, day, now, body, size, None)
                                                     for day, body, size in encoded])
            self.room.add(sum(size for _, _, size in encoded))

        try:
            self._commits.submit(job).result()
        except sqlite3.OperationalError as error:
            self._commits.submit(self._recount)
            raise OutboxFull(f"outbox {self.folder}: {error}.") from error

    async def find_answer(self, prediction_id: str, body_hash: str) -> dict[str, Any] | None:
        """Finds the stored answer of an id, None when there is none. OtherBody when it was for another image."""
        return await asyncio.to_thread(self._read_alone,
                                       lambda: self._find_stored_answer(self._reader, prediction_id, body_hash))

    def find_by_request(self, request_ids: list[str]) -> list[dict[str, Any]]:
        """Finds the rows of predictions that wait here and have one of these request ids; times as microseconds since 1970."""
        return [json.loads(body) for (body,) in self._fetch_all(tables.ROWS_OF_REQUESTS, json.dumps(request_ids))]

    async def _commit_within_room(self, job: Callable[[], Result], size: int) -> Result:
        """Commits a job that adds `size` bytes, and returns its result once it is durable.

        OutboxFull when it would not fit, or did not.
        """
        with self.room.reserve(size):
            try:
                return await asyncio.wrap_future(self._commits.submit(job))
            except sqlite3.OperationalError as error:
                self._commits.submit(self._recount)
                raise OutboxFull(f"outbox {self.folder}: {error}. Look at its disk; what was acknowledged "
                                 f"stays.") from error

    def _store_image(self, image: Image | None) -> None:
        if image:
            done = self._db.execute("INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?)",
                                    (image.sha256, image.extension, len(image.data), image.data))
            self.room.add(len(image.data) if done.rowcount else 0)

    def _recount(self) -> None:
        """Counts anew after a failed commit: what its jobs had counted is not there."""
        ((size,),) = self._db.execute(tables.BYTES_HELD).fetchall()
        self.room.set_used(size)

    def _find_stored_answer(self, db: sqlite3.Connection, prediction_id: str, body_hash: str) -> dict[str, Any] | None:
        stored = db.execute("SELECT body_hash, answer FROM answers WHERE prediction_id = ?", (prediction_id,)).fetchone()
        if stored and stored[0] != body_hash:
            raise OtherBody(f"prediction {prediction_id} was answered already, for another image. Use a new id.")
        return json.loads(stored[1]) if stored else None

    # -- shipping ---------------------------------------------------------------------------------------------------

    def list_waiting(self) -> list[Waiting]:
        """Lists what is not yet cut, by table and day."""
        return [Waiting(*row) for row in self._fetch_all(tables.UNCUT_BY_DAY)]

    def cut(self, table: str, day: str, max_bytes: int) -> Cut | None:
        """Commits the next file of a table and day: its oldest rows, up to `max_bytes`. None when there are none.

        On a disk with little room the file is smaller: naming it writes the pages of its rows anew.
        """

        def job() -> Cut | None:
            seqs = self._pick_rows(table, day, min(max_bytes, self.room.measure_spare()))
            if not seqs:
                return None
            first, last, count = seqs[0], seqs[-1], len(seqs)
            id_ = self._db.execute(tables.INSERT_CUT, (table, day, first, last, count)).lastrowid
            assert id_ is not None  # it is for any INSERT
            self._db.execute(tables.CUT_ROWS, (id_, table, day, last))
            digest = hash_rows(self._db.execute(tables.ROWS_OF_A_CUT, (id_,)).fetchall())
            self._db.execute("UPDATE cuts SET rows_sha256 = ? WHERE id = ?", (digest, id_))
            return Cut(id_, table, day, first, last, count, digest)

        return self._commits.submit(job).result()

    def _pick_rows(self, table: str, day: str, max_bytes: int) -> list[int]:
        """Returns the sequence numbers of the oldest uncut rows: as many as `max_bytes` hold, but at least one."""
        taken: list[int] = []
        total = 0
        for seq, size in self._db.execute(tables.UNCUT_ROWS, (table, day, MOST_ROWS_OF_A_FILE)):
            total += size
            if taken and total > max_bytes:
                break
            taken.append(seq)
        return taken

    def list_cuts(self) -> list[Cut]:
        """Lists the files that are cut and not yet known to be in the bucket, oldest first."""
        return [Cut(*row) for row in self._fetch_all(tables.ALL_CUTS)]

    def read_rows(self, cut: Cut) -> list[dict[str, Any]]:
        """Reads the rows of a cut, in order, with `recorded_at`; times as microseconds since 1970."""
        recorded_bodies = self._fetch_all(tables.ROWS_OF_A_CUT, cut.id)
        return [json.loads(body) | {"recorded_at": recorded} for recorded, body in recorded_bodies]

    def list_images(self, cut: Cut | None = None) -> list[tuple[str, str]]:
        """Lists (sha256, extension) of up to 64 images that wait; with `cut`, of all that its rows name."""
        if cut is None:
            return self._fetch_all(tables.WAITING_IMAGES)
        return self._fetch_all(tables.IMAGES_OF_A_CUT, cut.id)

    def read_image(self, sha256: str) -> bytes | None:
        """Reads the bytes of an image that waits; None when they were forgotten, if only in part."""
        rows = self._fetch_all("SELECT data FROM images WHERE sha256 = ?", sha256)
        return rows[0][0] if rows and rows[0][0] and rows[0][0][:len(OVERWRITTEN)] != OVERWRITTEN else None

    def forget_images(self, sha256s: list[str]) -> None:
        """Drops the bytes of images: they are in the bucket, or erased.

        A few MiB a commit, for until then SQLite's log holds as many zeros as bytes are deleted. On a disk that has no room
        even for that they are overwritten piece by piece.
        """
        for some in self._group_images(sha256s):
            try:
                self._shrink(partial(self._drop_images, some))
            except sqlite3.OperationalError:
                for sha256 in some:
                    self._overwrite_image(sha256)
        if sha256s:
            self._shrink_all(self._drop_unnamed_images)

    def _group_images(self, sha256s: list[str]) -> Iterator[list[str]]:
        group: list[str] = []
        held = 0
        for sha256 in sha256s:
            size = sum(size for (size,) in self._fetch_all(tables.SIZE_OF_IMAGE, sha256))
            if group and held + size > COMMIT_BYTES:
                yield group
                group, held = [], 0
            group.append(sha256)
            held += size
        if group:
            yield group

    def _drop_images(self, sha256s: list[str]) -> None:
        for sha256 in sha256s:
            freed = self._db.execute(tables.SIZE_OF_IMAGE, (sha256,)).fetchall()
            self._db.execute("UPDATE images SET data = NULL WHERE sha256 = ?", (sha256,))
            self.room.add(-sum(size for (size,) in freed))
        self._commits.truncate_log()

    def _drop_unnamed_images(self) -> int:
        return self._db.execute(tables.DELETE_UNNAMED_IMAGES).rowcount

    def _overwrite_image(self, sha256: str) -> None:
        """Overwrites an image with zeros piece by piece, then drops it without writing them once more."""
        for row, size in self._fetch_all(tables.PLACE_OF_IMAGE, sha256):
            for at in range(0, size, PIECE_BYTES):
                self._shrink(partial(self._overwrite_piece, row, at, min(PIECE_BYTES, size - at)))
            self._shrink(partial(self._drop_overwritten, sha256))

    def _overwrite_piece(self, row: int, at: int, size: int) -> None:
        with self._db.blobopen("images", "data", row) as blob:
            blob.seek(at)
            blob.write(bytes(size))
        self._commits.truncate_log()

    def _drop_overwritten(self, sha256: str) -> None:
        self._db.execute("PRAGMA secure_delete=FAST").fetchall()
        try:
            self._drop_images([sha256])
        finally:
            self._db.execute("PRAGMA secure_delete=ON").fetchall()

    def forget_cut(self, cut: Cut) -> None:
        """Drops a cut, whose file is in the bucket, with its rows; answers whose time is over go, too."""

        def job() -> None:
            self._db.execute("DELETE FROM cuts WHERE id = ?", (cut.id,))

        self._shrink(job)
        self._forget_rows()
        self._shrink_all(self._drop_old_answers)

    def _forget_rows(self) -> None:
        """Drops rows whose cut is gone: they are in the bucket."""

        def job() -> int:
            some = self._pick_shipped_rows()
            self._db.executemany("DELETE FROM rows WHERE seq = ?", [(seq,) for seq, _ in some])
            self.room.add(-sum(size for _, size in some))
            self._commits.truncate_log()
            return len(some)

        self._shrink_all(job)
        self._shrink_all(self._drop_unnamed_images)

    def _pick_shipped_rows(self) -> list[tuple[int, int]]:
        """Returns (sequence number, size) of some rows that are in the bucket: as many as one commit may hold."""
        rows, most = self._db.execute(tables.SHIPPED_ROWS).fetchall(), self.room.measure_spare(COMMIT_BYTES)
        fitting = sum(held <= most for held in accumulate(size for _, size in rows))
        return rows[:max(fitting, 1)]

    def _drop_old_answers(self) -> int:
        return self._db.execute(tables.DELETE_OLD_ANSWERS, (clock.now_us(),)).rowcount

    def give_back_room(self) -> None:
        """Makes SQLite's file shorter where the disk has little room and the file holds little: by itself it never shrinks."""

        def job() -> None:
            free = self._measure_free_pages()
            if free > COMMIT_BYTES and self.room.is_disk_low() and self.room.used_bytes <= MOST_COPIED:
                self._commits.shorten_file()

        self._shrink(job)

    def _shrink_all(self, job: Callable[[], int]) -> None:
        """Commits a job until it finds nothing more: in small steps, for requests wait for the same commits."""
        while self._shrink(job):
            pass

    def _shrink(self, job: Callable[[], Result]) -> Result:
        """Commits a job that makes the outbox smaller, and returns its result; sqlite3.OperationalError on a full disk."""

        def count_and_run() -> Result:
            result = job()
            self.room.set_reusable(self._measure_free_pages())
            return result

        try:
            return self._commits.submit(count_and_run).result()
        except sqlite3.OperationalError:
            self._commits.submit(self._recount)
            raise

    def _measure_free_pages(self) -> int:
        ((pages,),) = self._db.execute("PRAGMA freelist_count").fetchall()
        ((size,),) = self._db.execute("PRAGMA page_size").fetchall()
        return pages * size

    def measure_depth(self) -> Depth:
        """Counts what is not yet in the bucket."""
        ((rows, size, oldest),) = self._fetch_all("SELECT count(*), coalesce(sum(size), 0), min(recorded_us) FROM rows")
        ((images,),) = self._fetch_all("SELECT coalesce(sum(size), 0) FROM images WHERE data IS NOT NULL")
        return Depth(rows, size + images, oldest)

    def _fetch_all(self, text: str, *values: Any) -> list[Any]:
        return self._read_alone(lambda: self._reader.execute(text, values).fetchall())

    def _read_alone(self, question: Callable[[], Result]) -> Result:
        with self._reading:
            return question()

    def close(self) -> None:
        """Finishes what was given to it, and lets go of the folder."""
        self._commits.close()
        with self._reading:
            self._reader.close()
        self._db.close()
        self._lock.close()
