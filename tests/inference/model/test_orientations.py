"""One picture in the eight EXIF orientations: the same logits from the service, a dataset's row and the assessment."""

import pytest
from PIL import Image

from contract.registry import Registry
from contract.storage import open_root
from inference.model.strip_metadata import strip_metadata
from jobs.datasets import images, petastorm_writer
from tests.inference.made_pictures import encode, pixels
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until
from training.assess import Side

# PIL's Transpose that undoes each orientation.
STORED = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}


def turned(kind: str, orientation: int) -> bytes:
    """The picture as a camera stores it that is held in that way."""
    exif, turn = Image.Exif(), STORED[orientation]
    exif[0x0112] = orientation
    stored = pixels(3) if turn is None else pixels(3).transpose(turn)
    return encode(stored, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_eight_orientations_one_answer_in_service_dataset_and_assessment(tmp_root, tmp_path, kind):
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "outbox") as client:
        answers = [client.post("/v1/predictions", content=turned(kind, o), headers=IMAGE).json() for o in STORED]
        until(lambda: len(table_rows(tmp_root, "predictions")) == 8)
    assert all(a["predictions"] == answers[0]["predictions"] for a in answers)
    storage, registry = open_root(tmp_root), Registry(open_root(tmp_root), "m")
    rows = table_rows(tmp_root, "predictions")
    assert len({r["image_sha256"] for r in rows}) == 8
    side = Side(registry.card("1"), registry.weights("1"), ["a", "b", "c"])
    for row in rows:
        look = images.look(storage, row["image_sha256"], row["image_uri"])
        assert look.reason is None and (look.width, look.height) == (48, 36)  # upright
        data = petastorm_writer._image(storage, row | {"width": look.width, "height": look.height}, None)
        assert data == storage.read(row["image_uri"])
        side.ask([data])
    first = answers[0]["predictions"][0]
    assert {float(c[0]) for c in side.confidence} == {first["probability"]}
    assert {"abc"[int(n[0])] for n in side.named} == {first["label"]}


def test_a_jpeg_turned_by_its_tag_alone_is_turned_for_all(tmp_root):
    """JPEG cannot be turned without loss here, so the same pixels are shown eight ways up: eight stored pictures."""
    from contract.documents.card import Preprocess
    from inference.model.preprocess import to_uint8

    upright = to_uint8(encode(pixels(4)), Preprocess(resize=None, crop=None))
    for orientation in STORED:
        exif = Image.Exif()
        exif[0x0112] = orientation
        seen = to_uint8(strip_metadata(encode(pixels(4), exif=exif))[0], Preprocess(resize=None, crop=None))
        assert (seen.shape == upright.shape) == (orientation < 5) and seen.equal(upright) == (orientation == 1)
