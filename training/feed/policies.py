"""RandAugment (Cubuk et al. 2020) and TrivialAugment Wide (Müller and Hutter 2021), with the operations, ranges and
magnitudes of torchvision's classes of these names; the drawing is ours.

A picture's draws are its own uniform numbers, functions of (seed, epoch, image hash): the classes draw from a generator that
all threads share. Where a picture moves, black comes in, as in both papers.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from inference.model import lazy_torchvision

LEVELS = 30  # a magnitude is level / LEVELS of its range
OPERATIONS_OF_RAND, LEVEL_OF_RAND = 2, 9  # torchvision's defaults, of the paper's experiments with ImageNet


class Operation(NamedTuple):
    """One change: its largest magnitude, which grows from 0 with the level, and whether half of the draws negate it.

    Shears as a slope, moves in pixels, turns in degrees, colours as what is added to the factor 1, bits that are taken
    away; `solarize`: how far the threshold sinks from white (1: to black).
    """

    name: str
    largest: float
    signed: bool


def list_rand(height: int, width: int) -> tuple[Operation, ...]:
    """Returns the operations of RandAugment for pictures of this size."""
    moves = tuple(150 / 331 * side for side in (width, height))
    return _list_operations(0.3, moves, 30.0, 0.9, 4)


def list_trivial() -> tuple[Operation, ...]:
    """Returns the operations of TrivialAugment Wide."""
    return _list_operations(0.99, (32.0, 32.0), 135.0, 0.99, 6)


def _list_operations(shear: float, moves: Sequence[float], turn: float, colour: float, bits: int) -> tuple[Operation, ...]:
    return (Operation("identity", 0, False), Operation("shear_x", shear, True), Operation("shear_y", shear, True),
            Operation("move_x", moves[0], True), Operation("move_y", moves[1], True), Operation("turn", turn, True),
            *(Operation(name, colour, True) for name in ("brightness", "color", "contrast", "sharpness")),
            Operation("posterize", bits, False), Operation("solarize", 1, False), Operation("autocontrast", 0, False),
            Operation("equalize", 0, False))


def change_rand(picture: Tensor, uniforms: Sequence[float]) -> Tensor:
    """Changes uint8 [3, H, W] by two operations of level 9; `uniforms`: four numbers in [0, 1)."""
    operations = list_rand(*picture.shape[-2:])
    for n in range(OPERATIONS_OF_RAND):
        operation = operations[int(uniforms[2 * n] * len(operations))]
        picture = apply_operation(picture, operation, LEVEL_OF_RAND, uniforms[2 * n + 1] < 0.5)
    return picture


def change_trivial(picture: Tensor, uniforms: Sequence[float]) -> Tensor:
    """Changes uint8 [3, H, W] by one operation of any level; `uniforms`: three numbers in [0, 1)."""
    operations = list_trivial()
    operation = operations[int(uniforms[0] * len(operations))]
    return apply_operation(picture, operation, int(uniforms[1] * (LEVELS + 1)), uniforms[2] < 0.5)


def apply_operation(picture: Tensor, operation: Operation, level: int, negative: bool) -> Tensor:
    """Applies an operation to uint8 [3, H, W], at `level` of 0 to LEVELS."""
    lazy_torchvision.load(lazy_torchvision.AUGMENTATION)
    from torchvision.transforms.v2 import functional as f

    m = operation.largest * level / LEVELS * (-1 if operation.signed and negative else 1)
    match operation.name:
        case "identity":
            return picture
        case "shear_x" | "shear_y" | "move_x" | "move_y":
            return _shift(picture, operation.name, m)
        case "turn":
            return f.rotate(picture, m)
        case "brightness":
            return f.adjust_brightness(picture, 1 + m)
        case "color":
            return f.adjust_saturation(picture, 1 + m)
        case "contrast":
            return f.adjust_contrast(picture, 1 + m)
        case "sharpness":
            return f.adjust_sharpness(picture, 1 + m)
        case "posterize":
            return f.posterize(picture, 8 - round(m))
        case "solarize":
            return f.solarize(picture, 255 * (1 - m))
        case "autocontrast":
            return f.autocontrast(picture)
        case "equalize":
            return f.equalize(picture)
    raise ValueError(f"expected an operation of this module, got {operation.name!r}")


def _shift(picture: Tensor, name: str, m: float) -> Tensor:
    """Shears by the slope m, around the upper left corner, or moves by m pixels, rounded towards 0."""
    from torchvision.transforms.v2 import functional as f

    along_x = name.endswith("x")
    if name.startswith("shear"):
        angle = math.degrees(math.atan(m))
        return f.affine(picture, angle=0.0, translate=[0, 0], scale=1.0, shear=[angle, 0.0] if along_x else [0.0, angle],
                        center=[0, 0])
    by = int(m)
    return f.affine(picture, angle=0.0, translate=[by, 0] if along_x else [0, by], scale=1.0, shear=[0.0, 0.0])
