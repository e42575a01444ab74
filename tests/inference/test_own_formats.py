"""Other pictures through the service: 16 bits by the card's levels, and a format of somebody's own, over HTTP."""

import logging

import numpy as np
import pytest

from contract.documents.card import Preprocess
from contract.errors import UsageError
from contract.registry import Registry
from contract.storage import open_root
from inference.model import own_decoder, preprocess
from inference.model.predictor import Predictor
from tests.inference import own_formats
from tests.inference.made_pictures import picture
from tests.inference.model.test_grey16 import png16
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until

FORMATS = "tests.inference.own_formats"
LEVELS = [0, 4095]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = str(tmp_path_factory.mktemp("own") / "root")
    publish_tiny(made, preprocess=Preprocess(resize=36, crop=32, levels=LEVELS))
    return made


def noise(seed):
    return np.random.default_rng(seed).integers(0, 4096, (40, 50), dtype=np.uint16)


def eight(values):
    """The same picture in 8 bits, by arithmetic of our own, as RGB."""
    return np.repeat(np.rint(values * (255 / 4095)).astype(np.uint8)[..., None], 3, 2)


def expected(root, pixels):
    """What the live version says of 8-bit RGB pixels that it gets as a PNG."""
    from tests.training.loop_root import png

    registry = Registry(open_root(root), "m")
    model = Predictor(registry.card("1"), registry.weights("1"), device="cpu")
    row = model.probabilities(model.stack([model.prepare(png(pixels))]))[0]
    return {label: pytest.approx(float(p), abs=1e-4) for label, p in zip(model.card.classes, row, strict=True)}


def said(answer):
    assert answer.status_code == 200, answer.text
    return {p["label"]: p["probability"] for p in answer.json()["predictions"]}


def test_sixteen_bit_pictures_are_answered_by_the_levels_kept_whole_and_shown(root, tmp_path):
    with serving(root, tmp_path / "o") as client:
        answer = client.post("/v1/predictions", content=png16(noise(1)), headers=IMAGE)
        assert said(answer) == expected(root, eight(noise(1)))
        until(lambda: any(r["prediction_id"] == answer.json()["prediction_id"] for r in table_rows(root, "predictions")))
        row = next(r for r in table_rows(root, "predictions") if r["prediction_id"] == answer.json()["prediction_id"])
        assert row["decoded_by"] is None and (row["width"], row["height"]) == (50, 40)
        assert (preprocess.decode_wide(client.service.storage.read(row["image_uri"])) == noise(1)).all()
        shown = client.get(f"/images/{row['image_sha256']}")
        assert shown.headers["content-type"] == "image/png"
        assert np.asarray(preprocess.decode(shown.content)).max() == 255


@pytest.mark.parametrize("kind", ["u", "w", "f"])
def test_a_format_of_ones_own_is_answered_and_kept_as_a_png(root, tmp_path, kind):
    values = noise({"u": 2, "w": 3, "f": 4}[kind])
    pixels = {"u": eight(values), "w": values, "f": (values / 4095 * (4095 / 65535)).astype(np.float32)}[kind]
    data = own_formats.encode(pixels)
    with serving(root, tmp_path / "o", f"pictures.decoder={FORMATS}:decode") as client:
        answer = client.post("/v1/predictions", content=data, headers={"Content-Type": "application/octet-stream"})
        assert said(answer) == expected(root, eight(values))
        plain = client.post("/v1/predictions", content=picture(1), headers=IMAGE)
        ids = {one.json()["prediction_id"] for one in (answer, plain)}
        until(lambda: ids <= {r["prediction_id"] for r in table_rows(root, "predictions")})
        rows = {r["prediction_id"]: r for r in table_rows(root, "predictions")}
        row = rows[answer.json()["prediction_id"]]
        assert row["decoded_by"] == client.service.decoder.name and row["bytes"] == len(data)
        assert row["image_uri"].endswith(".png")
        assert rows[plain.json()["prediction_id"]]["decoded_by"] is None
        kept = client.service.storage.read(row["image_uri"])
        assert own_formats.PATIENT not in kept
        assert client.get(f"/images/{row['image_sha256']}").headers["content-type"] == "image/png"
        client.service.decoder = None  # the kept file, asked again without the decoder, gets the very answer
        assert client.post("/v1/predictions", content=kept, headers=IMAGE).json()["predictions"] == answer.json()["predictions"]
        refused = client.post("/v1/predictions", content=own_formats.encode(pixels, b"another"), headers=IMAGE)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "bad_image")


def test_one_that_fails_or_hangs_keeps_nothing_and_the_service_goes_on(root, tmp_path):
    with serving(root, tmp_path / "o", f"pictures.decoder={FORMATS}:moody", "serve.deadline_seconds=1.5") as client:
        before = client.service.outbox.measure_depth().rows
        for name in (*own_formats.WRONG, *own_formats.RAISED):
            answer = client.post("/v1/predictions", content=name.encode(), headers=IMAGE)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_image"), name
            assert "the decoder" in answer.json()["error"]["message"] and "the bytes" not in answer.text
        assert client.post("/v1/predictions", content=b"hang", headers=IMAGE).status_code == 504
        assert client.service.outbox.measure_depth().rows == before
        # Its thread is free again once it wakes up; on one core there is no other.
        until(lambda: client.post("/v1/predictions", content=picture(1), headers=IMAGE).status_code == 200)


def test_it_is_redacted_like_any_other(root, tmp_path):
    values = np.random.default_rng(5).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    sets = (f"pictures.decoder={FORMATS}:decode", "serve.redact=tests.inference.redaction.hooks:inverted")
    with serving(root, tmp_path / "o", *sets) as client:
        answer = client.post("/v1/predictions", content=own_formats.encode(values), headers=IMAGE)
        assert said(answer) == expected(root, (255 - values)[:, ::-1])


def test_a_service_does_not_start_with_one_that_is_not_listed(root, tmp_path, monkeypatch):
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[elsewhere]")
    from inference.model import own_decoder

    own_decoder.load.cache_clear()
    with pytest.raises(UsageError, match="in the setting `allow_modules`"), \
            serving(root, tmp_path / "o", f"pictures.decoder={FORMATS}:decode"):
        pass


@pytest.mark.parametrize(("here", "warns"), [("decode", False), ("decode_npy", True), (None, True)])
def test_a_service_says_at_its_start_that_another_decoder_makes_its_pixels(tmp_path, caplog, here, warns):
    """A version that learnt from pictures of one decoder answers through another all the same."""
    learnt = own_decoder.load(f"{FORMATS}:decode").name
    publish_tiny(str(tmp_path / "root"), preprocess=Preprocess(resize=36, crop=32, decoders=[learnt]))
    with serving(str(tmp_path / "root"), tmp_path / "o", *([f"pictures.decoder={FORMATS}:{here}"] if here else [])) as client:
        said = [record for record in caplog.records if record.getMessage() == "another decoder"]
        assert len(said) == warns
        assert client.post("/v1/predictions", content=picture(1), headers=IMAGE).status_code == 200
    if warns:
        assert said[0].levelno == logging.WARNING and learnt in str(vars(said[0]))
