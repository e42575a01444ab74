"""Grey of 16 bits through a redaction: kept where the hook takes it, and said where a version's levels do not apply."""

import hashlib
import io
import json
import logging
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from command.load_settings import load
from contract import layout
from contract.documents.card import Preprocess
from contract.errors import RedactionFailed, UsageError
from contract.registry import Registry
from contract.storage import open_root
from inference.live import beside
from inference.live.door import Door
from inference.model import preprocess, redaction
from jobs import score_images
from jobs.scoring import part as score_part
from pipeline import doctor
from pipeline.checks import machine
from tests.inference.made_pictures import picture
from tests.inference.model.test_grey16 import TWELVE_BITS, plain, png16, slope
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until

HOOKS = "tests.inference.redaction.hooks"
LEVELS = [0, TWELVE_BITS]


def test_a_hook_that_takes_16_bits_keeps_them_so_that_levels_apply():
    values = slope()
    redacted = redaction.load(f"{HOOKS}:blank", takes_grey16=True).redact(png16(values))
    expected = values.copy()
    expected[:, :25] = 0
    assert (preprocess.decode_wide(redacted) == expected).all()
    got = preprocess.to_tensor(redacted, plain(levels=LEVELS))[0].numpy()
    np.testing.assert_allclose(got, expected / TWELVE_BITS, atol=0.5 / 255 + 1e-6)


def test_a_hook_that_does_not_leaves_8_bits_which_know_no_levels():
    redacted = redaction.load(f"{HOOKS}:unchanged").redact(png16(slope()))
    assert preprocess.decode_wide(redacted) is None
    got = preprocess.to_uint8(redacted, plain(levels=LEVELS))
    assert int(got.max()) == TWELVE_BITS >> 8 and (got == preprocess.to_uint8(redacted, plain())).all()


def test_all_other_pictures_reach_it_as_rgb():
    for kind in ("JPEG", "PNG"):
        data = picture(3, kind)
        taking, not_taking = (redaction.load(f"{HOOKS}:blank", taking).redact(data) for taking in (True, False))
        assert taking == not_taking and Image.open(io.BytesIO(taking)).mode == "RGB"


def test_its_name_says_whether_16_bits_are_kept():
    kept, cut = (redaction.load(f"{HOOKS}:blank", taking).name for taking in (True, False))
    assert kept == f"{cut}+grey16" and re.fullmatch(rf"{HOOKS}:blank@[0-9a-f]{{12}}", cut)


def test_metadata_of_a_picture_of_16_bits_goes_and_it_stands_upright():
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112], exif[0x010E] = 6, "a description"
    Image.fromarray(slope()).save(out, "PNG", exif=exif)
    redacted = redaction.load(f"{HOOKS}:unchanged", takes_grey16=True).redact(out.getvalue())
    assert b"description" not in redacted and (preprocess.decode_wide(redacted) == np.rot90(slope(), -1)).all()


@pytest.mark.parametrize("made", ["eight", "rgb", "masked", "smaller", "raises"])
def test_whatever_else_it_does_nothing_comes_of_it(made):
    def hook(pixels):
        return {"eight": lambda: pixels.astype(np.uint8), "rgb": lambda: np.repeat(pixels[..., None], 3, -1),
                "masked": lambda: np.ma.masked_array(pixels, mask=True), "smaller": lambda: pixels[1:]}[made]()

    with pytest.raises(RedactionFailed, match="KeyError" if made == "raises" else r"expected a numpy array of uint16 \[40, 50\]"):
        redaction.Redactor("tests.inference.redaction.test_grey16:hook", hook, True).redact(png16(slope()))


def test_a_hook_for_colours_alone_that_is_said_to_take_16_bits_stops_the_start():
    with pytest.raises(UsageError, match=r"IndexError .*of a made-up picture.*takes uint16 \[height, width\], too"):
        redaction.load(f"{HOOKS}:only_colours", takes_grey16=True)
    redaction.load(f"{HOOKS}:only_colours")


def test_what_is_scored_is_redacted_alike(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(png16(slope()))
    storage = open_root(str(tmp_path / "root"), create=True)
    model = SimpleNamespace(prepare=lambda data: data)
    uri, size = (folder / "a.png").as_uri(), (folder / "a.png").stat().st_size
    for taking in (True, False):
        job = score_part.Job("m", "1", 4, 1 << 20, 1 << 20, True, False, redact=f"{HOOKS}:unchanged", redact_grey16=taking)
        found = score_part.fetch_picture(storage, job, model, uri, "e", size)
        assert (preprocess.decode_wide(found.prepared) is not None) == taking
        assert found.sha256 == hashlib.sha256(found.prepared).hexdigest()


# -- what is said ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Version 1 of `m` has levels, version 1 of `plain` has none."""
    root = str(tmp_path_factory.mktemp("levels") / "root")
    publish_tiny(root, preprocess=Preprocess(resize=36, crop=32, levels=LEVELS))
    publish_tiny(root, "plain")
    return root


def list_warnings(caplog):
    return [record for record in caplog.records if record.getMessage() == "levels do not apply"]


@pytest.mark.parametrize(("model", "cut_by", "warns"), [
    ("m", f"{HOOKS}:blank", True), ("m", None, False), ("plain", f"{HOOKS}:blank", False)])
def test_the_log_says_so_of_what_computes_beside_the_live_version_too(root, caplog, monkeypatch, model, cut_by, warns):
    registry = Registry(open_root(root), model)
    monkeypatch.setattr(beside, "load_version", lambda *_: SimpleNamespace(card=registry.card("1")))
    beside.VersionsBeside(registry, "cpu", 2, door=Door(cut_by)).follow({"shadow": "1"}, 1)
    assert len(said := list_warnings(caplog)) == warns
    if warns:
        assert said[0].levelno == logging.WARNING and "version 1 of 'm' has levels 0,4095" in str(vars(said[0]))


@pytest.mark.parametrize("taking", [True, False])
def test_a_service_keeps_16_bits_or_says_at_its_start_that_levels_do_not_apply(root, tmp_path, caplog, taking):
    sets = (f"serve.redact={HOOKS}:unchanged", f"serve.redact_grey16={taking}")
    with serving(root, tmp_path / "o", *sets) as client:
        assert len(list_warnings(caplog)) == (not taking)
        answered = client.post("/v1/predictions", content=png16(slope()), headers=IMAGE)
        assert answered.status_code == 200
        redacted = client.service.redactor.redact(png16(slope()))
        assert (preprocess.decode_wide(redacted) is not None) == taking
        key = layout.image(hashlib.sha256(redacted).hexdigest(), "png")
        until(lambda: open_root(root).exists(key))
        until(lambda: (row := find_row(root, answered)) and row["redacted_by"] == client.service.redactor.name)
        assert find_row(root, answered)["redacted_by"].endswith("+grey16") == taking


def find_row(root, answered):
    id_ = answered.json()["prediction_id"]
    return next((row for row in table_rows(root, "predictions") if row["prediction_id"] == id_), None)


@pytest.mark.parametrize(("cut", "warns"), [(True, True), (False, False)])
def test_scoring_says_so_too(root, caplog, cut, warns):
    settings = load(root=root, model="m", overrides=[f"serve.redact={HOOKS}:blank", f"serve.redact_grey16={not cut}"])
    score_images.score(open_root(root), settings, "1", [])
    assert ("has levels 0,4095 for grey of 16 bits, which do not apply" in caplog.text) == warns


@pytest.mark.parametrize(("sets", "state", "found"), [
    ((f"serve.redact={HOOKS}:blank",), "lost", "version 1 of 'm' has levels 0,4095 for grey of 16 bits, which do not apply"),
    ((f"serve.redact={HOOKS}:blank", "serve.redact_grey16=true"), "ok", "takes grey of 16 bits as it is"), ((), None, None)])
def test_the_doctor_says_so(root, capsys, monkeypatch, sets, state, found):
    monkeypatch.setattr(machine, "CHECKS", {})
    argv = ["--root", root, *(part for text in sets for part in ("--set", text))]
    assert doctor.main([*argv, "--json"]) == 0
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)["checks"]}
    if state is None:
        assert "redaction" not in rows
        return
    row = rows["redaction"]
    assert row["state"] == state and found in row["found"] and "plain" not in row["found"]
    assert doctor.main(argv) == 0
    assert ("To do:" in capsys.readouterr().out) == (state == "lost")


def test_a_root_that_cannot_be_read_is_no_fault_of_the_hook(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(machine, "CHECKS", {})
    doctor.main(["--root", str(tmp_path / "none"), "--set", f"serve.redact={HOOKS}:blank"])
    said = capsys.readouterr().out
    assert "absent" in said and "not known: " in said and "serve.redact_grey16: true" not in said
