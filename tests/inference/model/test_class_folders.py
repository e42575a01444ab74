"""Folders of labelled pictures as people have them: which file belongs to which class, and why others belong to none."""

import os

import pytest

from contract.errors import BadLabel, EmptyData, UsageError
from inference.model.class_folders import find_class_folders


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def taken(found):
    return {(str(file.relative_to(found.folder)), name) for file, name in found.files}


def test_files_belong_to_the_folder_below_the_root_at_any_depth(tmp_path):
    found = find_class_folders(fill(tmp_path, "cat/1.png", "cat/2025/may/2.bmp", "dog/a b/3.JPG"))
    assert taken(found) == {("cat/1.png", "cat"), ("cat/2025/may/2.bmp", "cat"), ("dog/a b/3.JPG", "dog")}
    assert found.refused == [] and list(found.classes) == ["cat", "dog"]


@pytest.mark.parametrize("name", [".ipynb_checkpoints/1.png", "__MACOSX/cat/._1.png", "@eaDir/1.png", "lost+found/1.png",
                                  "$RECYCLE.BIN/1.png", "cat/.ipynb_checkpoints/1.png", "cat/Thumbs.db", "cat/._1.png",
                                  "cat/1.png~", "cat/.DS_Store", ".git/objects/ab/cd", "readme.txt", "1.png", "cat/desktop.ini"])
def test_what_is_hidden_made_by_a_system_or_in_no_class_is_listed(tmp_path, name):
    found = find_class_folders(fill(tmp_path, "cat/good.png", "dog/good.png", name))
    assert list(found.classes) == ["cat", "dog"] and len(found.files) == 2
    assert [entry["file"] for entry in found.refused] == [name] and found.refused[0]["reason"]


def test_links_are_followed_and_those_that_lead_nowhere_or_back_are_listed(tmp_path):
    fill(tmp_path / "store", "a.png")
    folder = fill(tmp_path / "mine", "cat/1.png")
    (folder / "cat" / "link.png").symlink_to(tmp_path / "store" / "a.png")
    (folder / "dog").symlink_to(tmp_path / "store")
    (folder / "cat" / "gone.png").symlink_to(tmp_path / "no.png")
    (folder / "cat" / "back").symlink_to(folder / "cat")
    os.mkfifo(folder / "cat" / "pipe.png")
    found = find_class_folders(folder)
    assert taken(found) == {("cat/1.png", "cat"), ("cat/link.png", "cat"), ("dog/a.png", "dog")}
    assert {entry["file"]: entry["reason"].split(":")[0] for entry in found.refused} == {
        "cat/back": "this link leads back to a folder around it", "cat/gone.png": "it cannot be read",
        "cat/pipe.png": "it is no file"}


@pytest.mark.parametrize(("names", "error", "said"), [
    ((), EmptyData, "expected class folders"), (("1.png", "2.png"), EmptyData, "expected class folders"),
    (("Cat/1.png", "Cat /2.png"), BadLabel, "both the class 'Cat'"),
    (("caf\u00e9/1.png", "cafe\u0301/2.png"), BadLabel, "both the class"),
    (("\u2260/1.png",), BadLabel, "its name is to be a class"),
    (("train/cat/1.png", "train/dog/2.png", "val/cat/3.png"), UsageError, "parts of a data set .train, val.*Name one"),
    (("Train/cat/1.png", "TEST/cat/2.png", "notes/a.txt"), UsageError, "parts of a data set"),
    (("train/cat/1.png",), UsageError, "parts of a data set"),
    (("images/cat/1.png", "images/dog/2.png"), UsageError, "got one, 'images', with 2 folders")])
def test_folders_that_could_mean_two_things_are_refused_with_advice(tmp_path, names, error, said):
    with pytest.raises(error, match=said):
        find_class_folders(fill(tmp_path, *names))


def test_vehicles_may_be_called_train_and_a_class_may_have_folders(tmp_path):
    found = find_class_folders(fill(tmp_path, "train/1.png", "train/2025/2.png", "bus/2025/3.png", "test/4.png"))
    assert list(found.classes) == ["bus", "test", "train"]


def test_a_folder_that_is_not_there_and_names_of_other_bytes(tmp_path):
    with pytest.raises(EmptyData, match="no such folder"):
        find_class_folders(tmp_path / "none")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(b"1")
    with open(os.fsencode(tmp_path) + b"/k\xe4se.txt", "wb"):
        pass
    (found,) = find_class_folders(tmp_path).refused
    assert found["file"] == "k\ufffdse.txt"
