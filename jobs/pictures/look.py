"""Pictures measured one by one: in threads of this process, or in Spark's tasks."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from command.progress import progress
from contract.errors import BadImage, NotFound
from contract.measured.measures import OF_PIXELS
from contract.stores.store import Storage, may_be_key
from jvm import task_store
from jvm.task_store import Where

AT_ONCE = 8  # threads: reading waits for the storage, decoding releases the GIL
PER_TASK = 512
NOT_STORED, MISSING, DAMAGED, UNDECODABLE = ("not stored", "image missing", "image is not the one that its hash names",
                                             "image undecodable")
ERASED = "image erased"


class Picture(NamedTuple):
    """A picture to measure. Width, height and bytes are those of the row, of the picture as it came; None: not known."""

    sha256: str
    prediction_id: str | None
    uri: str | None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None


Row = dict[str, Any]  # of contract.measured.document.PICTURE


def measure_here(storage: Storage, pictures: Sequence[Picture], what: str) -> list[Row]:
    """Measures pictures in threads; the rows in the order of the pictures."""
    rows = []
    with ThreadPoolExecutor(AT_ONCE) as pool, progress(f"measure the pictures of {what}", len(pictures), "pictures") as shown:
        for row in pool.map(lambda picture: measure(storage, picture), pictures):
            rows.append(row)
            shown.advance()
    return rows


def measure_on_spark(storage: Storage, pictures: Sequence[Picture], spark_conf: dict[str, str] | None) -> list[Row]:
    """Measures pictures in at least two tasks; the rows in the order of the pictures."""
    from jvm import session

    if not pictures:
        return []
    at, context = task_store.describe(storage), session.get_session(spark_conf, hands_out=True).sparkContext
    slices = max(2, min(len(pictures) // PER_TASK, 1000))
    return list(context.parallelize(list(pictures), slices).mapPartitions(lambda part: _measure_part(at, part)).collect())


def _measure_part(at: Where, pictures: Iterable[Picture]) -> Iterator[Row]:
    storage = task_store.open_there(at)
    for picture in pictures:
        yield measure(storage, Picture(*picture))


def measure(storage: Storage, picture: Picture) -> Row:
    """Measures one picture; one that cannot be looked at has a reason, and what its row says of its size."""
    from inference.model import preprocess
    from inference.model.picture_measures import measure_picture

    if picture.uri is None or not may_be_key(picture.uri):
        return _of_row(picture, NOT_STORED)
    try:
        data = storage.read(picture.uri)
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            return _of_row(picture, DAMAGED)
        preprocess.inspect(data)
        image = preprocess.decode(data)
    except NotFound:
        return _of_row(picture, MISSING)
    except (BadImage, IsADirectoryError):
        return _of_row(picture, UNDECODABLE)
    return {**_name(picture, None), **measure_picture(image), **_measure_size(image.width, image.height, len(data))}


def make_erased_row(picture: Picture) -> Row:
    """The row of a picture that was erased: nothing of it is read."""
    return _of_row(picture, ERASED)


def _of_row(picture: Picture, reason: str) -> Row:
    return {**_name(picture, reason), **dict.fromkeys(OF_PIXELS), **_measure_size(picture.width, picture.height, picture.bytes)}


def _name(picture: Picture, reason: str | None) -> Row:
    return {"image_sha256": picture.sha256, "prediction_id": picture.prediction_id, "image_uri": picture.uri,
            "reason": reason}


def _measure_size(width: int | None, height: int | None, size: int | None) -> Row:
    of_file = {"bytes": None if size is None else float(size)}
    if not width or not height or min(width, height) < 0:
        return {"pixels": None, "aspect": None, **of_file}
    return {"pixels": float(width * height), "aspect": round(width / height, 6), **of_file}
