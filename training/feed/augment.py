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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.errors import UsageError
from inference.model import lazy_torchvision
from training.feed import policies


@dataclass(frozen=True)
class Strength:
    """Largest changes: turn in radians, shift as a share of the side, zoom and light as factors; whether to flip.

    `random_crop`: crop anywhere in the resized picture instead of in its middle, and mirror, while it is decoded.
    `policy`: changes by training.feed.policies instead, by none of the above.
    """

    turn: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    light: float = 0.0
    contrast: float = 0.0
    flip: bool = False
    random_crop: bool = False
    policy: str | None = None


STRENGTHS = {
    "none": Strength(),
    "crop": Strength(random_crop=True),
    "light": Strength(turn=0.2, shift=0.08, zoom=0.12, light=0.2, contrast=0.3),
    "photo": Strength(turn=0.1, shift=0.1, zoom=0.3, light=0.25, contrast=0.3, flip=True),
    "rand": Strength(policy="rand"),
    "trivial": Strength(policy="trivial"),
}
POLICIES = {"rand": policies.change_rand, "trivial": policies.change_trivial}
WORDS = 7  # random numbers of a row


def find_strength(name: str) -> Strength:
    """Returns a strength by name. UsageError: there is none of this name."""
    if name not in STRENGTHS:
        raise UsageError(f"train.augment: expected one of {', '.join(STRENGTHS)}, got {name!r}.")
    return STRENGTHS[name]


def draw_uniforms(seed: int, epoch: int, hashes: Sequence[str]) -> NDArray[np.float64]:
    """Returns float64 [n, WORDS] in [0, 1), a row for each image hash: 32-bit words of sha256("seed/epoch/hash")."""
    digests = [hashlib.sha256(f"{seed}/{epoch}/{h}".encode()).digest()[:4 * WORDS] for h in hashes]
    words = np.frombuffer(b"".join(digests), ">u4").reshape(-1, WORDS)
    return words.astype(np.float64) / 2**32


def make_crop_windows(strength: Strength, seed: int, epoch: int) -> Callable[[Sequence[str]], NDArray[np.float64]] | None:
    """Returns the `windows` of training.feed.feed.Feed.batches: a function from image hashes to [n, 3], where to crop each and
    whether to mirror it. None: all are cropped in the middle."""
    return partial(_draw_crop_windows, seed, epoch) if strength.random_crop else None  # no lambda: it goes to other processes


def _draw_crop_windows(seed: int, epoch: int, hashes: Sequence[str]) -> NDArray[np.float64]:
    return draw_uniforms(seed, epoch, hashes)[:, [1, 2, 6]]


def apply(images: Tensor, strength: Strength, uniforms: NDArray[np.float64]) -> Tensor:
    """Changes uint8 [n, 3, H, W] by the uniforms, [n, WORDS]: float32 of the same shape, 0 to 255 (uint8 with a policy), or the
    images as they came where nothing changes."""
    if strength in (STRENGTHS["none"], STRENGTHS["crop"]) or not len(images):
        return images
    if strength.policy is not None:
        change = POLICIES[strength.policy]
        return torch.stack([change(picture, r) for picture, r in zip(images, uniforms.tolist(), strict=True)])
    x = images.to(torch.float32) / 255
    signed = (2 * uniforms - 1).tolist()
    return torch.stack([_change(picture, strength, r) for picture, r in zip(x, signed, strict=True)]) * 255


def _change(x: Tensor, strength: Strength, r: Sequence[float]) -> Tensor:
    """Changes float32 [3, H, W] in [0, 1] by the picture's own WORDS numbers in [-1, 1)."""
    lazy_torchvision.load(lazy_torchvision.AUGMENTATION)
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional as f

    height, width = x.shape[-2:]
    # What moves in from outside repeats the picture's edge, as far as any corner can move.
    beyond = math.ceil(max(height, width) * ((0.5 + strength.shift + strength.turn / 2) * (1 + strength.zoom) - 0.5))
    x = f.pad(x, [beyond] * 4, padding_mode="edge")
    x = f.affine(x, angle=math.degrees(strength.turn * r[0]),
                 translate=[width * strength.shift * r[1], height * strength.shift * r[2]],
                 scale=1 / (1 + strength.zoom * r[3]), shear=[0.0, 0.0], interpolation=InterpolationMode.BILINEAR)
    x = f.center_crop(x, [height, width])
    if strength.flip and r[6] < 0:
        x = f.horizontal_flip(x)
    return f.adjust_brightness(f.adjust_contrast(x, 1 + strength.contrast * r[4]), 1 + strength.light * r[5])
