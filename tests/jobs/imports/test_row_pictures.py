"""Which picture a row of predictions gets: found by address, path or name, below the places that were named alone."""

import hashlib
import json

import numpy as np
import pytest

from contract import jsonio, layout
from contract.errors import UsageError
from contract.sections.pictures import choose_decoder
from contract.storage import open_root
from inference.model import own_decoder
from jobs import import_table
from jobs.imports.row_pictures import Place
from tests.inference import own_formats
from tests.inference.small_service import picture
from tests.jobs.imports.bring import put
from tests.jobs.stored_rows import read_rows

HEAD = "prediction_id,predicted_at,predicted_label,confidence,image_uri,source_uri,image_sha256"
HASH = {i: hashlib.sha256(picture(i)).hexdigest() for i in range(3)}


@pytest.fixture
def made(tmp_path):
    for at, i in (("a/one.png", 0), ("b/one.png", 1), ("b/two pic.png", 2), ("c/notes.txt", 0)):
        path = tmp_path / "pictures" / at
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(i))
    (tmp_path / "outside.png").write_bytes(picture(0))
    (tmp_path / "pictures" / "link.png").symlink_to(tmp_path / "outside.png")
    (tmp_path / "pictures" / "broken.png").write_bytes(picture(0)[:90])
    return tmp_path


def bring(folder, capsys, line, *options):
    """Imports one row; returns exit code, document or message, and what the root has of it."""
    file, root = put(folder / "p.csv", [line.replace("FOLDER", str(folder / "pictures"))], HEAD), str(folder / "root")
    capsys.readouterr()
    code = import_table.main(["predictions", str(file), "--root", root, "--model", "m", "--model-version", "1", "--images",
                              str(folder / "pictures"), "--json", *options])
    said = capsys.readouterr()
    return code, json.loads(said.out) if code == 0 else said.err, read_rows(root, "predictions") if code == 0 else []


@pytest.mark.parametrize(("names", "which"), [
    ("x,{t},dog,0.9,FOLDER/b/one.png,,", 1), ("x,{t},dog,0.9,file://FOLDER/a/one.png,,", 0), ("x,{t},dog,0.9,,b/two pic.png,", 2),
    ("x,{t},dog,0.9,,s3://lost/bucket/b/one.png,", 1), ("two pic,{t},dog,0.9,,,", 2), ("two pic.png,{t},dog,0.9,,gone.png,", 2),
    ("x,{t},dog,0.9,a/one.png,,{hash}", 0)])
def test_a_row_finds_its_picture(made, capsys, names, which):
    code, document, (row,) = bring(made, capsys, names.format(t="2026-11-18T09:00:00Z", hash=HASH[0]))
    uri = layout.image(HASH[which], "png")
    assert code == 0 and (row["image_sha256"], row["image_uri"], row["width"]) == (HASH[which], uri, 32)
    assert document["pictures"] == {"found": 1, "missing": 0, "erased": 0, "stored": 1}
    assert open_root(str(made / "root")).read(uri) == picture(which)


def test_a_row_names_the_decoder_that_made_its_picture(made, capsys, monkeypatch):
    values = np.arange(600, dtype=np.uint8).reshape(20, 30)
    (made / "pictures" / "own.trim").write_bytes(own_formats.encode(values))
    name = "tests.inference.own_formats:decode"
    options = ("--set", f"pictures.decoder={name}", "--set", "pictures.endings=[.trim]")
    try:
        line = "{},2026-11-18T09:00:00Z,dog,0.9,,{},"
        code, _, (row,) = bring(made, capsys, line.format("x", "own.trim"), *options)
        assert code == 0 and row["decoded_by"] == own_decoder.load(name).name and row["width"] == 30
        code, _, found = bring(made, capsys, line.format("y", "a/one.png"), *options)
        assert code == 0 and next(row for row in found if row["prediction_id"] == "y")["decoded_by"] is None
    finally:
        choose_decoder(None)


def test_a_place_is_a_path_as_it_is_or_an_address(made):
    folder = made / "of 50%20"
    folder.mkdir()
    (folder / "one.png").write_bytes(picture(1))
    for address in (str(folder), folder.as_uri()):
        assert Place(address).read("one.png") == picture(1)
    with pytest.raises(UsageError, match="expected a folder with pictures"):
        Place(f"file://{folder}")  # its %20 is a space


@pytest.mark.parametrize(("names", "said"), [
    ("x,{t},dog,0.9,,one.png,", "could be each of a/one.png, b/one.png"), ("x,{t},dog,0.9,../outside.png,,", "no picture of"),
    ("x,{t},dog,0.9,link.png,,", "leads out of"), ("x,{t},dog,0.9,broken.png,,", "the picture broken.png"),
    ("x,{t},dog,0.9,,c/notes.txt,", "Files that end in .txt were not looked at: pictures.endings"),
    ("x,{t},dog,0.9,FOLDER/../outside.png,,", "--allow-missing-images"), ("notes,{t},dog,0.9,,,", "no picture of 'notes'"),
    ("x,{t},dog,0.9,a/one.png,,{hash}", "another picture")])
def test_a_picture_that_cannot_be_taken_is_said_and_nothing_is_written(made, capsys, names, said):
    code, message, _ = bring(made, capsys, names.format(t="2026-11-18T09:00:00Z", hash=HASH[1]))
    assert code == 1 and "row 1" in message and said in message and not (made / "root").exists()


def test_rows_come_without_a_picture_where_that_is_allowed_or_it_was_erased(made, capsys):
    line = "x,2026-11-18T09:00:00Z,dog,0.9,{},,"
    code, document, (row,) = bring(made, capsys, line.format("lost.png"), "--allow-missing-images")
    assert code == 0 and row["image_sha256"] is None and document["pictures"]["missing"] == 1
    open_root(str(made / "root")).create(layout.erasure(HASH[2]), jsonio.dumps({}))
    code, document, found = bring(made, capsys, "y" + line.format("b/two pic.png"))
    (row,) = (r for r in found if r["prediction_id"] == "yx")
    assert (row["image_sha256"], row["image_uri"], document["pictures"]["erased"]) == (HASH[2], None, 1)
    assert not open_root(str(made / "root")).exists(layout.image(HASH[2], "png"))
