"""The quick decoder and Pillow give the same pixels for the same bytes, or Pillow alone is asked."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from contract.documents.card import Preprocess
from contract.errors import BadImage
from inference.model import preprocess
from tests.inference.made_pictures import encode, pixels

FORMS = [{"subsampling": s, "progressive": p, "quality": q} for s in (0, 1, 2) for p in (False, True) for q in (20, 95)]


def by_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def quick(data, scratch=None):
    return preprocess._decode_turbo(data, scratch)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 1), (33, 17), (200, 150)])
def test_flawless_jpegs_have_pillows_pixels(mode, size):
    scratch = np.zeros(1 << 18, np.uint8)
    for form in FORMS:
        data = encode(pixels(5, *size).convert(mode), **form)
        assert np.array_equal(quick(data), by_pillow(data))
        assert np.array_equal(quick(data, scratch), by_pillow(data))


@pytest.mark.parametrize("mode, form", [("CMYK", {}), ("RGB", {"keep_rgb": True, "subsampling": 0})])
def test_other_colours_are_pillows(mode, form):
    data = encode(pixels(6).convert(mode), **form)
    assert quick(data) is None
    assert np.array_equal(np.asarray(preprocess.decode(data)), by_pillow(data))


def test_whatever_the_damage_pillow_has_the_last_word():
    r, agreed, refused = random.Random(1), 0, 0
    for n in range(400):
        data = bytearray(encode(pixels(n % 5, 40, 30), progressive=bool(n % 2)))
        for _ in range(r.choice((1, 3))):
            data[r.randrange(2, len(data))] = r.randrange(256)
        data = bytes(data[:r.choice((len(data), r.randrange(20, len(data))))])
        try:
            expected = by_pillow(data)
        except Exception:  # whatever Pillow makes of it
            assert quick(data) is None
            refused += 1
        else:
            assert np.array_equal(np.asarray(preprocess._load_rgb(preprocess._open(data), None)), expected)
            found = quick(data)
            agreed += found is not None and np.array_equal(found, expected)
            assert found is None or np.array_equal(found, expected)
    assert agreed > 50 and refused > 50


def test_a_cut_off_jpeg_is_refused_and_one_with_a_tail_is_not():
    data = encode(pixels(1))
    with pytest.raises(BadImage, match="damaged or truncated"):
        preprocess.to_uint8(data[:-100], Preprocess())
    assert np.array_equal(np.asarray(preprocess.decode(data + b"tail")), by_pillow(data))


def with_app1(block):
    """A JPEG with this APP1 block behind its start."""
    data = encode(pixels(2))
    return data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:]


def oriented(value):
    exif = Image.Exif()
    exif[preprocess.ORIENTATION] = value
    return b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")


XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("block", [oriented(3), oriented(6), XMP])
def test_a_block_that_may_turn_the_picture_is_left_to_pillow(block):
    data = with_app1(block)
    assert not preprocess._is_jpeg_without_orientation(data)
    assert preprocess.read_orientation(preprocess._open(data)) != 1
    upright = preprocess._decode_upright(encode(pixels(2)))
    assert not np.array_equal(np.asarray(preprocess._decode_upright(data)), upright)


def test_no_damage_makes_a_turned_picture_look_upright():
    r, upright, turned = random.Random(3), 0, 0
    for _ in range(600):
        data = bytearray(with_app1(oriented(r.choice((1, 3, 6)))) if r.random() < 0.7 else encode(pixels(2)))
        for _ in range(r.choice((0, 1, 2))):
            data[r.randrange(2, 120)] = r.randrange(256)
        data = bytes(data)
        if not preprocess._is_jpeg_without_orientation(data) or quick(data) is None:
            turned += 1
            continue
        upright += 1
        assert preprocess.read_orientation(preprocess._open(data)) == 1
    assert upright > 50 and turned > 50


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xda", b"\xff\xd8\xff\xdb\0\0" * 9,
                                  b"\x89PNG\r\n\x1a\n", b"\xff\xd8" + b"\xff" * 99])
def test_markers_that_lead_nowhere_end_the_look(data):
    assert not preprocess._is_jpeg_without_orientation(data)
