"""The quick decoder and Pillow give the same pixels for the same bytes, or Pillow alone is asked."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from contract.card import Preprocess
from contract.errors import BadImage
from inference import preprocess
from tests.inference.pictures import encode, pixels

FORMS = [{"subsampling": s, "progressive": p, "quality": q} for s in (0, 1, 2) for p in (False, True) for q in (20, 95)]


def by_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def quick(data, scratch=None):
    return preprocess._turbo(data, scratch)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 1), (33, 17), (200, 150)])
def test_flawless_jpegs_have_pillows_pixels(mode, size):
    scratch = np.zeros(1 << 18, np.uint8)
    for form in FORMS:
        data = encode(pixels(5, *size).convert(mode), **form)
        assert np.array_equal(quick(data), by_pillow(data))
        assert np.array_equal(quick(data, scratch), by_pillow(data))


@pytest.mark.parametrize("form", [{"mode": "CMYK"}, {"keep_rgb": True, "subsampling": 0}])
def test_other_colours_are_pillows(form):
    data = encode(pixels(6).convert(form.pop("mode", "RGB")), **form)
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
            assert np.array_equal(np.asarray(preprocess._load(preprocess._open(data))), expected)
            found = quick(data)
            agreed += found is not None and np.array_equal(found, expected)
            assert found is None or np.array_equal(found, expected)
    assert agreed > 50 and refused > 50


def test_a_cut_off_jpeg_is_refused_and_one_with_a_tail_is_not():
    data = encode(pixels(1))
    with pytest.raises(BadImage, match="damaged or truncated"):
        preprocess.to_uint8(data[:-100], Preprocess())
    assert np.array_equal(np.asarray(preprocess.decode(data + b"tail")), by_pillow(data))
