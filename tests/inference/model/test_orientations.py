"""One picture in the eight EXIF orientations: the same logits from the service, a dataset's row and the assessment."""

import pytest
from PIL import Image

from contract.documents.card import Preprocess
from contract.registry import Registry
from contract.storage import open_root
from inference.model.preprocess import to_uint8
from inference.model.strip_metadata import strip_metadata
from jobs.datasets import images, petastorm_writer
from tests.inference.made_pictures import STORED, encode, encode_turned, pixels
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until
from training.assess import Side


@pytest.mark.parametrize("kind, options", [("PNG", {}), ("WEBP", {"lossless": True})])
def test_eight_orientations_one_answer_in_service_dataset_and_assessment(tmp_root, tmp_path, kind, options):
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "outbox") as client:
        answers = [client.post("/v1/predictions", content=encode_turned(pixels(3), orientation, kind, **options),
                               headers=IMAGE).json() for orientation in STORED]
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


def test_a_jpeg_turned_by_its_tag_alone_is_turned_for_all():
    """JPEG cannot be turned without loss here, so the same pixels are shown eight ways up: eight stored pictures."""
    upright = to_uint8(encode(pixels(4)), Preprocess(resize=None, crop=None))
    for orientation in STORED:
        exif = Image.Exif()
        exif[0x0112] = orientation
        seen = to_uint8(strip_metadata(encode(pixels(4), exif=exif))[0], Preprocess(resize=None, crop=None))
        assert (seen.shape == upright.shape) == (orientation < 5) and seen.equal(upright) == (orientation == 1)
