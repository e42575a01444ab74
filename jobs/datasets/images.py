"""Looks at every image once: is it there, does its content match its hash, can it be decoded to the end?"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contract.documents import expiry
from contract.errors import BadImage, NotFound
from contract.stores.store import Storage
from jobs.datasets.tasks import Tasks
from jvm import task_store
from jvm.task_store import Where

PER_TASK = 512  # images, at most 1,000 tasks
EXPIRED = "image expired"
MISSING, DAMAGED, UNDECODABLE = "image missing", "image is not the one that its hash names", "image undecodable"


@dataclass(frozen=True)
class Look:
    """What was found: upright width and height in pixels, size in bytes, perceptual hash; or why it cannot be used."""

    width: int = 0
    height: int = 0
    bytes: int = 0
    near: int = 0
    reason: str | None = None
    detail: str = ""


def look_at(context: Tasks, storage: Storage, images: Sequence[tuple[str, str]]) -> dict[str, Look]:
    """What is found for each (sha256, uri); a picture that cannot be used has a reason, and stops nothing."""
    if not images:
        return {}
    at, slices = task_store.describe(storage), max(2, min(len(images) // PER_TASK, 1000))
    found = context.parallelize(images, slices).mapPartitions(lambda part: _look_at_images(at, part)).collect()
    return dict(found)


def explain_missing(storage: Storage, rows: Sequence[Mapping[str, Any]], looks: dict[str, Look]) -> dict[str, Look]:
    """Returns the looks, with the reason EXPIRED for missing pictures of days whose pictures were removed by age."""
    days = {row["image_sha256"]: row["day"] for row in rows
            if (look := looks.get(row["image_sha256"])) and look.reason == MISSING and row["day"]}
    gone = {day for day in set(days.values()) if expiry.find_pictures(storage, day)}
    return looks | {sha256: replace(looks[sha256], reason=EXPIRED) for sha256, day in days.items() if day in gone}


def _look_at_images(at: Where, images: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Look]]:
    storage = task_store.open_there(at)
    for sha256, uri in images:
        yield sha256, look(storage, sha256, uri)


def look(storage: Storage, sha256: str, uri: str) -> Look:
    """One image, read and decoded."""
    from inference.model import preprocess
    from inference.model.perceptual_hash import phash

    try:
        data = storage.read(uri)
        if hashlib.sha256(data).hexdigest() != sha256:
            return Look(reason=DAMAGED, detail=uri)
        preprocess.inspect(data)
        image = preprocess.decode_visible(data)
    except NotFound:
        return Look(reason=MISSING, detail=uri)
    except BadImage as error:
        return Look(reason=UNDECODABLE, detail=str(error))
    return Look(image.width, image.height, len(data), phash(image))
