"""Pictures in a format of the user's own become PNGs where they enter, and are pictures like any other from then on.

`pictures.decoder` gets the bytes of what is no JPEG, PNG or WebP and returns pixels. They are written as a PNG without loss:
grey of 16 bits, or 8 bits a channel. That PNG is hashed, kept, classified, shown and trained on; what came is nowhere written
(docs/decisions/0054-decoders.md). It fails closed: whatever the decoder does wrong, the picture is refused.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from contract.errors import BadImage
from contract.sections.pictures import find_decoder
from inference.model import grey16, preprocess
from inference.model.own_code import describe_error, describe_value, hash_source, import_function

JPEG_OR_PNG = (b"\xff\xd8", b"\x89PNG\r\n\x1a\n")
# zlib's fastest: a picture waits for it.
COMPRESSION = 1
EXPECTED = ("expected a numpy array of uint8 or of floats from 0 to 1, [height, width] or [height, width, 3], or of uint16 "
            "[height, width]")


class Decoded(NamedTuple):
    """A PNG, and which decoder made it: `package.module:function@` and 12 digits of its source; None: the bytes as they came."""

    data: bytes
    decoded_by: str | None


class OwnDecoder:
    """A decoder that was loaded."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = f"{name}@{hash_source(name, function)}"
        self._function = function

    def make_png(self, data: bytes, max_pixels: int) -> bytes:
        """Returns a PNG of the decoder's pixels. BadImage: it raised, returned something else, or too many pixels."""
        try:
            pixels = self._function(data)
        except BaseException as error:  # whatever code from outside raises, these bytes are no picture
            raise BadImage(f"the decoder {self.name} raised {describe_error(error)}") from None
        return self._write(self._check(pixels, max_pixels))

    def _check(self, pixels: Any, max_pixels: int) -> Any:
        import numpy as np

        # Exactly an array: a masked one would be written without its mask.
        wrong = type(pixels) is not np.ndarray or not (pixels.ndim == 2 or pixels.ndim == 3 and pixels.shape[2] == 3)
        if wrong or not (pixels.dtype == np.uint8 or pixels.dtype.kind == "f" or pixels.dtype == np.uint16 and pixels.ndim == 2):
            raise BadImage(f"the decoder {self.name}: {EXPECTED}, got {describe_value(pixels)}")
        height, width = pixels.shape[:2]
        if not pixels.size or height * width > max_pixels or max(height, width) > preprocess.LONGEST_SIDE:
            raise BadImage(f"the decoder {self.name}: expected 1 to {max_pixels:,} pixels and at most "
                           f"{preprocess.LONGEST_SIDE:,} a side, got {width} x {height}. Send a smaller image.")
        if pixels.dtype.kind == "f" and not bool(((pixels >= 0) & (pixels <= 1)).all()):  # NaN is neither
            raise BadImage(f"the decoder {self.name}: expected floats from 0 (black) to 1 (white), got others. "
                           f"Divide by the value that is white.")
        return pixels

    def _write(self, pixels: Any) -> bytes:
        import numpy as np
        from PIL import Image

        if pixels.dtype.kind == "f":
            pixels = np.rint(pixels.astype(np.float64) * (grey16.WHITE if pixels.ndim == 2 else 255)).astype(np.int64)
            pixels = pixels if pixels.ndim == 2 else pixels.astype(np.uint8)
        if pixels.ndim == 2 and pixels.dtype != np.uint8:
            return grey16.write_png(pixels, COMPRESSION)
        out = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=COMPRESSION)
        return out.getvalue()


@lru_cache(maxsize=4)
def load(name: str) -> OwnDecoder:
    """Imports a decoder, once in this process. UsageError: its module is not listed, or it cannot be imported."""
    return OwnDecoder(name, import_function(name, "pictures.decoder"))


def load_chosen() -> OwnDecoder | None:
    """Returns the decoder that this process was told to use (contract.sections.pictures); None for none. UsageError as `load`."""
    name = find_decoder()
    return None if name is None else load(name)


def take_in(data: bytes, decoder: OwnDecoder | None, max_pixels: int = preprocess.MAX_PIXELS) -> Decoded:
    """Makes a PNG of a picture in a format of the user's own, where there is a decoder; all else stays as it came. BadImage."""
    if decoder is None or not data or data.startswith(JPEG_OR_PNG) or data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Decoded(data, None)
    return Decoded(decoder.make_png(data, max_pixels), decoder.name)
