"""Brightness, contrast, sharpness and colour balance of a picture (contract/measured/measures.py).

Measured at a longer side of at most 256 pixels, about what a network sees: shrunk by averaging areas (Pillow's BOX), never
enlarged. Luma is that of ITU-R BT.601, as Pillow converts to grey. Sharpness is the variance of the Laplacian (Pech-Pacheco
et al., "Diatom autofocusing in brightfield microscopy", 2000; OpenCV's cv2.Laplacian(grey).var()) divided by the variance
of luma, so that a darker or flatter picture is as sharp as before.
"""

from typing import TYPE_CHECKING

import numpy as np

from contract.measured.measures import SIDE

if TYPE_CHECKING:
    from PIL import Image

DIGITS = 6  # kept: sums of another machine differ in the last bits
FLAT = 1.0  # variance of luma, in levels of 0 to 255, below which sharpness is rounding alone


def measure_picture(image: "Image.Image") -> dict[str, float | None]:
    """Measures an RGB picture, upright; null is what it does not have: a black one no balance, a flat one no sharpness."""
    small = shrink(image)
    grey = np.asarray(small.convert("L"), np.float64)
    sums = np.asarray(small, np.float64).sum((0, 1))
    total = float(sums.sum())
    found = {"brightness": grey.mean() / 255, "contrast": grey.std() / 255, "sharpness": measure_sharpness(grey),
             "red": sums[0] / total if total else None, "blue": sums[2] / total if total else None}
    return {name: None if value is None else round(float(value), DIGITS) for name, value in found.items()}


def shrink(image: "Image.Image") -> "Image.Image":
    """Shrinks to a longer side of at most SIDE pixels."""
    from PIL import Image

    longest = max(image.size)
    if longest <= SIDE:
        return image
    width, height = (max(1, round(side * SIDE / longest)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def measure_sharpness(grey: np.ndarray) -> float | None:
    """Measures the sharpness of luma [H, W], 0 to 255, inside its border; None of a flat picture, or below 3 x 3 pixels."""
    variance = float(grey.var())
    if min(grey.shape) < 3 or variance < FLAT:
        return None
    inside = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inside
    return float(laplacian.var()) / variance
