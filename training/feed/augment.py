"""Random changes of training pictures. What happens to a row is a function of (seed, epoch, image hash) alone, so threads,
ranks and a resumed run see the same pictures.

Works where the network is (on the GPU when there is one), on a whole batch at once. torchvision's functions change one picture
in 0.5 ms, and its random classes draw once for a batch, from a generator that all threads share; what is changed is what they
would make of each picture.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as f

from contract.errors import UsageError
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
GREY = (0.2989, 0.587, 0.114)  # weights of red, green and blue in grey (ITU-R BT.601, as torchvision has them)


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
    signed = 2 * uniforms - 1
    x = _move(images.to(torch.float32) / 255, strength, signed)
    if strength.flip:
        mirrored = torch.from_numpy(signed[:, 6] < 0).to(x.device)
        x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
    return _light(x, strength, signed) * 255


def _move(x: Tensor, strength: Strength, signed: NDArray[np.float64]) -> Tensor:
    """Turns, shifts and zooms each of float32 [n, 3, H, W] by its own numbers in [-1, 1), around its middle, bilinearly.

    What moves in from outside repeats the picture's edge.
    """
    height, width = x.shape[-2:]
    turn, scale = strength.turn * signed[:, 0], 1 + strength.zoom * signed[:, 3]
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    dx, dy = width * strength.shift * signed[:, 1], height * strength.shift * signed[:, 2]
    # From a place in the new picture, in pixels from the middle, to one in the old picture, in halves of its sides.
    rows = np.array([[cos, sin, -cos * dx - sin * dy], [-sin, cos, sin * dx - cos * dy]])
    halves = np.array([0.5 * width, 0.5 * height])[:, None, None]
    by_x, by_y, shift = torch.from_numpy((rows / halves).T).to(x.device, torch.float32)[..., None, None].unbind(1)
    right = torch.arange(width, device=x.device) - (width - 1) / 2
    down = (torch.arange(height, device=x.device) - (height - 1) / 2)[:, None]
    grid = (by_x * right + by_y * down + shift).movedim(1, 3)
    return f.grid_sample(x, grid, "bilinear", "border", align_corners=False)


def _light(x: Tensor, strength: Strength, signed: NDArray[np.float64]) -> Tensor:
    """Changes contrast around each picture's mean grey, then brightness, of float32 [n, 3, H, W] in [0, 1]; stays within."""
    factors = torch.from_numpy(1 + np.array([strength.contrast, strength.light]) * signed[:, 4:6]).to(x.device, torch.float32)
    contrast, light = factors.T[:, :, None, None, None]
    grey = (x * torch.tensor(GREY, device=x.device)[:, None, None]).sum(1, keepdim=True)
    # Rows first: a sum over a whole picture alone is divided among threads otherwise than beside others.
    mean = grey.mean(3, keepdim=True).mean(2, keepdim=True)
    return (((x - mean) * contrast + mean).clamp(0, 1) * light).clamp(0, 1)
