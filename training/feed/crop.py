"""Writes a picture into its place in a batch: decoded, cropped where the seed says, mirrored.

A batch lies in memory as its worker writes it, pixel by pixel (channels last): cropping a picture out of it and mirroring
it then cost next to nothing (5 and 15 us at 224 px, against 65 in the order of channels).
"""

import threading
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.documents.card import Preprocess
from inference.model import preprocess as shared

MIRROR_FROM = 0.5  # a picture is mirrored when its third random number is this or more
SCRATCH_BYTES = 1 << 20  # that each thread keeps for the pixels of a picture, so that no memory is asked for

_thread = threading.local()


def decode_picture(image: bytes | memoryview, preprocess: Preprocess) -> NDArray[np.uint8]:
    """Decodes and resizes an image to uint8 [H, W, 3], as inference.model.preprocess.decode_and_resize does.

    The pixels are good until this thread decodes another one. BadImage: the image cannot be decoded.
    """
    return shared.decode_and_resize(image, preprocess, _scratch())  # type: ignore[arg-type]  # it reads any buffer


def crop_into(pixels: NDArray[np.uint8], window: Sequence[float] | NDArray[np.float64] | None,
              out: NDArray[np.uint8]) -> None:
    """Fills `out`, uint8 [side, side, 3], with a crop of `pixels`, uint8 [H, W, 3].

    `window`: (down, across, mirrored) as `crop_picture` takes them, or None for the middle.
    """
    side = out.shape[0]
    if window is not None and min(pixels.shape[:2]) >= side:
        height, width = pixels.shape[:2]
        y, x = find_corner(height, width, side, window[0], window[1])
        crop = pixels[y:y + side, x:x + side]
        # Numpy mirrors pixel by pixel, ten times slower than torch.
        np.copyto(out, torch.from_numpy(crop).flip(1).numpy() if window[2] >= MIRROR_FROM else crop)
        return
    picture = torch.from_numpy(pixels).permute(2, 0, 1)
    cropped = shared.crop_center(picture, side) if window is None else crop_picture(picture, side, *window)
    torch.from_numpy(out).permute(2, 0, 1).copy_(cropped)


def crop_picture(pixels: Tensor, side: int, down: float, across: float, mirrored: float) -> Tensor:
    """Crops [3, H, W] to [3, side, side]. `down` and `across`, in [0, 1), say where between the first possible position and
    the last; `mirrored`: from 0.5 on it is mirrored. Of a picture that is smaller, the middle, black around it."""
    height, width = pixels.shape[1:]
    if min(height, width) < side:
        crop = shared.crop_center(pixels, side)
    else:
        y, x = find_corner(height, width, side, down, across)
        crop = pixels[:, y:y + side, x:x + side]
    return crop.flip(2) if mirrored >= MIRROR_FROM else crop


def find_corner(height: int, width: int, side: int, down: float, across: float) -> tuple[int, int]:
    """Returns (row, column) of the upper left corner of the crop in a picture of at least `side` x `side` pixels."""
    return int(down * (height - side + 1)), int(across * (width - side + 1))


def _scratch() -> NDArray[np.uint8]:
    if not hasattr(_thread, "memory"):
        _thread.memory = np.empty(SCRATCH_BYTES, np.uint8)
    return _thread.memory
