"""A picture as it is taken in: judged, stripped of metadata, redacted, hashed, and prepared for the network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.model import preprocess
from inference.model.own_decoder import OwnDecoder, take_in
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
    decoded_by: str | None = None


def read_picture(data: bytes, max_pixels: int, prepare: Callable[[bytes], Prepared],
                 redactor: Redactor | None = None, decoder: OwnDecoder | None = None) -> Picture:
    """Does all that is done with the bytes that came: makes a PNG of a format of the user's own, judges the header, strips
    metadata, redacts, hashes, decodes.

    BadImage, RedactionFailed.
    """
    taken, decoded_by = take_in(data, decoder, max_pixels)
    info = preprocess.inspect(taken, max_pixels)
    kept, extension = strip_metadata(taken, info)
    if redactor is not None:
        kept, extension = redactor.redact(kept), EXTENSION
    image = Image(hashlib.sha256(kept).hexdigest(), extension, kept)
    body = image.sha256 if kept == data else hashlib.sha256(data).hexdigest()
    return Picture(info, len(data), body, image, prepare(kept), decoded_by)
