"""Objects of a versioned bucket brought back: what was deleted or overwritten since a moment (docs/restore.md).

Nothing is removed: the version that was current then is copied over what is there, and becomes the newest one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from contract.errors import UsageError
from contract.rows.items import list_erased
from contract.stores.recorded import unwrap
from contract.stores.s3 import S3Storage
from contract.stores.store import Storage


@dataclass(frozen=True)
class LostVersion:
    """An object whose state of then is not its state of now: `deleted`, or else overwritten."""

    key: str
    version: str
    size: int
    deleted: bool


def require_versions(storage: Storage) -> S3Storage:
    """The store of a bucket that keeps versions, or kept them once; UsageError for any other. RootError."""
    storage = unwrap(storage)
    if not isinstance(storage, S3Storage):
        raise UsageError(f"{storage.root}: expected s3://bucket/prefix, whose bucket keeps versions. A folder keeps none: copy "
                         f"it back from a copy.")
    with storage.explain_errors():
        status = storage.client.get_bucket_versioning(Bucket=storage.bucket).get("Status")
    if not status:
        raise UsageError(f"{storage.root}: expected a bucket that keeps versions (emr.versioning), got one that never did. What "
                         f"was deleted there is gone: copy the root back from a copy.")
    return storage


def list_lost(storage: S3Storage, since: datetime) -> Iterator[LostVersion]:
    """Yields what was deleted or overwritten at `since` or later, by key; what was made since stays as it is.

    Pictures that are to be erased stay erased.
    """
    erased = list_erased(storage)
    for key, found in groupby(_list_versions(storage), key=lambda item: item["Key"]):
        states = sorted(found, key=lambda item: (not item["IsLatest"], -item["LastModified"].timestamp()))
        before = next((item for item in states if item["LastModified"] < since), None)
        if before is None or before["IsLatest"] or "Size" not in before:  # made since; unchanged; it was deleted then, too
            continue
        name = key.removeprefix(storage.prefix)
        if name.rpartition("/")[2].partition(".")[0] not in erased:
            yield LostVersion(name, before["VersionId"], before["Size"], "Size" not in states[0])


def bring_back(storage: S3Storage, lost: LostVersion) -> None:
    """Makes the version of then the current one."""
    source = {"Bucket": storage.bucket, "Key": storage.prefix + lost.key, "VersionId": lost.version}
    with storage.explain_errors(lost.key):
        storage.client.copy(source, storage.bucket, storage.prefix + lost.key)


def _list_versions(storage: S3Storage) -> Iterator[dict[str, Any]]:
    """Yields versions and delete markers, those of one key together: a page has both kinds, each by key."""
    for page in storage.list_pages("list_object_versions", ""):
        items = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        yield from sorted(items, key=lambda item: item["Key"].encode())
