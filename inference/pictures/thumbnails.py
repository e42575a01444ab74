"""Small copies of stored pictures, made when they are asked for and held in memory only: an erased one leaves no copy."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from contract import layout
from contract.stores.store import Storage

if TYPE_CHECKING:
    from PIL import Image

SIDE = 192  # pixels, twice what a phone shows
SMALL = 24 << 10  # bytes: such a picture is shown as it is
HELD = 3000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO")
TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


class Thumbnails:
    """The thumbnails of one root. Threads may share it."""

    def __init__(self, storage: Storage, max_pixels: int) -> None:
        self.storage, self.max_pixels = storage, max_pixels
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[bytes, str]] = OrderedDict()

    def find(self, sha256: str) -> tuple[bytes, str] | None:
        """Returns a small picture and its media type; None when the picture is not stored, or is none."""
        with self._lock:
            if sha256 in self._held:
                self._held.move_to_end(sha256)
                return self._held[sha256]
        data = read_picture(self.storage, sha256)
        made = shrink(data, self.max_pixels) if data else None
        if made:
            with self._lock:
                self._held[sha256] = made
                while len(self._held) > HELD:
                    self._held.popitem(last=False)
        return made


def read_picture(storage: Storage, sha256: str) -> bytes | None:
    """Reads a stored picture; None when it was never stored, went by age, or was erased."""
    entry = next(iter(storage.list(layout.image(sha256, ""))), None)
    return storage.read(entry.key) if entry else None


def shrink(data: bytes, max_pixels: int) -> tuple[bytes, str] | None:
    """Makes a picture that fits SIDE x SIDE, upright; None for bytes that are no picture, or too many pixels."""
    from PIL import Image, ImageOps

    from inference.model import grey16

    try:
        with Image.open(io.BytesIO(data), formats=list(FORMATS)) as image:
            if image.width * image.height > max_pixels:
                return None
            if grey16.is_wide(image):
                return _shrink_wide(image)
            if len(data) <= SMALL and image.format in TYPES and max(image.size) <= 2 * SIDE:
                return data, TYPES[image.format]
            image.draft("RGB", (SIDE, SIDE))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((SIDE, SIDE))
            out = io.BytesIO()
            upright.convert("RGB").save(out, "JPEG", quality=82)
            return out.getvalue(), "image/jpeg"
    except Exception:  # Pillow raises many kinds for bytes that are no image; none of them is shown
        return None


def _shrink_wide(image: Image.Image) -> tuple[bytes, str]:
    """Makes one of a picture with 16 bits, from its darkest value to the brightest: of 12 bits in 16 browsers show black."""
    from PIL import ImageOps

    from inference.model import grey16

    small = grey16.make_visible(grey16.read_values(ImageOps.exif_transpose(image)))
    small.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=82)
    return out.getvalue(), "image/jpeg"


def draw_note(text: str) -> bytes:
    """Draws a word in place of a picture, as SVG; `text` is ours."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96"><rect width="96" height="96" fill="#6b7675"/>'
            f'<text x="48" y="53" text-anchor="middle" font-family="system-ui,sans-serif" font-size="15" fill="#fff">{text}'
            f'</text></svg>').encode()
