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


def picture(seed: int = 0, kind: str = "JPEG", **options) -> bytes:
    """A small picture file, different for each seed."""
    return encode(pixels(seed), kind, **options)
