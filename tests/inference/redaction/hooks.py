"""Hooks as people write them, and as they should not: `serve.redact=tests.inference.redaction.hooks:blank`."""

import time

import numpy as np


def blank(pixels):
    """The left half becomes black, in place."""
    pixels[:, : pixels.shape[1] // 2] = 0
    return pixels


def inverted(pixels):
    """No byte of what came is left; a view that is not contiguous."""
    return (255 - pixels)[:, ::-1]


def unchanged(pixels):
    """Nothing to hide."""
    return pixels


NOT_A_PICTURE = {
    "none": lambda pixels: None, "bytes": lambda pixels: pixels.tobytes(), "smaller": lambda pixels: pixels[1:],
    "grey": lambda pixels: pixels[..., 0], "floats": lambda pixels: pixels / 255,
    "turned": lambda pixels: pixels.transpose(1, 0, 2),
    "masked": lambda pixels: np.ma.masked_array(pixels, mask=True), "wide": lambda pixels: pixels.astype(np.uint16)}
ENDINGS = {"value": ValueError, "exit": SystemExit, "interrupt": KeyboardInterrupt, "generator": GeneratorExit,
           "stop": StopIteration, "memory": MemoryError}


def moody(pixels):
    """Does to a picture what its first pixel's red says: an entry of the tables above, by number; 255 hangs."""
    red, ways = int(pixels[0, 0, 0]), [*NOT_A_PICTURE.values(), *ENDINGS.values()]
    if pixels.shape[:2] == (64, 80):  # the picture that is tried at the start
        return pixels
    if red == 255:
        time.sleep(3)
        return pixels
    way = ways[red]
    if isinstance(way, type):
        raise way(f"pixels: {pixels.tobytes()!r}")
    return way(pixels)


def broken(pixels):
    """Fails at once."""
    raise ValueError("always")


async def later(pixels):
    """A coroutine is no picture."""
    return pixels


not_callable = "a text"


def only_colours(pixels):
    """Blue becomes black; grey has none."""
    pixels[:, :, 2] = 0
    return pixels
