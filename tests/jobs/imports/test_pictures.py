"""Class folders as people have them: every file is taken or listed, no class vanishes, nothing is stored before that is known."""

import json
import shutil

import pytest
from PIL import Image

from contract import layout
from contract.errors import ERROR, USAGE, BadImage, EmptyData, Mismatch
from contract.storage import open_root
from inference.model import foreign_picture
from jobs import import_images
from jobs.imports import pictures
from tests.inference.made_pictures import encode, picture, pixels

FORMATS = {"cat": ("png", "PNG"), "lion": ("JPG", "JPEG"), "dog": ("bmp", "BMP"), "wolf": ("tif", "TIFF")}


@pytest.fixture
def folder(tmp_path):
    """Four formats, a class most of which lies deeper, an empty class, hidden and system folders, copies."""
    made = tmp_path / "mine"
    for n, (name, (ending, kind)) in enumerate(FORMATS.items()):
        save(made / name, ending, kind, 100 * n, 5)
    save(made / "fish", "png", "PNG", 400, 2)
    save(made / "fish" / "2025", "png", "PNG", 500, 4)
    (made / "bird").mkdir()
    (made / ".ipynb_checkpoints").mkdir()
    shutil.copy(made / "cat" / "0.png", made / ".ipynb_checkpoints" / "0-checkpoint.png")
    (made / "__MACOSX").mkdir()
    (made / "__MACOSX" / "._0.png").write_bytes(b"\0\5\x16\7rest")
    shutil.copy(made / "cat" / "3.png", made / "lion" / "again.png")
    shutil.copy(made / "cat" / "4.png", made / "cat" / "4 copy.png")
    (made / "wolf" / "notes.txt").write_text("a text")
    return made


def save(folder, ending, kind, seed, many):
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(many):
        (folder / f"{n}.{ending}").write_bytes(encode(pixels(seed + n), kind))


def test_every_file_is_taken_or_listed(folder):
    found = pictures.look_at(folder)
    assert found.empty == ["bird"] and found.converted == {"bmp": 5, "tiff": 5}
    pictures.require_classes(found, allow_empty=True)
    counts = {name: sum(p.label == name for p in found.taken) for name in found.folders.classes}
    assert counts == {"bird": 0, "cat": 4, "dog": 5, "fish": 6, "lion": 5, "wolf": 5}
    reasons = {entry["file"]: entry["reason"] for entry in found.refused}
    assert set(reasons) == {".ipynb_checkpoints/0-checkpoint.png", "__MACOSX/._0.png", "cat/3.png", "lion/again.png",
                            "cat/4 copy.png", "wolf/notes.txt"}
    assert "lies in lion/again.png, of another class" in reasons["cat/3.png"] and "cat/3.png" in reasons["lion/again.png"]
    assert reasons["cat/4 copy.png"] == "a copy of cat/4.png, which is taken"
    everything = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert everything == set(reasons) | {str(p.file.relative_to(folder)) for p in found.taken}


def test_what_is_stored_are_the_bytes_that_are_named(folder, tmp_root):
    storage = open_root(tmp_root, create=True)
    rows = list(pictures.store(pictures.look_at(folder), storage, "me", 0))
    assert len(rows) == 25 and {row["label"] for row in rows} == {"cat", "dog", "fish", "lion", "wolf"}
    assert {row["image_uri"].rpartition(".")[2] for row in rows} == {"png", "jpg"}
    assert all(storage.exists(row["image_uri"]) for row in rows)


def test_a_class_that_would_vanish_is_an_error_and_nothing_is_stored(folder, tmp_path, capsys):
    arguments = [str(folder), "--root", str(tmp_path / "root"), "--model", "mine"]
    assert import_images.main([*arguments, "--json"]) == ERROR
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert "found none of 1: 'bird' (no file)" in message and "--allow-empty-classes" in message
    for file in (folder / "wolf").glob("*.tif"):
        file.write_bytes(b"II*\0 damaged")
    assert import_images.main(arguments) == ERROR
    assert "'wolf' (" in capsys.readouterr().err and not (tmp_path / "root").exists()


@pytest.mark.parametrize("many", [1, 3])
def test_too_few_pictures_for_a_dataset_leave_no_root_and_no_picture(tmp_path, capsys, many):
    for n, name in enumerate(("a", "b")):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(many):  # of one colour each, so that all look nearly the same
            (tmp_path / "mine" / name / f"{i}.png").write_bytes(encode(Image.new("RGB", (40, 40), (90 * n + i, 9, 9)), "PNG"))
    (tmp_path / "there").mkdir()
    for root in ("root", "there"):
        assert import_images.main([str(tmp_path / "mine"), "--root", str(tmp_path / root), "--model", "m"]) == ERROR
        message = capsys.readouterr().err
        assert "mine: expected" in message and "Add more" in message and "Widen the window" not in message
    assert not (tmp_path / "root").exists() and not list((tmp_path / "there").iterdir())


def test_all_pictures_in_two_classes_are_no_picture_at_all(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name, "png", "PNG", 1, 2)
    found = pictures.look_at(tmp_path)
    with pytest.raises(EmptyData, match="found no picture that can be taken: 'a' .the same picture lies in b/0.png"):
        pictures.require_classes(found, allow_empty=True)


def test_the_same_pixels_in_another_file_are_the_same_picture(tmp_path):
    save(tmp_path / "a", "png", "PNG", 1, 1)
    save(tmp_path / "b", "bmp", "BMP", 1, 2)
    found = pictures.look_at(tmp_path)
    assert [(p.label, p.file.name) for p in found.taken] == [("b", "1.bmp")]


def test_a_file_that_changes_meanwhile_and_one_that_was_erased(tmp_path, tmp_root):
    save(tmp_path / "in" / "a", "png", "PNG", 1, 2)
    storage = open_root(tmp_root, create=True)
    found = pictures.look_at(tmp_path / "in")
    storage.put(layout.erasure(found.taken[0].sha256), b"{}")
    pictures.leave_out_erased(found, storage)
    assert [entry["reason"] for entry in found.refused] == ["it was erased on request (trueup forget)"]
    found.taken[0].file.write_bytes(picture(9, "PNG"))
    with pytest.raises(Mismatch, match="expected the picture that was looked at"):
        list(pictures.store(found, storage, "me", 0))


def test_for_people_many_files_are_summed_up(tmp_path):
    save(tmp_path / "a", "png", "PNG", 1, 1)
    for n in range(60):
        (tmp_path / "a" / f"{n:02}.txt").write_text("a text")
    lines = import_images.describe(pictures.look_at(tmp_path)).splitlines()
    assert len(lines) == 22 and lines[-1].startswith("  refused: 40 more: expected a JPEG, PNG, WebP")


def test_splits_are_wrong_usage(tmp_path, capsys):
    for name in ("train/cat", "train/dog", "val/cat"):
        save(tmp_path / "set" / name, "png", "PNG", 1, 1)
    assert import_images.main([str(tmp_path / "set"), "--root", str(tmp_path / "root"), "--model", "m"]) == USAGE
    assert "the parts of a data set (train, val)" in capsys.readouterr().err and not (tmp_path / "root").exists()


def test_a_huge_file_is_not_read(tmp_path):
    with open(tmp_path / "huge.tif", "wb") as file:
        file.truncate(foreign_picture.MOST_BYTES + 1)
    with pytest.raises(BadImage, match="at most 256 MiB"):
        foreign_picture.read_file(tmp_path / "huge.tif")
