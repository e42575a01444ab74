"""Pictures for tests: small, different for each seed, in every format that may come in."""

import io

import numpy as np
from PIL import Image


def pixels(seed: int = 0, width: int = 48, height: int = 36) -> Image.Image:
    """A smooth random picture, so that JPEG keeps it nearly as it is."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    """The picture as a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


# PIL's Transpose that undoes each EXIF orientation.
STORED = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}


def encode_turned(image: Image.Image, orientation: int, kind: str, **options) -> bytes:
    """The picture as a camera stores it that is held in that way: its tag says how to turn it."""
    exif, turn = Image.Exif(), STORED[orientation]
    exif[0x0112] = orientation
    return encode(image if turn is None else image.transpose(turn), kind, exif=exif, **options)


def picture(seed: int = 0, kind: str = "JPEG", **options) -> bytes:
    """A small picture file, different for each seed."""
    return encode(pixels(seed), kind, **options)
