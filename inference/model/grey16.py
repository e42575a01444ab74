"""Grey pictures of 16 bits, of which a network gets 8: which values are black and white (docs/decoders.md).

Cameras and scanners write 10, 12 or 14 bits into 16. Of such a picture the upper 8 bits are all but black, so a version's
preprocessing can name the two values (`levels`); between them the values are divided evenly among 0 to 255, which is what
radiology calls a window.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from numpy import ndarray

WHITE = 65_535


def is_wide(image: Image.Image) -> bool:
    """Says whether a picture, as Pillow opened it, is grey of 16 bits."""
    return image.mode.startswith("I")


def read_values(image: Image.Image) -> ndarray:
    """Returns the values of such a picture, int64 [H, W], 0 to 65,535."""
    import numpy as np

    return np.asarray(image).astype(np.int64)


def to_eight_bits(values: ndarray, levels: Sequence[int] | None = None) -> Image.Image:
    """Makes grey of 8 bits from values of 16. `levels`: what becomes 0 and 255, evenly between, clipped beyond; None: the upper 8
    bits."""
    import numpy as np

    if levels is None:
        return Image.fromarray((values >> 8).astype(np.uint8))
    low, high = levels
    scaled = np.rint((np.clip(values, low, high) - low) * 255 / (high - low))
    return Image.fromarray(scaled.astype(np.uint8))


def make_visible(values: ndarray) -> Image.Image:
    """Makes grey of 8 bits to be looked at, from the darkest value to the brightest: nobody says which is white."""
    low, high = int(values.min()), int(values.max())
    return to_eight_bits(values, (low, high) if high > low else None)


def shrink(values: ndarray, size: tuple[int, int]) -> ndarray:
    """Resizes values to (width, height) by Lanczos, in floating point: int64 [height, width]."""
    import numpy as np

    small = Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    return np.clip(np.rint(np.asarray(small)), 0, WHITE).astype(np.int64)


def write_png(values: ndarray, compress_level: int = 6) -> bytes:
    """Writes values 0 to 65,535 [H, W] as a PNG of 16 bits."""
    import numpy as np

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(values).astype(np.uint16)).save(out, "PNG", compress_level=compress_level)
    return out.getvalue()
