"""The demo's digits as rows in memory; made pictures of ten patterns where scikit-learn is not installed."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.made import Rows
from contract.documents.card import Preprocess
from inference.model import preprocess
from pipeline.demo import digits

CLASSES = [str(n) for n in range(10)]
PARTS = {"first": ("first_training", "clean"), "tuning": ("drifted",), "held": ("recovered",)}
MADE = {"first": 700, "tuning": 500, "held": 400}


def load_part(name: str, share: float = 1.0) -> tuple[str, list[digits.Picture]]:
    """Returns where the pictures are from and those of a part: first (clean), tuning and held (drifted); `share` of them."""
    try:
        return "scikit-learn's digits", [p for part in PARTS[name] for p in digits.make_part(part, 1, share)]
    except ImportError:
        return "made pictures", make_pictures(name, max(1, int(MADE[name] * share)))


def make_pictures(name: str, count: int) -> list[digits.Picture]:
    """Makes pictures of ten 8 x 8 patterns with noise, by the demo's two cameras."""
    patterns = np.random.default_rng(7).integers(0, 17, (10, 8, 8))
    draw = np.random.default_rng(list(MADE).index(name))
    made = []
    for n in range(count):
        pattern = np.clip(patterns[n % 10] + draw.normal(0, 4, (8, 8)), 0, 16)
        data = digits.take_clean(pattern) if name == "first" else digits.take_drifted(pattern, draw)
        made.append(digits.Picture(f"{name}-{n}.jpg", data, str(n % 10)))
    return made


def decode(pictures: Sequence[digits.Picture], side: int) -> Rows:
    """Decodes pictures as training does, to rows of `side` pixels."""
    how = Preprocess(resize=side, crop=side)
    pixels: list[Any] = [preprocess.to_uint8(p.data, how).permute(1, 2, 0) for p in pictures]
    labels = torch.tensor([int(p.truth) for p in pictures])
    # Laid out as the feed's batches are: channels innermost.
    images = torch.stack(pixels).permute(0, 3, 1, 2)
    return Rows(images, labels, [hashlib.sha256(p.data).hexdigest() for p in pictures])
