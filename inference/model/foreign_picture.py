"""A picture file of other people: taken as the service takes it, or, in a format that the service does not take, made a PNG.

BMP, TIFF, GIF and PPM hold pixels without loss, so a PNG of the same pixels is the same picture.
"""

import hashlib
import io
import os
from typing import NamedTuple

from PIL import Image, ImageOps, UnidentifiedImageError

from contract.errors import BadImage
from inference.model import grey16, preprocess
from inference.model.own_decoder import load_chosen, take_in
from inference.model.strip_metadata import strip_metadata

CONVERTED = ("BMP", "TIFF", "GIF", "PPM")
# Endings of such files, in lower case, beside those of contract.layout.PICTURES.
ENDINGS = (".bmp", ".dib", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pnm", ".jfif", ".jpe")
# Of other modes (32 bits, floating point, LAB) nobody knows which value is white.
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I;16", "I;16L", "I;16B", "I;16N")
TAKEN = (b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF")  # how files begin that the service takes: JPEG, PNG, WebP
MOST_BYTES = 256 << 20  # 25 million pixels of four channels of 16 bits are 200 MB
NATIVE = "RGB"


class ForeignPicture(NamedTuple):
    """Bytes without metadata, their file ending, the format that they were converted from (None: kept as they came), a
    digest that pictures of the same pixels share, whatever file they lie in, and the user's decoder that made the pixels."""

    data: bytes
    extension: str
    made_from: str | None
    pixels: str
    decoded_by: str | None


def read_file(path: str | os.PathLike[str]) -> ForeignPicture:
    """Reads a picture file. BadImage: it cannot be read, is no picture, or not one that can mean one thing."""
    try:
        if os.stat(path).st_size > MOST_BYTES:
            raise BadImage(f"expected at most {MOST_BYTES >> 20} MiB, got more. Save it smaller.")
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise BadImage(f"the file cannot be read: {error.strerror}.") from None
    return take(data)


def take(data: bytes) -> ForeignPicture:
    """Takes a picture's bytes: without metadata as the service does, or converted to PNG, by the user's decoder where one was
    chosen. BadImage; decoded to its end."""
    data, decoded_by = take_in(data, load_chosen())
    converted = None if data.startswith(TAKEN) else _convert(data)
    stripped, extension = strip_metadata(converted[0] if converted else data)
    made_from = converted[1] if converted else decoded_by
    return ForeignPicture(stripped, extension, made_from, _hash_pixels(stripped), decoded_by)


def _hash_pixels(data: bytes) -> str:
    wide = preprocess.decode_wide(data)
    if wide is not None:  # pictures that differ in the lower 8 bits alone are two
        return hashlib.sha256(f"{wide.shape}".encode() + wide.tobytes()).hexdigest()
    image = preprocess.decode(data)
    return hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()


def _convert(data: bytes) -> tuple[bytes, str]:
    """Makes a PNG of the same pixels, upright, and names the format that it had."""
    if not data:
        raise BadImage("the file is empty.")
    try:
        image = Image.open(io.BytesIO(data), formats=CONVERTED)
    except UnidentifiedImageError:
        raise BadImage(f"expected a JPEG, PNG, WebP, BMP, TIFF, GIF or PPM picture, got {len(data)} bytes that are none of "
                       f"them (they begin with {data[:8]!r}). A format of your own needs pictures.decoder "
                       f"(docs/decoders.md).") from None
    except preprocess.DECODING as error:
        raise BadImage(f"the picture's header cannot be read: {error}.") from error
    _check(image)
    preprocess.load_pixels(image)
    try:
        upright = ImageOps.exif_transpose(image)
        profile = {"icc_profile": image.info["icc_profile"]} if image.mode == NATIVE and image.info.get("icc_profile") else {}
        if grey16.is_wide(upright):
            return grey16.write_png(grey16.read_values(upright)), (image.format or "").lower()
        out = io.BytesIO()
        preprocess.to_rgb(upright).save(out, "PNG", **profile)
    except preprocess.DECODING as error:
        raise BadImage(f"the picture cannot be converted to PNG: {error}.") from error
    return out.getvalue(), (image.format or "").lower()


def _check(image: Image.Image) -> None:
    if image.width * image.height > preprocess.MAX_PIXELS or max(image.size) > preprocess.LONGEST_SIDE:
        raise BadImage(f"expected at most {preprocess.MAX_PIXELS:,} pixels and {preprocess.LONGEST_SIDE:,} a side, got "
                       f"{image.width} x {image.height}. Save it smaller.")
    try:
        pictures = getattr(image, "n_frames", 1)
    except preprocess.DECODING as error:
        raise BadImage(f"the picture is damaged: {error}.") from error
    if pictures > 1:
        raise BadImage(f"expected one picture, the file holds {pictures} (pages or frames). Save the one that is meant.")
    if image.mode not in MODES:
        raise BadImage(f"expected a picture of 8 or 16 bits a channel, got Pillow's mode {image.mode!r}, of which nobody "
                       f"knows which value is white. Save it with 8 bits.")
