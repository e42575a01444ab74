"""Which stored pictures of old days may be removed, and their removal: a record first, the pictures, then a second record."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from contract import clock, layout
from contract.days import prediction_days
from contract.documents import expiry, gold, manifest
from contract.documents.expiry import ExpiredPictures
from contract.errors import Expired, ForeignSchema
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Storage, create_if_absent

COLUMNS = ("image_sha256", "image_uri")
AT_ONCE = 16
Pictures = dict[str, str]  # key of a stored picture -> its hash


def find_old(storage: Storage, days: Sequence[str]) -> dict[str, Pictures]:
    """The stored pictures that the rows of each of these days name, without those that are stored elsewhere."""
    return {day: {uri: sha256 for sha256, uri in _read(storage, day) if uri and _is_ours(sha256, uri)} for day in days}


def find_needed(storage: Storage, wanted: set[str], days: Sequence[str]) -> set[str]:
    """Those of the hashes that rows of other days than these, a dataset, or a gold item name: their pictures stay.

    Expired: a dataset cannot be read, so pictures may be needed.
    """
    found: set[str] = set()
    for day in prediction_days(storage):
        if day not in days:
            found |= wanted & {sha256 for sha256, _ in _read(storage, day)}
    for name in storage.folders(layout.datasets()):
        if storage.exists(layout.manifest(name)):
            found.update(manifest.read_index(storage, manifest.load(storage, name), ["image_sha256"])["image_sha256"].to_pylist())
    for folder in storage.folders(layout.all_samples()):  # a model need not be published to have gold items
        found.update(answer.image_sha256 for answer in gold.read_gold(storage, layout.decode_name(folder)).values())
    return wanted & found


def remove(storage: Storage, day: str, keys: Sequence[str], kept: int, age: int) -> int:
    """Removes a day's pictures and leaves a record; returns how many were there. Harmless when repeated."""
    made = ExpiredPictures(day=day, at=clock.iso(clock.now()), days=age, pictures=len(keys), kept=kept)
    create_if_absent(storage, layout.expiry(day, "pictures"), made.to_bytes())
    there = [key for key in keys if storage.exists(key)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(storage.erase, there))
    create_if_absent(storage, layout.expiry(day, "pictures-done"), made.to_bytes())
    return len(there)


def is_done(storage: Storage, day: str) -> bool:
    """Whether the pictures of a day were removed."""
    return storage.exists(layout.expiry(day, "pictures-done")) or expiry.find_rows(storage, day) is not None


def _read(storage: Storage, day: str) -> list[tuple[str, str | None]]:
    """(hash, place) of each row of a day with a picture. Expired: a file cannot be read, so pictures may be needed."""
    found = []
    for file in list_rows(storage, layout.PREDICTIONS, day):
        try:
            table = read_columns(storage, file.key, COLUMNS)
        except ForeignSchema as error:
            raise Expired(f"nothing was removed: which pictures are needed cannot be told. {error}") from error
        if "image_sha256" in table.column_names:
            named = table.group_by(table.column_names).aggregate([]).to_pylist()
            found += [(str(row["image_sha256"]), row.get("image_uri") and str(row["image_uri"])) for row in named
                      if row["image_sha256"]]
    return found


def _is_ours(sha256: str, uri: str) -> bool:
    """Whether a place is where a picture of that hash is stored: a row could name any object."""
    return uri == layout.image(sha256, uri.rpartition(".")[2])
