"""A format of the user's own: a PNG without loss of what its decoder gives, or no picture at all."""

import numpy as np
import pytest

from contract.errors import BadImage, UsageError
from contract.sections.pictures import choose_decoder, find_decoder, list_own_endings
from inference.model import foreign_picture, own_decoder, preprocess
from tests.inference import own_formats
from tests.inference.made_pictures import picture

FORMATS = "tests.inference.own_formats"
RNG = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def _none_is_chosen_afterwards():
    yield
    choose_decoder(None)


def decoder(name="decode"):
    return own_decoder.load(f"{FORMATS}:{name}")


def taken(pixels):
    return own_decoder.take_in(own_formats.encode(pixels), decoder()).data


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_eight_bits_are_kept_as_they_are(shape):
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)
    assert (np.asarray(preprocess.decode(taken(pixels))) == expected).all()


def test_sixteen_bits_of_grey_and_floats_are_kept_to_the_last_bit():
    wide = RNG.integers(0, 65536, (20, 30), dtype=np.uint16)
    assert (preprocess.decode_wide(taken(wide)) == wide).all()
    floats = RNG.random((20, 30)).astype(np.float32)
    np.testing.assert_allclose(preprocess.decode_wide(taken(floats)) / 65535, floats, atol=0.5 / 65535 + 1e-9)
    colours = RNG.random((20, 30, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(preprocess.decode(taken(colours))) / 255, colours, atol=0.5 / 255 + 1e-6)


def test_nothing_else_of_the_file_is_kept():
    pixels = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
    data = own_formats.encode(pixels, patient=b"Mrs Miller")
    got = own_decoder.take_in(data, decoder())
    assert b"Miller" in data and b"Miller" not in got.data and got.data.startswith(b"\x89PNG")
    assert got.decoded_by.startswith(f"{FORMATS}:decode@") and len(got.decoded_by.partition("@")[2]) == 12
    assert got.data == own_decoder.take_in(own_formats.encode(pixels, patient=b"Mr Jones"), decoder()).data


def test_pictures_that_are_known_never_reach_it_and_without_one_nothing_is_taken():
    for kind in ("JPEG", "PNG", "WEBP"):
        data = picture(1, kind)
        assert own_decoder.take_in(data, decoder("moody")) == (data, None)
    data = own_formats.encode(np.zeros((4, 4), np.uint8))
    assert own_decoder.take_in(data, None) == (data, None)
    with pytest.raises(BadImage, match=r"expected a JPEG, PNG, WebP, BMP.*needs pictures\.decoder"):
        foreign_picture.take(data)


@pytest.mark.parametrize("name", [*own_formats.WRONG, *own_formats.RAISED])
def test_whatever_it_does_wrong_the_bytes_are_no_picture_and_their_content_is_not_told(name):
    with pytest.raises(BadImage, match=f"the decoder {FORMATS}:moody@") as caught:
        own_decoder.take_in(name.encode(), decoder("moody"), 25_000_000)
    assert "the bytes" not in str(caught.value)
    if name in own_formats.RAISED:
        assert f"raised {own_formats.RAISED[name].__name__} (own_formats.py, line" in str(caught.value)


def test_pixels_are_limited_by_who_asks():
    data = own_formats.encode(np.zeros((100, 100), np.uint8))
    with pytest.raises(BadImage, match="expected 1 to 9,999 pixels .* got 100 x 100"):
        own_decoder.take_in(data, decoder(), 9_999)
    assert own_decoder.take_in(data, decoder(), 10_000).decoded_by


@pytest.mark.parametrize(("name", "said"), [("elsewhere.formats:decode", "in the setting `allow_modules`"),
                                            (f"{FORMATS}:nothing", "but .*own_formats.py. has no nothing"),
                                            (f"{FORMATS}:HEAD", "expected a function"),
                                            ("decode", "expected package.module:function")])
def test_one_that_is_not_listed_or_no_function_is_refused(name, said):
    with pytest.raises(UsageError, match=said):
        own_decoder.load(name)


def test_the_choice_reaches_other_processes_through_the_environment(monkeypatch):
    import os

    choose_decoder(f"{FORMATS}:decode", [".trim"])
    assert (find_decoder(), list_own_endings()) == (f"{FORMATS}:decode", (".trim",))
    assert os.environ["TRUEUP_PICTURES_DECODER"] == f"{FORMATS}:decode"
    wide = RNG.integers(0, 65536, (9, 9), dtype=np.uint16)
    got = foreign_picture.take(own_formats.encode(wide))
    assert got.extension == "png" and got.made_from.startswith(f"{FORMATS}:decode@")
    assert (preprocess.decode_wide(got.data) == wide).all()
    choose_decoder(None)
    assert (find_decoder(), list_own_endings()) == (None, ())


def test_what_a_run_saved_chooses_none():
    """A run's settings lie in the bucket; a decoder is the machine's own choice."""
    from command.child import write_settings
    from command.load_settings import load

    settings = load(overrides=["pictures.decoder=a.b:c", "train.epochs=3"], env={})
    with write_settings(settings.model_dump(mode="json")) as path:
        again = load(path=path, env={})
    assert (again.pictures.decoder, again.train.epochs) == (None, 3)


def test_settings_name_it_and_endings_are_endings():
    from command.load_settings import load

    found = load(overrides=["pictures.decoder=a.b:c", "pictures.endings=['.npy']"], env={})
    assert (found.pictures.decoder, found.pictures.endings) == ("a.b:c", [".npy"])
    assert load(env={"TRUEUP_PICTURES_DECODER": "a.b:c", "TRUEUP_PICTURES_ENDINGS": '[".npy"]'}).pictures.endings == [".npy"]
    for bad in ("npy", ".NPY", "*.npy"):
        with pytest.raises(UsageError, match="expected an ending"):
            load(overrides=[f"pictures.endings=['{bad}']"], env={})
