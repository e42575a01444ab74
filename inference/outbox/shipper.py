"""Brings the outbox into the bucket: images first, then the file of rows, then the outbox forgets them.

Each step may be repeated without harm: images have the name of their content, and a file of rows is created
exclusively under the name of its cut. A store that refuses or hangs only delays: rows stay in the outbox.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING, Any

from contract import clock, layout
from contract.errors import Mismatch
from contract.records import LABEL, PREDICTION
from contract.rows.listing import was_packed
from contract.storage import explain_lost_root
from contract.stores.store import Storage, create_if_absent
from inference.daemon_pool import DaemonPool
from inference.outbox.outbox import Outbox
from inference.outbox.tables import Cut, Waiting

if TYPE_CHECKING:
    import pyarrow as pa

RECORDS = {layout.PREDICTIONS: PREDICTION, layout.LABELS: LABEL}
ROWS_KEY = b"trueup.rows_sha256"
# Nothing more is expected of a day that is over; a minute covers requests that were under way at midnight.
DAY_OVER_S = 60.0
LONGEST_PAUSE_S = 30.0
UPLOADS = 8


class Shipper:
    """One thread that ships what is due: by size, by age, and soon after a day's end."""

    def __init__(self, outbox: Outbox, storage: Storage, ship_seconds: float, ship_bytes: int,
                 report: Callable[..., None]) -> None:
        """`report(event, **fields)` hears of every file and every failure."""
        self.outbox, self.storage, self.report = outbox, storage, report
        self.ship_seconds, self.ship_bytes = ship_seconds, ship_bytes
        self.failures = 0
        self.root_lost: str | None = None  # why nothing is shipped although the store answers
        self._uploads = DaemonPool(UPLOADS, "uploads")
        self._stop = threading.Event()
        self._one_round = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="shipper", daemon=True)

    def start(self) -> None:
        """Begins to ship."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; what is under way is finished."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        pause, due = min(1.0, self.ship_seconds / 2), clock.monotonic()
        while not self._stop.wait(pause):
            came_back = self._look_for_root()
            if self.root_lost is None and (came_back or clock.monotonic() >= due):
                self.ship(everything=False)
                due = clock.monotonic() + (min(pause * 2**min(self.failures, 10), LONGEST_PAUSE_S) if self.failures else 0)

    def _look_for_root(self) -> bool:
        """Looks whether a local root is where it was; says whether it came back."""
        before, self.root_lost = self.root_lost, explain_lost_root(self.storage)
        if self.root_lost and not before:
            self.report("ship failed", table="all", error=self.root_lost, failures=self.failures)
        return bool(before) and self.root_lost is None

    def ship(self, everything: bool) -> bool:
        """Ships what is due, or everything, once; says whether all succeeded.

        Failures are reported, never raised.
        """
        with self._one_round:
            good = self._try("images", self._ship_images)
            for cut in self.outbox.list_cuts():  # of earlier rounds and earlier lives
                good &= self._try(cut.table, partial(self._ship_cut, cut))
            for waiting in self.outbox.list_waiting():
                if everything or self._is_due(waiting):
                    good &= self._try(waiting.table, partial(self._ship_waiting, waiting))
            good &= self._try("outbox", self.outbox.give_back_room)
            self.failures = 0 if good else self.failures + 1
            return good

    def _try(self, what: str, action: Callable[[], None]) -> bool:
        try:
            action()
            return True
        except Exception as error:  # whatever the store does, the thread lives on and the rows stay
            self.report("ship failed", table=what, error=f"{type(error).__name__}: {error}", failures=self.failures + 1)
            return False

    def _is_due(self, waiting: Waiting) -> bool:
        age = (clock.now_us() - waiting.oldest_us) / 1e6
        over = waiting.table == layout.PREDICTIONS and waiting.day < clock.day_of(clock.now())
        limit = min(self.ship_seconds, DAY_OVER_S) if over else self.ship_seconds
        # A clock that was set back must not keep rows here for ever.
        return waiting.bytes >= self.ship_bytes or age >= limit or age < -limit

    def _ship_waiting(self, waiting: Waiting) -> None:
        newest = waiting.rows  # rows that come meanwhile are the next round's, or it might never end
        while newest > 0 and (cut := self.outbox.cut(waiting.table, waiting.day, self.ship_bytes)):
            newest -= cut.count
            self._ship_cut(cut)

    def _ship_images(self) -> None:
        while waiting := self.outbox.list_images():
            self._upload_images(waiting)

    def _upload_images(self, images: list[tuple[str, str]]) -> None:
        uploads = [self._uploads.submit(self._upload_image, *image) for image in images]
        wait(uploads)
        for upload in uploads:
            upload.result()
        self.outbox.forget_images([sha256 for sha256, _ in images])

    def _upload_image(self, sha256: str, extension: str) -> None:
        """Uploads one image, unless it was erased. An erasure that is written meanwhile is seen after the upload, and undone."""
        key, erased = layout.image(sha256, extension), layout.erasure(sha256)
        data = self.outbox.read_image(sha256)
        if data is None or self.storage.exists(erased):
            return
        if not self.storage.exists(key):
            create_if_absent(self.storage, key, data)  # named by its content: another replica may have brought it
        if self.storage.exists(erased):
            self.storage.delete(key)

    def _ship_cut(self, cut: Cut) -> None:
        self._upload_images(self.outbox.list_images(cut))
        key = layout.row_file(cut.table, cut.day, self.outbox.writer, cut.first, cut.last)
        data = write_parquet(cut.table, self.outbox.read_rows(cut), cut.rows_sha256)
        # Shipped by an attempt that died, and packed since: it would be there a second time.
        if not was_packed(self.storage, cut.table, cut.day, key) and not create_if_absent(self.storage, key, data):
            self._check_same_rows(key, cut, data)
        self.outbox.forget_cut(cut)
        self.report("shipped", key=key, rows=cut.count, bytes=len(data))

    def _check_same_rows(self, key: str, cut: Cut, data: bytes) -> None:
        """Raises Mismatch unless the file that an earlier attempt wrote holds the rows of this cut.

        The bytes may differ: another release may have written them.
        """
        stored = self.storage.read(key)
        if stored != data and _read_rows_sha256(stored) != cut.rows_sha256:
            raise Mismatch(f"{self.storage.uri(key)}: expected rows {cut.rows_sha256}, found {_read_rows_sha256(stored)}. "
                           f"Two outboxes must not share a writer id: was this one copied? Its rows stay here.")


def write_parquet(table: str, rows: list[dict[str, Any]], rows_sha256: str) -> bytes:
    """Writes rows as a Parquet file with the schema of `table`; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = RECORDS[table].arrow()
    schema = schema.with_metadata({**schema.metadata, ROWS_KEY: rows_sha256.encode()})
    columns = [_make_column([row.get(field.name) for row in rows], field.type) for field in schema]
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=schema), out, compression="zstd")
    return out.getvalue().to_pybytes()


def _make_column(values: list[Any], type_: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_map(type_):
        values = [None if v is None else sorted(v.items()) for v in values]
    return pa.array(values, type_)


def _read_rows_sha256(data: bytes) -> str:
    import io

    import pyarrow.parquet as pq

    metadata = pq.read_schema(io.BytesIO(data)).metadata or {}
    return metadata.get(ROWS_KEY, b"of unknown origin").decode()
