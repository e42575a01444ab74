"""Labels from Label Studio's JSON and JSON_MIN exports."""

import json

import pytest

from tests.jobs.imports.bring import COLUMNS, SAID, bring, labels_of, put
from tests.jobs.stored_rows import read_rows

AT = "2026-11-19T10:00:00.123456Z"


def choice(name="cat", control="pet"):
    chosen = [name] if isinstance(name, str) else name
    return {"from_name": control, "to_name": "image", "type": "choices", "value": {"choices": chosen}}


def vote(*result, who=7, **more):
    return {"id": 1, "completed_by": who, "result": list(result), "was_cancelled": False, "created_at": "2026-11-18T12:00:00Z",
            "updated_at": AT} | more


def task(*votes, image="s3://b/in/img1.jpg", **data):
    return {"id": 5, "data": {"image": image} | data, "annotations": list(votes), "predictions": [{"result": [choice("elk")]}]}


@pytest.fixture
def root(tmp_root, tmp_path, capsys):
    said = {"img1.jpg": "cat", "img2.jpg": "good", "key-3": "day"}
    lines = [f"{i},2026-11-18T01:00:00Z,m,1,{name},.9" for i, name in said.items()]
    assert bring(tmp_root, "predictions", put(tmp_path / "p.csv", lines, COLUMNS)) == 0
    capsys.readouterr()
    return tmp_root


def export(tmp_path, *items):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(items, indent=1), "utf-8")
    return path


def test_every_annotation_is_a_vote_and_cancelled_ones_are_counted(root, tmp_path, capsys):
    anna, ben = {"id": 7, "email": "anna@x.org"}, 8
    path = export(tmp_path, task(vote(choice("cat"), who=anna), vote(choice("dog"), who=ben, parent_prediction=4),
                                 vote(choice("elk"), who=9, was_cancelled=True)), task(), task(vote()))
    assert bring(root, "labels", path, "--json") == 0
    out, err = capsys.readouterr()
    found = {r["labeler"]: r for r in read_rows(root, "labels")}
    assert {who: (r["label"], r["saw_prediction"]) for who, r in found.items()} == {
        "anna@x.org": ("cat", None), "8": ("dog", True)}
    assert found["8"]["labeled_at"].isoformat() == "2026-11-19T10:00:00.123456+00:00" and found["8"]["origin"] == "import"
    assert json.loads(out)["left_out"] == {"cancelled": 1, "without_answer": 2}
    assert "1 cancelled or skipped" in err and "2 without an answer" in err


@pytest.mark.parametrize("of, options, found", [
    ({"image": "/data/upload/4/1a2b3c4d-img1.jpg"}, (), "img1.jpg"),
    ({"image": "/data/local-files/?d=in/img2.jpg"}, (), "img2.jpg"),
    ({"image": "https://b.s3.amazonaws.com/in/img2.jpg?X-Amz-Signature=0"}, (), "img2.jpg"),
    ({"prediction_id": "key-3"}, (), "key-3"),
    ({"key": "key-3"}, ("--id-field", "data.key"), "key-3"),
])
def test_where_the_prediction_is_found(root, tmp_path, of, options, found):
    assert bring(root, "labels", export(tmp_path, task(vote(choice()), **of)), *options) == 0
    assert labels_of(root) == [(found, "2026-11-18", "cat")]


@pytest.mark.parametrize("one, options, said", [
    (task(vote(choice(["cat", "dog"]))), (), "item 1 (task 5): expected one choice, got 2: 'cat', 'dog'"),
    (task(vote(choice(), choice("good", "quality"))), (), "the controls pet, quality hold choices: name the one"),
    (task(vote({"from_name": "box", "type": "rectanglelabels", "value": {}})), (), "expected choices, got rectanglelabels 'box'"),
    (task(vote(choice())), ("--label-path", "light"), "expected choices of the control 'light', got choices 'pet'"),
    (task(vote(choice())), ("--id-field", "data.key"), "no value at 'data.key'"),
    (task(vote(choice()), image="s3://b/img9.png"), (), "the predictions, got none of them in 1 row: 's3://b/img9.png' ("),
    (task(vote(choice(), updated_at=None, created_at=None)), (), "column 'labeled_at': expected a value"),
    (task(4), (), "Export with the annotations"),
    (task(vote(choice())) | {"data": {"text": "a"}}, (), "expected data.prediction_id or data.image, got data.text"),
])
def test_what_cannot_mean_one_thing_is_an_error(root, tmp_path, capsys, one, options, said):
    assert bring(root, "labels", export(tmp_path, one), *options) == 1
    assert said in capsys.readouterr().err and read_rows(root, "labels") == []


def test_one_of_several_controls(root, tmp_path):
    path = export(tmp_path, task(vote(choice(), choice("good", "quality"))))
    assert bring(root, "labels", path, "--label-path", "quality") == 0
    assert labels_of(root) == [("img1.jpg", "2026-11-18", "good")]


def small(said="cat", **more):
    return {"image": "s3://b/img1.jpg", "id": 5, "pet": said, "annotator": 7, "annotation_id": 21, "created_at": AT,
            "updated_at": AT, "lead_time": 2.5} | more


def test_json_min(root, tmp_path, capsys):
    path = export(tmp_path, small(), small({"choices": ["dog"]}, image="s3://b/img2.jpg", annotator="ben@x.org"), small(None))
    assert bring(root, "labels", path) == 0
    assert labels_of(root) == [("img1.jpg", "2026-11-18", "cat"), ("img2.jpg", "2026-11-18", "dog")]
    assert {r["labeler"] for r in read_rows(root, "labels")} == {"7", "ben@x.org"}
    assert "1 without an answer" in capsys.readouterr().err
    path = export(tmp_path, small(light="day"))
    assert bring(root, "labels", path) == 1
    assert "expected one key with the label, got light, pet. Name it" in capsys.readouterr().err
    assert bring(root, "labels", path, "--label-path", "light") == 0 and ("img1.jpg", "2026-11-18", "day") in labels_of(root)


def test_formats_are_told_apart_and_can_be_named(root, tmp_path, capsys):
    path = export(tmp_path, task(vote(choice())))
    assert bring(root, "predictions", path) == 1
    assert "expected predictions, got a JSON export of Label Studio, which holds labels" in capsys.readouterr().err
    assert bring(root, "labels", path, "--format", "data-capture") == 2
    assert "--format data-capture is SageMaker data capture, which holds predictions" in capsys.readouterr().err
    assert bring(root, "labels", path.rename(tmp_path / "export.txt"), "--format", "label-studio") == 0
    plain = dict(zip(SAID.split(","), ("img2.jpg", "cat", "ann", AT), strict=True)) | {"source-ref": "x"}
    plain = put(tmp_path / "l.jsonl", [plain])
    assert bring(root, "labels", plain) == 0 and len(labels_of(root)) == 2
