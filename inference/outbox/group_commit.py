"""One thread that writes to SQLite, and commits together what came together.

An fsync costs milliseconds and a row microseconds, so rows that wait for the same fsync share it. A job hears of
success only after the commit that holds it.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

LARGEST_GROUP = 256
LARGEST_LOG = 16 << 20
Job = Callable[[], Any]


def connect(path: Path) -> sqlite3.Connection:
    """Opens a connection whose commits survive a power cut, and whose deletions overwrite what they delete."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    # NORMAL would sync at checkpoints only, and could lose rows that were acknowledged.
    # A write-ahead log that one large group made grow is cut again when SQLite begins it anew.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", f"journal_size_limit={LARGEST_LOG}"):
        db.execute(f"PRAGMA {pragma}")
    return db


class GroupCommit:
    """Runs jobs (functions that use `db`) in transactions, in the order in which they came."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self._jobs: queue.SimpleQueue[tuple[Job, Future] | None] = queue.SimpleQueue()
        self._truncate = self._shorten = False
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Future:
        """Queues a job.

        The future gets its result once that is durable, or what it raised (then it changed nothing).
        """
        future: Future = Future()
        self._jobs.put((job, future))
        return future

    def truncate_log(self) -> None:
        """Empties SQLite's write-ahead log after the next commit.

        A job that deletes calls it, so that what it deleted is in no file.
        """
        self._truncate = True

    def shorten_file(self) -> None:
        """Writes the file anew without its empty pages after the next commit. It must hold little: all of that is copied."""
        self._shorten = self._truncate = True

    def close(self) -> None:
        """Finishes what was submitted, then ends the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        ended = False
        while not ended:
            group = [self._jobs.get()]
            while len(group) < LARGEST_GROUP and not self._jobs.empty():
                group.append(self._jobs.get())
            ended = None in group
            self._commit([job for job in group if job is not None])
            if self._shorten:
                self._shorten = False
                with suppress(sqlite3.Error):  # a full disk: what it held is there, and the next time may come
                    self.db.execute("VACUUM")
            if self._truncate:
                self._truncate = not self._empty_log()  # somebody reads an old state, or a full disk: after the next commit

    def _empty_log(self) -> bool:
        try:
            (busy, _, _) = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
        except sqlite3.Error:  # this thread is all that writes: the disk may have room again
            return False

    def _commit(self, group: list[tuple[Job, Future]]) -> None:
        results: list[tuple[Future, Any]] = []
        try:
            self.db.execute("BEGIN IMMEDIATE")
            for job, future in group:
                self._run(job, future, results)
            self.db.execute("COMMIT")
        except Exception as error:  # the disk is full, or fails: nobody in this group may believe in success
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            self._truncate = True  # the log has grown by what did not fit
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in results:
            future.set_result(result)

    def _run(self, job: Job, future: Future, results: list[tuple[Future, Any]]) -> None:
        """Runs one job; what it did is undone when it raises, and the others of its group go on."""
        self.db.execute("SAVEPOINT job")
        try:
            results.append((future, job()))
        except sqlite3.Error:
            raise
        except Exception as error:
            self.db.execute("ROLLBACK TO job")
            future.set_exception(error)
        self.db.execute("RELEASE job")
