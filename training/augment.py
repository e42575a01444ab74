"""Random changes of training pictures. What happens to a row is a function of (seed, epoch, image hash) alone, so
threads, ranks and a resumed run see the same pictures.

Works on whole batches where the network is (on the GPU when there is one).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.errors import UsageError


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
    """For training.batches: image hashes -> [n, 3], where to cut each and whether to mirror it; None: in the middle."""
    return (lambda hashes: uniforms(seed, epoch, hashes)[:, [1, 2, 6]]) if strong.window else None


def apply(images: Any, strong: Strength, u: Any) -> Any:
    """uint8 [n, 3, H, W] and uniforms [n, WORDS] -> float32 of the same shape, 0 to 255."""
    import torch

    x = images.to(torch.float32)
    if strong in (STRENGTHS["none"], STRENGTHS["crop"]) or not len(x):
        return x
    r = torch.as_tensor(2 * u - 1, dtype=torch.float32, device=x.device)  # -1 to 1
    x = _moved(x, strong, r)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * (1 + strong.contrast * _column(r, 4)) + mean * (1 + strong.light * _column(r, 5))
    return x.clamp_(0, 255)


def _column(r: Any, n: int) -> Any:
    return r[:, n].view(-1, 1, 1, 1)


def _moved(x: Any, strong: Strength, r: Any) -> Any:
    import torch
    from torch.nn import functional as f

    angle, scale = strong.turn * r[:, 0], 1 + strong.zoom * r[:, 3]
    flip = torch.where(r[:, 6] < 0, -1.0, 1.0) if strong.flip else torch.ones_like(scale)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    # affine_grid's unit is half a side; a shift is given in sides.
    theta = torch.stack([torch.stack([cos * flip, -sin, 2 * strong.shift * r[:, 1]], 1),
                         torch.stack([sin * flip, cos, 2 * strong.shift * r[:, 2]], 1)], 1)
    grid = f.affine_grid(theta, list(x.shape), align_corners=False)
    return f.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
