"""From an image's bytes to the network's input: the one function that the service, training and assessment share.

`inspect` reads the header only and refuses what must not be decoded. `to_tensor` is `normalise(to_uint8(…))`, so
training can augment in between. Resizing is Pillow's (integer arithmetic: the same pixels on every machine, and those
of torchvision's own evaluation transforms on Pillow images).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from contract.card import Preprocess
from contract.errors import BadImage
from inference import quick_torchvision

if TYPE_CHECKING:
    from torch import Tensor

# What may come in, by Pillow's names; a JPEG with further pictures behind it (phones) is opened as MPO.
FORMATS = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "WEBP": "webp"}
MAX_PIXELS = 25_000_000
LONGEST_SIDE = 65_535
ORIENTATION = 0x0112
FLIPS = {2: (Image.Transpose.FLIP_LEFT_RIGHT,), 3: (Image.Transpose.ROTATE_180,), 4: (Image.Transpose.FLIP_TOP_BOTTOM,),
         5: (Image.Transpose.TRANSPOSE,), 6: (Image.Transpose.ROTATE_270,), 7: (Image.Transpose.TRANSVERSE,),
         8: (Image.Transpose.ROTATE_90,)}
# All that a decoder of hostile bytes may raise; anything else is our own mistake.
DECODING = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError,
            ZeroDivisionError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Info:
    """What the header says: width and height in pixels as encoded (before orientation), EXIF orientation 1 to 8."""

    format: str  # jpeg, png or webp
    width: int
    height: int
    orientation: int


def inspect(data: bytes, max_pixels: int = MAX_PIXELS) -> Info:
    """Reads the header only. BadImage: no image, another format, more than `max_pixels`, or a side over 65,535."""
    image = _open(data)
    width, height = image.size
    if width * height > max_pixels or max(width, height) > LONGEST_SIDE:
        raise BadImage(f"expected at most {max_pixels:,} pixels and {LONGEST_SIDE:,} a side, got {width} x {height}. "
                       f"Send a smaller image.")
    return Info(FORMATS[image.format], width, height, orientation(image))


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
    except UnidentifiedImageError:
        raise BadImage(f"expected a JPEG, PNG or WebP image, got {len(data)} bytes that are none of them "
                       f"(they begin with {data[:8]!r}).") from None
    except DECODING as error:
        raise BadImage(f"the image's header cannot be read: {error}.") from error


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or the EXIF block is damaged, as viewers do."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow's EXIF parser raises whatever the damaged bytes lead it to
        return 1
    return found if found in FLIPS else 1


def to_tensor(data: bytes, p: Preprocess) -> Tensor:
    """float32 [3, H, W], normalised: what the network gets for these bytes. Deterministic; BadImage as `to_uint8`."""
    return normalise(to_uint8(data, p), p)


def to_uint8(data: bytes, p: Preprocess) -> Tensor:
    """uint8 [3, H, W]: decoded, oriented, as RGB, resized and cropped.

    Transparency is dropped and 16 bits are cut to their upper 8, as torchvision's image folders do. BadImage when the
    bytes cannot be decoded to the end.
    """
    quick_torchvision.ready()
    from torchvision.transforms import functional as f  # v2 gives the same numbers, and imports torch's compiler

    image = decode(data)
    if p.grey:
        image = image.convert("L").convert("RGB")
    if p.resize is not None:
        image = _resize(image, p)
    pixels = image if not isinstance(image, Image.Image) else f.pil_to_tensor(image)
    return (pixels if p.crop is None else f.center_crop(pixels, [p.crop, p.crop])).contiguous()


def decode(data: bytes) -> Image.Image:
    """The whole image as RGB, upright. BadImage when it is truncated or damaged."""
    image = _open(data)
    turns = FLIPS.get(orientation(image), ())
    try:
        image.load()
        image = _rgb(image)
    except DECODING as error:
        raise BadImage(f"the image is damaged or truncated: {error}. Send it again.") from error
    for turn in turns:
        image = image.transpose(turn)
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which `convert` would clip at 255
        import numpy as np

        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")


def _resize(image: Image.Image, p: Preprocess) -> Image.Image | Tensor:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as f

    size = [p.resize] if isinstance(p.resize, int) else list(p.resize)
    if len(size) == 1:
        short, long = sorted(image.size)
        if size[0] * size[0] * long // short > MAX_PIXELS:
            raise BadImage(f"expected an image that has at most {MAX_PIXELS:,} pixels once its shorter side is "
                           f"{size[0]}, got {image.width} x {image.height}: it is too narrow.")
    mode = InterpolationMode(p.interpolation)
    if p.antialias or p.interpolation == "nearest":
        return f.resize(image, size, interpolation=mode)
    return f.resize(f.pil_to_tensor(image), size, interpolation=mode, antialias=False)


def normalise(batch: Tensor, p: Preprocess) -> Tensor:
    """uint8 [..., 3, H, W] to float32: scaled to 0-1, less the mean, over the standard deviation, per channel."""
    import torch

    mean, std = (torch.tensor(v, dtype=torch.float32, device=batch.device).view(3, 1, 1) for v in (p.mean, p.std))
    return (batch.to(torch.float32) / 255 - mean) / std
