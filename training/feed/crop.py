"""A picture into its place in a batch: decoded, cut where the seed says, mirrored.

A batch lies in memory as its decoder writes, pixel by pixel (channels last): cutting a picture out of it and mirroring
it then cost next to nothing (5 and 15 us at 224 px, against 65 in the order of channels).
"""

import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contract.documents.card import Preprocess
from inference.model import preprocess as shared

MIRRORED = 0.5  # from here up
SCRATCH = 1 << 20  # bytes that each thread keeps for the pixels of a picture, so that no memory is asked for

_thread = threading.local()


def decoded(image: bytes | memoryview, preprocess: Preprocess) -> np.ndarray:
    """uint8 [H, W, 3], as inference.model.preprocess.resized gives it, until this thread decodes another. BadImage when it cannot
    be decoded."""
    return shared.decode_and_resize(image, preprocess, _scratch())


def lay(pixels: np.ndarray, side: int, place: Any, out: np.ndarray) -> None:
    """Fills uint8 [side, side, 3] with a part of the pixels; `place`: as `cut` takes it, or None for the middle."""
    if place is not None and min(pixels.shape[:2]) >= side:
        y, x = corner(*pixels.shape[:2], side, *place[:2])
        part = pixels[y:y + side, x:x + side]
        # Numpy mirrors pixel by pixel, ten times slower than torch.
        np.copyto(out, torch.from_numpy(part).flip(1).numpy() if place[2] >= MIRRORED else part)
        return
    picture = torch.from_numpy(pixels).permute(2, 0, 1)
    made = shared.crop_center(picture, side) if place is None else cut(picture, side, *place)
    torch.from_numpy(out).permute(2, 0, 1).copy_(made)


def cut(pixels: Tensor, side: int, down: float, across: float, mirrored: float) -> Tensor:
    """[3, H, W] -> [3, side, side]: `down` and `across` in [0, 1) say where in the room that there is; mirrored from 0.5
    up. A picture that is smaller is taken from the middle."""
    height, width = pixels.shape[1:]
    if min(height, width) < side:
        part = shared.crop_center(pixels, side)
    else:
        y, x = corner(height, width, side, down, across)
        part = pixels[:, y:y + side, x:x + side]
    return part.flip(2) if mirrored >= MIRRORED else part


def corner(height: int, width: int, side: int, down: float, across: float) -> tuple[int, int]:
    """Where the cut of `cut` begins in a picture that is large enough: row and column."""
    return int(down * (height - side + 1)), int(across * (width - side + 1))


def _scratch() -> np.ndarray:
    if not hasattr(_thread, "memory"):
        _thread.memory = np.empty(SCRATCH, np.uint8)
    return _thread.memory
