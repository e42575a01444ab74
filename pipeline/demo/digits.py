"""scikit-learn's handwritten digits as image files: as a clean camera sees them, and as a drifted one does.

The 1,797 digits are cut once, by seed, into disjoint parts, so that no day's traffic has a digit of the first training set,
and the traffic after the recovery none of any training set.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 64  # pixels of the image files; the digits are 8 x 8
PARTS = {"first_training": 450, "clean_holdout": 197, "clean": 250, "drifted": 500, "recovered": 400}


@dataclass(frozen=True)
class Picture:
    """One image file: its JPEG bytes and what it really shows."""

    name: str
    data: bytes
    truth: str


def make_part(name: str, seed: int, size: float = 1.0) -> Iterator[Picture]:
    """Yields the pictures of one part of `PARTS`; `drifted` and `recovered` are seen by the drifted camera.

    `size` scales every part but keeps them disjoint (0 < size <= 1).
    """
    images, labels = load_images()
    order = np.random.default_rng([seed, 0]).permutation(len(images))
    start = sum(n for k, n in PARTS.items() if list(PARTS).index(k) < list(PARTS).index(name))
    for i in order[start : start + max(1, int(PARTS[name] * size))]:
        rng = np.random.default_rng([seed, 1, int(i)])
        drifted = name in ("drifted", "recovered")
        data = take_drifted(images[i], rng) if drifted else take_clean(images[i])
        yield Picture(f"{name}-{i:04d}.jpg", data, str(labels[i]))


def write_class_folders(folder: Path, part: str, seed: int, size: float = 1.0) -> None:
    """Writes the pictures of one part of `PARTS` below a folder, in one folder for each class."""
    for picture in make_part(part, seed, size):
        path = folder / picture.truth / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.data)


def take_clean(digit: np.ndarray) -> bytes:
    """Takes the 8 x 8 digit (0-16) by the clean camera: enlarged and stored as a JPEG."""
    return _encode_jpeg(_enlarge(digit))


def take_drifted(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    """Takes the same after somebody knocked the camera: tilted, lower in contrast, noisier."""
    return _encode_jpeg(add_noise(lower_contrast(tilt(_enlarge(digit), rng), rng), rng))


def tilt(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turns by 32 to 44 degrees, all the same way: a mount that slipped."""
    return image.rotate(float(rng.uniform(32, 44)), Image.Resampling.BILINEAR, fillcolor=0)


def lower_contrast(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Scales contrast to 45-65% around a raised black level."""
    return image.point(lambda v, s=float(rng.uniform(0.45, 0.65)): int(v * s + 50))


def add_noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Adds Gaussian noise of standard deviation 12 grey levels."""
    noise = rng.normal(0, 12, (SIDE, SIDE))
    return Image.fromarray(np.clip(np.asarray(image, dtype=float) + noise, 0, 255).astype(np.uint8))


def _enlarge(digit: np.ndarray) -> Image.Image:
    small = Image.fromarray(np.clip(digit * 16, 0, 255).astype(np.uint8))
    return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _encode_jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92)
    return out.getvalue()


@cache
def load_images() -> tuple[Any, Any]:
    """Loads scikit-learn's 1,797 digits: float [n, 8, 8] from 0 to 16, and their classes, int [n]."""
    from sklearn.datasets import load_digits

    dataset = load_digits()
    return dataset.images, dataset.target
