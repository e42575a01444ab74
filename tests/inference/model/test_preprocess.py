"""From a file's bytes to the network's input: as torchvision's own transform, for every mode and format."""

import io
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from contract.documents.card import Preprocess
from contract.errors import BadImage
from inference.model import preprocess
from inference.model.preprocess import decode, inspect, normalise, to_tensor, to_uint8
from tests.inference.made_pictures import encode, picture, pixels

AS_IS = Preprocess(resize=None, crop=None)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_headers_are_read_without_decoding(kind):
    data = picture(1, kind)
    # A WebP decoder wants to see the file's end, and behind the pixels of a PNG may be an orientation.
    info = inspect(data[:-50] if kind == "JPEG" else data)
    assert (info.format, info.width, info.height, info.orientation) == (kind.lower(), 48, 36, 1)
    with pytest.raises(BadImage, match="at most 1,727 pixels"):
        inspect(picture(1, kind), max_pixels=48 * 36 - 1)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"GIF89a" + b"\0" * 50, b"BM" + b"\0" * 50, b"%!PS-Adobe", b"<svg/>"])
def test_other_formats_are_refused(data):
    with pytest.raises(BadImage, match="expected a JPEG, PNG or WebP|cannot be read"):
        inspect(data)


def test_the_pixels_are_those_of_torchvisions_own_transform():
    from torchvision.models import ResNet18_Weights

    data = encode(pixels(2, 400, 300))
    expected = ResNet18_Weights.DEFAULT.transforms()(Image.open(io.BytesIO(data)))
    assert torch.equal(to_tensor(data, Preprocess()), expected)


def test_a_tensor_is_the_normalised_uint8_alone_or_in_a_batch():
    p = Preprocess(resize=36, crop=32, mean=[0.1, 0.2, 0.3], std=[0.5, 0.6, 0.7])
    files = [picture(n) for n in range(3)]
    small = torch.stack([to_uint8(data, p) for data in files])
    assert small.dtype == torch.uint8 and small.shape == (3, 3, 32, 32)
    assert torch.equal(normalise(small, p), torch.stack([to_tensor(data, p) for data in files]))


@pytest.mark.parametrize(("mode", "kind"), [("L", "JPEG"), ("CMYK", "JPEG"), ("L", "PNG"), ("LA", "PNG"), ("RGBA", "PNG"),
                                            ("P", "PNG"), ("1", "PNG"), ("RGBA", "WEBP")])
def test_every_mode_becomes_rgb(mode, kind):
    image = pixels(3).convert(mode)
    found = to_uint8(encode(image, kind, **({} if kind == "JPEG" else {"lossless": True})), AS_IS)
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert found.shape == (3, 36, 48)
    assert np.abs(found.permute(1, 2, 0).numpy().astype(int) - expected).mean() < (4 if kind == "JPEG" else 0.01)


def test_sixteen_bits_keep_their_upper_eight():
    grey = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = to_uint8(encode(Image.fromarray(grey), "PNG"), AS_IS)
    assert torch.equal(found[0], torch.from_numpy((grey >> 8).astype(np.uint8))) and torch.equal(found[0], found[2])


def test_grey_pairs_interpolations_and_no_crop():
    for p, shape in ((Preprocess(resize=[20, 30], crop=None, interpolation="bicubic"), (3, 20, 30)),
                     (Preprocess(resize=18, crop=None, antialias=False), (3, 18, 24)),
                     (Preprocess(resize=18, crop=None, interpolation="nearest"), (3, 18, 24)),
                     (Preprocess(resize=None, crop=64), (3, 64, 64))):
        assert to_uint8(picture(1), p).shape == shape
    grey = to_uint8(picture(1), Preprocess(grey=True, resize=None, crop=None))
    assert torch.equal(grey[0], grey[1]) and torch.equal(grey[1], grey[2])


def test_a_narrow_image_is_refused_before_it_is_blown_up():
    narrow = encode(Image.new("RGB", (60_000, 2)), "PNG")
    with pytest.raises(BadImage, match="too narrow"):
        to_uint8(narrow, Preprocess())


def test_a_bomb_is_refused_by_its_header():
    bomb = bytearray(picture(1, "PNG"))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    with pytest.raises(BadImage, match="60000 x 60000|exceeds limit|decompression bomb"):
        inspect(bytes(bomb))


def test_damaged_exif_is_no_orientation_and_no_crash():
    exif = Image.Exif()
    exif[preprocess.ORIENTATION] = 6
    data = encode(pixels(1), "JPEG", exif=exif)
    at = data.index(b"Exif\0\0") + 6
    assert decode(data).size == (36, 48)
    assert decode(data[:at] + b"XX" + data[at + 2 :]).size == (48, 36)
