"""From an image's bytes to the network's input: what the service, training and assessment share.

`inspect` reads the header (of a PNG, all of it) and refuses what must not be decoded; no decoder sees what would cost too much
(inference/model/work.py). `to_tensor` is `normalise(to_uint8(…))`, so training can augment in between. Resizing is
Pillow's (integer arithmetic: the same pixels on every machine, and those of torchvision's own evaluation transforms on
Pillow images). JPEGs are decoded by simplejpeg, which gives up at the first odd byte; Pillow then has the last word, and
the only one where simplejpeg is not installed. Both are libjpeg-turbo: the pixels are the same.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from PIL import Image, UnidentifiedImageError

from contract.documents.card import Preprocess
from contract.errors import BadImage
from inference.model import grey16, lazy_torchvision, work

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor

# What may come in, by Pillow's names; a JPEG with further pictures behind it (phones) is opened as MPO.
FORMATS = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "WEBP": "webp"}
MAX_PIXELS = 25_000_000
LONGEST_SIDE = 65_535
TURBO = ("YCbCr", "Gray")  # colours of which simplejpeg makes Pillow's RGB; of CMYK it makes another
ORIENTATION = 0x0112
MOST_HEADER_SEGMENTS = 100  # before Pillow is asked after all
APP1, START_OF_SCAN, WITHOUT_LENGTH = 0xE1, 0xDA, {0x00, 0x01, 0xFF, *range(0xD0, 0xDA)}  # JPEG's markers
FLIPS = {2: (Image.Transpose.FLIP_LEFT_RIGHT,), 3: (Image.Transpose.ROTATE_180,), 4: (Image.Transpose.FLIP_TOP_BOTTOM,),
         5: (Image.Transpose.TRANSPOSE,), 6: (Image.Transpose.ROTATE_270,), 7: (Image.Transpose.TRANSVERSE,),
         8: (Image.Transpose.ROTATE_90,)}
# All that a decoder of hostile bytes may raise; anything else is our own mistake.
DECODING = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError,
            ZeroDivisionError, struct.error, zlib.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class ImageInfo:
    """What an image's header says: width and height in pixels as encoded (before orientation), EXIF orientation 1 to 8."""

    format: str  # jpeg, png or webp
    width: int
    height: int
    orientation: int


def inspect(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Reads the header only; of a PNG also the pixels, behind which its orientation may lie.

    BadImage: no image, another format, more than `max_pixels`, a side over 65,535, or too much work (inference.model.work);
    a PNG that is damaged or truncated.
    """
    image = _open(data, max_pixels)
    width, height = image.size
    if width * height > max_pixels or max(width, height) > LONGEST_SIDE:
        raise BadImage(f"expected at most {max_pixels:,} pixels and {LONGEST_SIDE:,} a side, got {width} x {height}. "
                       f"Send a smaller image.")
    return ImageInfo(_format_of(image), width, height, read_orientation(image))


def _format_of(image: Image.Image) -> str:
    """Returns jpeg, png or webp: `_open` lets nothing else through."""
    return FORMATS[image.format or ""]


def _open(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Reads the header; BadImage when it is none of the formats, damaged, or would cost too much to read or decode."""
    scans = work.count_scans(data)
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
    except UnidentifiedImageError:
        raise BadImage(f"expected a JPEG, PNG or WebP image, got {len(data)} bytes that are none of them "
                       f"(they begin with {data[:8]!r}).") from None
    except DECODING as error:
        raise BadImage(f"the image's header cannot be read: {error}.") from error
    work.check_scans(scans, image.width * image.height, max(max_pixels, MAX_PIXELS))
    return image


def read_orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8; 1 where there is none or the EXIF block is damaged, as viewers do.

    BadImage: a PNG that cannot be decoded to its end.
    """
    if image.format == "PNG":
        # Pillow decodes a PNG to look for EXIF behind the pixels. Done here, where its error is heard: asked for the pixels
        # once more after an error, it gives rows that are not the picture's.
        load_pixels(image)
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow's EXIF parser raises whatever the damaged bytes lead it to
        return 1
    return orientation if orientation in FLIPS else 1


def to_tensor(data: bytes, p: Preprocess) -> Tensor:
    """Makes float32 [3, H, W], normalised: what the network gets for these bytes.

    Deterministic; BadImage as `to_uint8`.
    """
    return normalise(to_uint8(data, p), p)


def to_uint8(data: bytes, p: Preprocess) -> Tensor:
    """Makes uint8 [3, H, W]: decoded, oriented, as RGB, resized and cropped.

    Transparency is dropped; 16 bits are cut to their upper 8, as torchvision's image folders do, or to the card's levels.
    BadImage when the bytes cannot be decoded to the end.
    """
    import torch

    return crop_center(torch.from_numpy(decode_and_resize(data, p)).permute(2, 0, 1), p.crop).contiguous()


def decode_and_resize(data: bytes, p: Preprocess, scratch: ndarray | None = None) -> ndarray:
    """Makes uint8 [H, W, 3], as `to_uint8` does before it crops. BadImage as there.

    `scratch`: uint8 memory of the caller that the result may use: it is good until the caller writes there again.
    """
    image = _decode_upright(data, scratch, p.levels)
    if p.grey:
        image = _to_image(image).convert("L").convert("RGB")
    if p.resize is not None:
        image = _resize(image, p)
    return _to_array(image)


def crop_center(pixels: Tensor, crop: int | None) -> Tensor:
    """Cuts the middle `crop` x `crop` pixels out of [..., H, W], black where it is smaller; returns all of it for None."""
    if crop is None:
        return pixels
    lazy_torchvision.load()
    from torchvision.transforms import functional as f  # v2 gives the same numbers, and imports torch's compiler

    return f.center_crop(pixels, [crop, crop])


def decode(data: bytes) -> Image.Image:
    """Decodes the whole image as RGB, upright. BadImage when it is truncated or damaged."""
    return _to_image(_decode_upright(data))


def decode_visible(data: bytes) -> Image.Image:
    """Decodes as `decode` does, for people's eyes and for comparing looks: 16 bits from their darkest value to the brightest."""
    wide = decode_wide(data)
    return decode(data) if wide is None else grey16.make_visible(wide).convert("RGB")


def decode_wide(data: bytes) -> ndarray | None:
    """Decodes a grey picture of 16 bits to its values, upright, int64 [H, W]; None for any other picture. BadImage."""
    if not data.startswith(b"\x89PNG"):
        return None
    image = _open(data)
    if not grey16.is_wide(image):
        return None
    turns = FLIPS.get(read_orientation(image), ())
    load_pixels(image)
    for turn in turns:
        image = image.transpose(turn)
    return grey16.read_values(image)


def _decode_upright(data: bytes, scratch: ndarray | None = None,
                    levels: Sequence[int] | None = None) -> Image.Image | ndarray:
    """Decodes as `decode` does, to an array [H, W, 3] where that saves a copy. `levels`: of 16 bits (inference.model.grey16)."""
    upright = _is_jpeg_without_orientation(data) and work.has_few_scans(data)
    if upright and (decoded := _decode_turbo(data, scratch)) is not None:
        return decoded
    image = _open(data)
    turns = FLIPS.get(read_orientation(image), ())
    decoded = None if upright or _format_of(image) != "jpeg" else _decode_turbo(data, scratch)
    if decoded is not None and not turns:
        return decoded
    image = _load_rgb(image, levels) if decoded is None else Image.fromarray(decoded)
    for turn in turns:
        image = image.transpose(turn)
    return image


def _is_jpeg_without_orientation(data: bytes) -> bool:
    """Says whether these are a JPEG's markers up to its pixels without an APP1 block, which would hold an orientation.

    Then Pillow need not be asked for it, which takes longer than all else but the decoding.
    """
    if data[:2] != b"\xff\xd8":
        return False
    at = 2
    for _ in range(MOST_HEADER_SEGMENTS):
        head = data[at:at + 4]
        if len(head) < 4 or head[0] != 0xFF or head[1] in WITHOUT_LENGTH:
            return False
        if head[1] == START_OF_SCAN:
            return True
        length = head[2] << 8 | head[3]
        if head[1] == APP1 or head[1] in work.ARITHMETIC or length < 2:
            return False
        at += 2 + length
    return False


def _decode_turbo(data: bytes, scratch: ndarray | None) -> ndarray | None:
    """Decodes a JPEG in half of Pillow's time; None where it may have a flaw: Pillow decides then."""
    if (simplejpeg := find_turbo()) is None:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in TURBO or height * width > (Image.MAX_IMAGE_PIXELS or 0):
            return None
        fits = scratch is not None and scratch.size >= height * width * 3
        return simplejpeg.decode_jpeg(data, "RGB", buffer=scratch if fits else None)
    except ValueError:
        return None


@cache
def find_turbo() -> Any | None:
    """Imports simplejpeg, once; None where it is not installed: Pillow then decodes the same pixels in twice the time."""
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg


def load_pixels(image: Image.Image) -> None:
    """Decodes an image that was opened. BadImage: it is damaged or truncated."""
    try:
        image.load()
    except DECODING as error:
        raise BadImage(f"the image is damaged or truncated: {error}. Send it again.") from error


def _load_rgb(image: Image.Image, levels: Sequence[int] | None) -> Image.Image:
    load_pixels(image)
    try:
        return to_rgb(image, levels)
    except DECODING as error:
        raise BadImage(f"the image's colours cannot be converted to RGB: {error}. Save it again as RGB.") from error


def _to_image(pixels: Image.Image | ndarray) -> Image.Image:
    return pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)


def _to_array(pixels: Image.Image | ndarray) -> ndarray:
    import numpy as np

    return np.array(pixels) if isinstance(pixels, Image.Image) else pixels


def to_rgb(image: Image.Image, levels: Sequence[int] | None = None) -> Image.Image:
    """Converts to RGB: transparency is dropped, 16 bits are cut to their upper 8, or to `levels` (inference.model.grey16)."""
    if grey16.is_wide(image):  # `convert` would clip it at 255
        image = grey16.to_eight_bits(grey16.read_values(image), levels)
    return image if image.mode == "RGB" else image.convert("RGB")


def _resize(image: Image.Image | ndarray, p: Preprocess) -> Image.Image | ndarray:
    """Resizes to `p.resize`: the shorter side, or [height, width].

    BadImage when the result would have too many pixels.
    """
    height, width = (image.height, image.width) if isinstance(image, Image.Image) else image.shape[:2]
    size = [p.resize] if isinstance(p.resize, int) else list(p.resize or ())
    if len(size) == 1:
        short, long = sorted((width, height))
        if size[0] * size[0] * long // short > MAX_PIXELS:
            raise BadImage(f"expected an image that has at most {MAX_PIXELS:,} pixels once its shorter side is "
                           f"{size[0]}, got {width} x {height}: it is too narrow.")
    if size in ([height, width], [min(height, width)]):
        return image
    lazy_torchvision.load()
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as f

    mode, picture = InterpolationMode(p.interpolation), _to_image(image)
    if p.antialias or p.interpolation == "nearest":
        return f.resize(picture, size, interpolation=mode)
    return f.resize(f.pil_to_tensor(picture), size, interpolation=mode, antialias=False).permute(1, 2, 0).numpy()


def normalise(batch: Tensor, p: Preprocess, out: Tensor | None = None) -> Tensor:
    """Makes float32 of uint8 (or float of 0 to 255) [..., 3, H, W], in the memory layout of `batch`.

    Per channel: scaled to 0-1, less the mean, over the standard deviation. `out`: memory of that shape and layout to
    fill instead of new memory.
    """
    import torch

    filled = torch.empty_like(batch, dtype=torch.float32) if out is None else out
    mean, std = (torch.tensor(v, dtype=torch.float32, device=filled.device) for v in (p.mean, p.std))
    pairs = [(batch, filled)]
    if batch.device.type == "cpu" and batch.dim() > 3:
        # Picture by picture, so that the three passes find it in the cache: 18 times faster than the batch at once.
        pairs = list(zip(batch.flatten(0, -4), filled.flatten(0, -4), strict=True))
    if all(t.dim() == 3 and t.permute(1, 2, 0).is_contiguous() for pair in pairs for t in pair):
        # A mean for each value of a row: nothing to broadcast inside a pixel.
        mean, std = (v.repeat(filled.shape[-1]) for v in (mean, std))
        pairs = [(pixels.permute(1, 2, 0).flatten(1), out.permute(1, 2, 0).flatten(1)) for pixels, out in pairs]
    else:
        mean, std = (v.view(3, 1, 1) for v in (mean, std))
    for pixels, out in pairs:
        torch.div(pixels, 255, out=out).sub_(mean).div_(std)
    return filled
