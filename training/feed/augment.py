"""Random changes of training pictures, by torchvision's transforms of version 2. What happens to a row is a function of
(seed, epoch, image hash) alone, so threads, ranks and a resumed run see the same pictures.

Works where the network is (on the GPU when there is one), picture by picture: v2's own random classes draw once for a
batch, from a generator that all threads share.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from contract.errors import UsageError
from inference.model import lazy_torchvision


@dataclass(frozen=True)
class Strength:
    """Largest changes: turn in radians, shift as a share of the side, zoom and light as factors; whether to flip.

    `window`: cut anywhere in the resized picture instead of in its middle, and mirrored, while it is decoded.
    """

    turn: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    light: float = 0.0
    contrast: float = 0.0
    flip: bool = False
    window: bool = False


STRENGTHS = {
    "none": Strength(),
    "crop": Strength(window=True),
    "light": Strength(turn=0.2, shift=0.08, zoom=0.12, light=0.2, contrast=0.3),
    "photo": Strength(turn=0.1, shift=0.1, zoom=0.3, light=0.25, contrast=0.3, flip=True),
}
WORDS = 7  # random numbers of a row


def strength(name: str) -> Strength:
    """A strength by name."""
    if name not in STRENGTHS:
        raise UsageError(f"train.augment: expected one of {', '.join(STRENGTHS)}, got {name!r}.")
    return STRENGTHS[name]


def uniforms(seed: int, epoch: int, hashes: Sequence[str]) -> Any:
    """float64 [n, WORDS] in [0, 1): 32-bit words of sha256("seed/epoch/hash")."""
    digests = [hashlib.sha256(f"{seed}/{epoch}/{h}".encode()).digest()[:4 * WORDS] for h in hashes]
    words = np.frombuffer(b"".join(digests), ">u4").reshape(-1, WORDS)
    return words.astype(np.float64) / 2**32


def windows(strong: Strength, seed: int, epoch: int) -> Callable[[Sequence[str]], Any] | None:
    """For training.feed.feed: image hashes -> [n, 3], where to cut each and whether to mirror it; None: in the middle."""
    return partial(_windows, seed, epoch) if strong.window else None  # no lambda: it goes to other processes


def _windows(seed: int, epoch: int, hashes: Sequence[str]) -> Any:
    return uniforms(seed, epoch, hashes)[:, [1, 2, 6]]


def apply(images: Any, strong: Strength, u: Any) -> Any:
    """uint8 [n, 3, H, W] and uniforms [n, WORDS] -> the same shape, 0 to 255: float32, or as they came where nothing changes."""
    import torch

    if strong in (STRENGTHS["none"], STRENGTHS["crop"]) or not len(images):
        return images
    x = images.to(torch.float32) / 255
    changed = [_changed(picture, strong, r) for picture, r in zip(x, (2 * u - 1).tolist(), strict=True)]
    return torch.stack(changed) * 255


def _changed(x: Any, strong: Strength, r: Sequence[float]) -> Any:
    """float32 [3, H, W] in [0, 1] and the picture's own WORDS numbers in [-1, 1) -> the same, changed."""
    lazy_torchvision.load(lazy_torchvision.AUGMENTATION)
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional as f

    height, width = x.shape[-2:]
    # What moves in from outside repeats the picture's edge, as far as any corner can move.
    beyond = math.ceil(max(height, width) * ((0.5 + strong.shift + strong.turn / 2) * (1 + strong.zoom) - 0.5))
    x = f.pad(x, [beyond] * 4, padding_mode="edge")
    x = f.affine(x, angle=math.degrees(strong.turn * r[0]), translate=[width * strong.shift * r[1], height * strong.shift * r[2]],
                 scale=1 / (1 + strong.zoom * r[3]), shear=[0.0, 0.0], interpolation=InterpolationMode.BILINEAR)
    x = f.center_crop(x, [height, width])
    if strong.flip and r[6] < 0:
        x = f.horizontal_flip(x)
    return f.adjust_brightness(f.adjust_contrast(x, 1 + strong.contrast * r[4]), 1 + strong.light * r[5])
