"""Grey pictures of 16 bits, against the arithmetic written out: the card's levels, what is kept, and what is looked at."""

import io

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from contract.documents.card import Preprocess
from inference.model import foreign_picture, grey16, preprocess
from inference.model.perceptual_hash import phash, popcount
from inference.model.strip_metadata import strip_metadata
from inference.pictures.thumbnails import shrink

TWELVE_BITS = 4095


def slope(height=40, width=50, most=TWELVE_BITS):
    """Values 0 to `most`, different in the lower bits everywhere."""
    return np.linspace(0, most, height * width).reshape(height, width).astype(np.uint16)


def png16(values):
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def tiff16(values, kind="<u2"):
    out = io.BytesIO()
    Image.fromarray(values.astype(kind)).save(out, "TIFF")
    return out.getvalue()


def plain(**more):
    return Preprocess(resize=None, crop=None, mean=[0.0] * 3, std=[1.0] * 3, **more)


def test_levels_scale_what_lies_between_them_and_clip_the_rest():
    values = np.array([[0, 99, 100, 101], [2050, 4095, 4100, 65535]], np.uint16)
    got = preprocess.to_uint8(png16(values), plain(levels=[100, 4100])).numpy()
    expected = [[round((min(max(int(v), 100), 4100) - 100) * 255 / 4000) for v in row] for row in values]
    for channel in got:
        assert channel.tolist() == expected


def test_twelve_bits_are_all_but_black_without_levels_and_whole_with_them():
    values = slope()
    dark, whole = (preprocess.to_tensor(png16(values), plain(levels=levels))[0].numpy() for levels in (None, [0, TWELVE_BITS]))
    assert dark.max() == pytest.approx(15 / 255)
    np.testing.assert_allclose(whole, values / TWELVE_BITS, atol=0.5 / 255 + 1e-6)


def test_the_whole_range_is_scaled_from_65535_and_not_clipped():
    values = slope(most=65535)
    got = preprocess.to_tensor(png16(values), plain(levels=[0, 65535]))[0].numpy()
    np.testing.assert_allclose(got, values / 65535, atol=0.5 / 255 + 1e-6)
    assert np.abs(preprocess.to_tensor(png16(values), plain())[0].numpy() - got).max() < 1.01 / 255


def test_pictures_of_eight_bits_know_no_levels():
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    out = io.BytesIO()
    picture.save(out, "PNG")
    assert (preprocess.to_uint8(out.getvalue(), plain(levels=[5, 9])) == preprocess.to_uint8(out.getvalue(), plain())).all()


def test_hashes_of_cards_without_levels_are_what_they_were():
    """Computed by the release that had no levels yet."""
    assert Preprocess().hash() == "5f8be072fec7a6f1"
    assert Preprocess(resize=36, crop=32).hash() == "b81b34996e3c6bc1"
    assert len({Preprocess(levels=levels).hash() for levels in (None, [0, 4095], [0, 65535])}) == 3


@pytest.mark.parametrize("levels", [[5, 5], [9, 3], [-1, 9], [0, 65536], [1], [1, 2, 3], [0.5, 9]])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ValidationError):
        Preprocess(levels=levels)


def test_stripping_keeps_all_sixteen_bits():
    values = slope(most=65535)
    kept, extension = strip_metadata(png16(values))
    assert extension == "png" and (preprocess.decode_wide(kept) == values).all()


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_a_tiff_of_sixteen_bits_becomes_a_png_of_sixteen(kind):
    values = slope(most=65535)
    taken = foreign_picture.take(tiff16(values, kind))
    assert (taken.extension, taken.made_from) == ("png", "tiff")
    assert (preprocess.decode_wide(taken.data) == values).all()


def test_pictures_that_differ_in_the_lower_bits_alone_are_two():
    values = slope()
    assert foreign_picture.take(png16(values)).pixels != foreign_picture.take(png16(values + 1)).pixels
    assert foreign_picture.take(png16(values)).pixels == foreign_picture.take(tiff16(values)).pixels


def test_eyes_and_perceptual_hashes_get_the_whole_contrast():
    values = np.random.default_rng(2).normal(0, 1, (6, 6)).repeat(8, 0).repeat(8, 1)
    values = ((values - values.min()) / np.ptp(values) * 200).astype(np.uint16)  # all of it in the lower 8 bits
    looked = preprocess.decode_visible(png16(values))
    assert looked.mode == "RGB" and np.asarray(looked).min() == 0 and np.asarray(looked).max() == 255
    bright = preprocess.decode_visible(png16(values * 300))
    apart = np.array([phash(looked)], np.int64) ^ np.array([phash(bright)], np.int64)
    assert popcount(apart.view(np.uint64)) <= 2
    small, kind = shrink(png16(values), 10_000)
    shown = np.asarray(Image.open(io.BytesIO(small)).convert("L"))
    assert kind == "image/jpeg" and shown.max() > 240 and shown.min() < 15
    assert np.asarray(grey16.make_visible(np.full((3, 3), 700))).max() == 2  # one value: its upper bits


def test_a_shrunk_training_copy_keeps_sixteen_bits():
    from jobs.datasets.petastorm_writer import shrink as shrink_copy

    values = slope(80, 100)
    small = preprocess.decode_wide(shrink_copy(png16(values), 50))
    assert small.shape == (40, 50)
    np.testing.assert_allclose(small[2:-2, 2:-2], values.astype(float).reshape(40, 2, 50, 2).mean((1, 3))[2:-2, 2:-2], atol=2)


def test_orientation_turns_the_values():
    values = slope(4, 6)
    image = Image.fromarray(values)
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    image.save(out, "PNG", exif=exif.tobytes())
    assert (preprocess.decode_wide(out.getvalue()) == np.rot90(values, -1)).all()
    assert preprocess.to_uint8(out.getvalue(), plain(levels=[0, TWELVE_BITS])).shape == (3, 6, 4)
