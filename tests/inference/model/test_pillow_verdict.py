"""A picture that Pillow refuses is refused by every reader: what is asked for its pixels twice must not give others."""

import hashlib
import io
import random
import struct
import zlib

import pytest
from PIL import Image

from contract.documents.card import Preprocess
from contract.errors import BadImage
from contract.storage import open_root
from inference.model import foreign_picture, preprocess
from inference.model.strip_metadata import strip_metadata
from jobs.datasets.images import look
from jobs.reports.examples import make_thumbnail
from jobs.scoring.part import Job
from jobs.scoring.part import fetch_picture as fetch
from tests.inference import bombs
from tests.inference.made_pictures import encode, picture, pixels
from tests.inference.mutations import mutated
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving

AS_IS = Preprocess(resize=None, crop=None)
GOOD = encode(pixels(1, 256, 256), "PNG", compress_level=9)


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG, (kind, payload)."""
    at, found = 8, []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8:at + 8 + length]))
        at += 12 + length
    return found


def with_pixels(change) -> bytes:
    """The good PNG with another stream of pixels; checksums of chunks are right."""
    made = [(kind, change(payload) if kind == b"IDAT" else payload) for kind, payload in chunks(GOOD)]
    return GOOD[:8] + b"".join(bombs.chunk(kind, payload) for kind, payload in made)


def broken(stream: bytes) -> bytes:
    """A stream in whose middle zeros stand."""
    half = len(stream) // 2
    return stream[:half] + bytes(40) + stream[half + 40:]


DAMAGED = {
    "a broken stream": with_pixels(broken),
    "half the pixels": with_pixels(lambda stream: stream[:len(stream) // 2]),
    "a wrong checksum of the header": GOOD[:29] + b"\0\0\0\0" + GOOD[33:],
    "half a file": GOOD[:len(GOOD) // 2],
    "no pixels": with_pixels(lambda stream: b""),
    "other bytes than a stream": with_pixels(lambda stream: bytes(len(stream))),
    "half a JPEG": picture(2)[:len(picture(2)) // 2],
    "half a WebP": picture(2, "WEBP")[:len(picture(2, "WEBP")) // 2],
}
ACCEPTED = {
    "good": GOOD,
    "all rows and no checksum of the stream": with_pixels(lambda stream: stream[:-4]),
    "bytes behind its end": GOOD + b"trailing", "JPEG with bytes behind": picture(2) + bytes(100),
    "its pixels in two chunks": GOOD[:8] + b"".join(
        bombs.chunk(kind, part) for kind, payload in chunks(GOOD)
        for part in ([payload[:99], payload[99:]] if kind == b"IDAT" else [payload])),
    "its orientation behind its pixels": GOOD[:-12] + bombs.chunk(
        b"eXIf", b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)) + GOOD[-12:],
    "a checksum of its pixels that Pillow does not look at": GOOD[:-16] + b"\0\0\0\0" + GOOD[-12:],
}
# Every way in: the service and batch scoring (strip, then prepare), a dataset's look, an import.
READERS = {
    "service": lambda data: preprocess.to_tensor(strip_metadata(data, preprocess.inspect(data))[0], AS_IS),
    "dataset": lambda data: (preprocess.inspect(data), preprocess.decode(data)),
    "decoding alone": preprocess.decode,
    "import": foreign_picture.take,
}


def pillow_refuses(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).load()
    except Exception:
        return True
    return False


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_pictures_are_refused_by_every_reader(name):
    assert pillow_refuses(DAMAGED[name])
    for reader in READERS.values():
        with pytest.raises(BadImage):
            reader(DAMAGED[name])


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_pillow_takes_is_taken_with_its_pixels(name):
    data = ACCEPTED[name]
    assert not pillow_refuses(data)
    for reader in READERS.values():
        reader(data)
    info = preprocess.inspect(data)
    assert info.orientation == (6 if "orientation" in name else 1)
    if info.format == "png":
        upright = pixels(1, 256, 256)
        upright = upright.transpose(Image.Transpose.ROTATE_270) if info.orientation == 6 else upright
        assert preprocess.decode(strip_metadata(data)[0]).tobytes() == upright.tobytes()


def test_200_damaged_pictures_are_refused_where_pillow_refuses_them():
    """Damage at many places of every kind of file; PNGs also in their stream, where a checksum would tell the others."""
    chance = random.Random(3)
    files = list(mutated(120, seed=11))
    for _ in range(80):
        def damage(stream: bytes) -> bytes:
            at, length = chance.randrange(len(stream)), chance.choice((1, 1, 4, 40))
            return stream[:at] + chance.randbytes(length) + stream[at + length:]
        files.append(with_pixels(damage))
    refused = [data for data in files if pillow_refuses(data)]
    taken = [(name, n) for n, data in enumerate(refused) for name in ("service", "dataset", "import")
             if not is_refused(READERS[name], data)]
    assert taken == [] and 60 < len(refused) < 200


def is_refused(reader, data: bytes) -> bool:
    try:
        reader(data)
    except BadImage:
        return True
    return False


def test_over_http_and_on_the_page_a_damaged_picture_is_422(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "outbox") as client:
        for name in ("a broken stream", "half the pixels"):
            answer = client.post("/v1/predictions", content=DAMAGED[name], headers=IMAGE)
            assert answer.status_code == 422 and answer.json()["error"]["code"] == "bad_image"
            form = client.post("/v1/predictions", files={"image": ("a.png", DAMAGED[name], "image/png")})
            assert form.status_code == 422
        assert client.post("/v1/predictions", content=GOOD, headers=IMAGE).status_code == 200


def test_a_dataset_lists_it_and_batch_scoring_has_a_reason(tmp_root):
    storage = open_root(tmp_root, create=True)
    data = DAMAGED["a broken stream"]
    storage.put("images/x.png", data)
    assert look(storage, hashlib.sha256(data).hexdigest(), "images/x.png").reason == "image undecodable"
    job = Job("m", "1", 8, 20 << 20, 25_000_000, True, False)
    assert "damaged or truncated" in fetch(storage, job, None, "images/x.png", "e", len(data)).reason
    assert make_thumbnail(storage, {"prediction_id": "p", "image_sha256": "0" * 64, "image_uri": "images/x.png"}) is None


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "GIF", "PPM"])
def test_formats_that_the_service_does_not_take_are_stored_as_png_with_the_same_pixels(kind):
    image = pixels(4).quantize(256) if kind == "GIF" else pixels(4)
    taken = foreign_picture.take(encode(image, kind))
    assert (taken.extension, taken.made_from) == ("png", kind.lower())
    assert preprocess.decode(taken.data).tobytes() == image.convert("RGB").tobytes()
    assert foreign_picture.take(encode(image.convert("RGB"), "PNG")).pixels == taken.pixels
    assert strip_metadata(taken.data)[0] == taken.data


@pytest.mark.parametrize(("data", "said"), [
    (encode(pixels(1), "TIFF", save_all=True, append_images=[pixels(2)]), "expected one picture, the file holds 2"),
    (encode(pixels(1), "GIF", save_all=True, append_images=[pixels(2)]), "expected one picture, the file holds 2"),
    (encode(pixels(1).convert("F"), "TIFF"), "Pillow's mode 'F'"), (encode(pixels(1), "TIFF")[:-600], "damaged|read"),
    (encode(pixels(1), "BMP")[:-600], "damaged or truncated"), (b"", "the file is empty"), (b"a text", "none of them"),
    (b"BM" + bytes(60), "cannot be read|none of them"), (zlib.compress(b"x"), "none of them")])
def test_files_that_are_not_one_picture_have_a_reason(data, said):
    with pytest.raises(BadImage, match=said):
        foreign_picture.take(data)
