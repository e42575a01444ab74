"""Metadata go; pixels, orientation and colour profile stay; what cannot be read is refused."""

import io
import random

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from contract.documents.card import Preprocess
from contract.errors import BadImage
from inference.model.preprocess import inspect, to_uint8
from inference.model.strip_metadata import strip_metadata
from tests.inference.made_pictures import STORED, encode, encode_turned, picture, pixels

SECRET = b"SECRET-52.5200N"
AS_IS = Preprocess(resize=None, crop=None)
KINDS = ["JPEG", "PNG", "WEBP"]


def with_metadata(kind: str, orientation: int = 1) -> bytes:
    """EXIF with a place, XMP, comments, text chunks, a colour profile."""
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = SECRET.decode()
    options = {"exif": exif, "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    if kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Comment", SECRET.decode())
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", SECRET.decode())
    elif kind == "JPEG":
        options |= {"comment": SECRET, "xmp": SECRET}
    else:
        options |= {"xmp": SECRET}
    return encode(pixels(1), kind, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_metadata_go_and_pixels_orientation_and_colour_profile_stay(kind, orientation):
    data = with_metadata(kind, orientation) + b"<?php " + SECRET
    assert SECRET in data
    stripped, extension = strip_metadata(data)
    assert SECRET not in stripped and len(stripped) < len(data)
    assert inspect(stripped) == inspect(data) and inspect(data).orientation == orientation
    assert to_uint8(stripped, AS_IS).equal(to_uint8(data, AS_IS))
    before, after = (Image.open(io.BytesIO(d)) for d in (data, stripped))
    assert after.info["icc_profile"] == before.info["icc_profile"]
    assert extension == {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}[kind]
    assert strip_metadata(stripped)[0] == stripped


def test_the_eight_orientations_give_the_same_upright_picture():
    upright = pixels(3)
    for orientation in STORED:
        data = strip_metadata(encode_turned(upright, orientation, "PNG"))[0]
        assert to_uint8(data, AS_IS).equal(to_uint8(encode(upright, "PNG"), AS_IS)), orientation


def test_a_phones_second_picture_and_a_progressive_scan():
    second = pixels(5)
    phone = encode(pixels(4), "MPO", save_all=True, append_images=[second])
    stripped = strip_metadata(phone)[0]
    assert inspect(phone).format == "jpeg" and len(stripped) < 0.7 * len(phone)
    progressive = picture(6, progressive=True, restart_marker_blocks=2)
    assert to_uint8(strip_metadata(progressive)[0], AS_IS).equal(to_uint8(progressive, AS_IS))


def test_thumbnails_in_jfif_are_cut():
    data = picture(7)
    assert data[2:4] == b"\xff\xe0"
    thumbnail = b"\xff\xe0" + (16 + 3).to_bytes(2, "big") + data[6:18] + b"\x01\x01" + b"abc"
    stripped = strip_metadata(data[:2] + thumbnail + data[20:])[0]
    assert b"\x01\x01abc" not in stripped and stripped == strip_metadata(data)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_refused_with_a_reason(kind):
    data = picture(8, kind)
    for end in range(0, len(data) - 1, 7):
        with pytest.raises(BadImage, match="expected|truncated|damaged|cannot be read|contradict"):
            to_uint8(strip_metadata(data[:end])[0], AS_IS)


def test_animated_webp_is_refused():
    data = encode(pixels(1), "WEBP", save_all=True, append_images=[pixels(2)])
    with pytest.raises(BadImage, match="animated"):
        strip_metadata(data)


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_read_or_refused_and_nothing_else(kind):
    draw = random.Random(kind)
    originals = [with_metadata(kind, 6), picture(9, kind)]
    refused = 0
    for _ in range(300):
        data = bytearray(draw.choice(originals))
        for _ in range(draw.choice((1, 2, 8))):
            at = draw.randrange(len(data))
            data[at : at + draw.choice((0, 1, 1, 5))] = draw.randbytes(draw.choice((0, 1, 1, 4)))
        try:
            to_uint8(strip_metadata(bytes(data))[0], AS_IS)
        except BadImage:
            refused += 1
    assert 0 < refused < 300
