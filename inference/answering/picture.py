"""A picture as it is taken in: judged, stripped of metadata, redacted, hashed, and prepared for the network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.model import preprocess
from inference.model.redaction import EXTENSION, Redactor
from inference.model.strip_metadata import strip_metadata
from inference.outbox.tables import Image

if TYPE_CHECKING:
    from inference.model.predictor import Prepared


@dataclass(frozen=True)
class Picture:
    """An image as it came (info, how many bytes, the body's sha256), as it is kept, and as the network gets it."""

    info: preprocess.ImageInfo
    bytes: int
    body_sha256: str
    image: Image
    prepared: Prepared


def read_picture(data: bytes, max_pixels: int, prepare: Callable[[bytes], Prepared],
                 redactor: Redactor | None = None) -> Picture:
    """Does all that is done with the bytes that came: judges the header, strips metadata, redacts, hashes, decodes.

    BadImage, RedactionFailed.
    """
    info = preprocess.inspect(data, max_pixels)
    kept, extension, _ = strip_metadata(data, info)
    if redactor is not None:
        kept, extension = redactor.redact(kept), EXTENSION
    image = Image(hashlib.sha256(kept).hexdigest(), extension, kept)
    body = image.sha256 if kept == data else hashlib.sha256(data).hexdigest()
    return Picture(info, len(data), body, image, prepare(kept))
