"""A picture's perceptual hash: pictures that look nearly alike differ in few of its 64 bits.

pHash (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010): the 8 x 8 lowest
frequencies of a 32 x 32 grey picture, one bit each, "above their median". Re-encoding and small changes of light move
few bits. (dHash was tried: at the same 2 bits it took nine in ten drawings of a zero for the same picture.)

Datasets keep these bits (contract/dataset_record.py), so they must never change.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

BITS, SIDE = 64, 32
# The DCT-II of the 8 lowest frequencies, unscaled: the hash compares, so no scale matters.
COSINES = np.cos(np.pi / SIDE * np.outer(np.arange(8), np.arange(SIDE) + 0.5))


def phash(image: "Image.Image") -> int:
    """Computes the 64 bits of a Pillow image, as a signed number (what Parquet and Spark can hold)."""
    from PIL import Image

    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float64)
    low = np.round(COSINES @ grey @ COSINES.T, 3)  # rounded: another machine's sums differ in the last bits
    bits = np.packbits(low > np.median(low))
    return int(bits.view(">i8")[0])


def popcount(words: np.ndarray) -> np.ndarray:
    """Counts the set bits of each uint64."""
    table = np.array([bin(i).count("1") for i in range(256)], np.uint8)
    return table[words.view(np.uint8).reshape(-1, 8)].sum(1, dtype=np.int64)
