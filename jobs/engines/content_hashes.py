"""The sha256 of the raw files that a day's counts are made from, taken while an engine counts them.

Hashing releases the GIL and runs at more than 1 GiB a second on a core, so it takes a few per cent of the time of counting
the same files. The hash of a file that was packed (`trueup compact`) stands in the document of the compaction.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from contract import layout
from contract.errors import NotFound
from contract.rows.listing import find_newest
from contract.stores.hashing import hash_object
from contract.stores.store import Storage
from jobs.engines.question import DayFiles, RawFile

AT_ONCE = 4


class ContentHashes:
    """Hashes the files of some days in threads of its own; `of` waits for those of one day."""

    def __init__(self, storage: Storage, days: Sequence[DayFiles]) -> None:
        self.storage = storage
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hash")
        self._found: dict[str, Future[str]] = {
            file.key: self._pool.submit(hash_object, storage, file.key)
            for day in days for file in day.predictions + day.labels if not file.made_of}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def of(self, day: DayFiles) -> dict[str, str]:
        """Key -> sha256 (hex) of each file that the day's counts name, also of those that lie in a packed one."""
        found = {file.key: self._found.pop(file.key).result() for file in day.predictions + day.labels if not file.made_of}
        for table, files in ((layout.PREDICTIONS, day.predictions), (layout.LABELS, day.labels)):
            if packed := [file for file in files if file.made_of]:
                found |= _hashes_of_packed(self.storage, table, day.day, packed)
        return dict(sorted(found.items()))


def _hashes_of_packed(storage: Storage, table: str, day: str, packed: Iterable[RawFile]) -> dict[str, str]:
    wanted = {name[0] for file in packed for name in file.made_of}
    try:
        newest = find_newest(storage, table, day, storage.list(layout.compacted(table, day)))
    except NotFound:  # a newer compaction replaced it meanwhile
        return {}
    originals = (o for part in newest.parts for o in part.originals) if newest else ()
    return {o.key: o.sha256 for o in originals if o.key in wanted}
