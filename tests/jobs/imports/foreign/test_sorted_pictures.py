"""Labels from pictures that people sorted into class folders: found by content, else by name."""

import pytest

from jobs.imports.foreign.sorted_pictures import is_sorted
from tests.inference.small_service import picture
from tests.jobs.imports.bring import bring, labels_of, put
from tests.jobs.stored_rows import read_rows

DAY = "2026-11-18"
HEAD = "prediction_id,predicted_at,predicted_label,confidence"


@pytest.fixture
def root(tmp_path):
    """Answers to three pictures, two of which lie in the root."""
    for i in (0, 1):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        (tmp_path / "pictures" / f"p{i}.png").write_bytes(picture(i))
    file = put(tmp_path / "p.csv", [f"p{i}.png,{DAY}T09:00:00Z,{'dog' if i else 'cat'},0.9" for i in range(3)], HEAD)
    root = str(tmp_path / "root")
    assert bring(root, "predictions", file, "--model", "m", "--model-version", "1", "--images", str(tmp_path / "pictures"),
                 "--allow-missing-images") == 0
    return root


def sort(folder, **files):
    for name, data in files.items():
        path = folder / "sorted" / name.replace("__", "/").replace("_png", ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "sorted"


def test_sorted_pictures_are_labels_of_their_predictions(root, tmp_path, capsys):
    at = sort(tmp_path, cat__other_png=picture(0), cat__p1_png=picture(1), dog__deep__p2_png=picture(2), dog__broken_png=b"no")
    assert is_sorted(at) and not is_sorted(tmp_path / "pictures")
    for _ in range(2):  # again changes nothing
        assert bring(root, "labels", at, "--labeler", "ada") == 0
        assert "1 file not taken (e.g. dog/broken.png" in capsys.readouterr().err
    assert labels_of(root) == [("p0.png", DAY, "cat"), ("p1.png", DAY, "cat"), ("p2.png", DAY, "dog")]
    assert {(r["labeler"], r["origin"], r["saw_prediction"]) for r in read_rows(root, "labels")} == {("ada", "import", None)}


def test_a_picture_of_no_prediction_is_said(root, tmp_path, capsys):
    at = sort(tmp_path, cat__a_png=picture(0), cat__new_png=picture(7))
    assert bring(root, "labels", at) == 1
    assert "no prediction of this picture in the root" in capsys.readouterr().err and labels_of(root) == []
    assert bring(root, "labels", at, "--skip-bad") == 0 and labels_of(root) == [("p0.png", DAY, "cat")]


def test_sorted_pictures_are_no_predictions(root, tmp_path, capsys):
    assert bring(root, "predictions", sort(tmp_path, cat__a_png=picture(0))) == 1
    assert "which holds labels" in capsys.readouterr().err
