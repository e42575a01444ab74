"""Predictions from SageMaker data capture."""

import base64
import json

import pytest

from tests.jobs.imports.bring import SAID, accuracy, bring, put
from tests.jobs.stored_rows import read_rows

NAMED = ("--model", "m", "--model-version", "3")


def event(data, encoding="JSON", kind="application/json", n=1, **metadata):
    """As "Interpret captured data" of the developer guide has it."""
    output = {"observedContentType": kind, "mode": "OUTPUT", "data": data if isinstance(data, str) else json.dumps(data),
              "encoding": encoding}
    sent = {"mode": "INPUT", "data": "/9j/4A==", "encoding": "BASE64"}
    return {"captureData": {"endpointInput": sent, "endpointOutput": output},
            "eventMetadata": {"eventId": f"event-{n}", "inferenceTime": "2026-11-18T17:25:49Z"} | metadata, "eventVersion": "0"}


def base64_of(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.fixture
def classes(tmp_path):
    return ("--classes", str(put(tmp_path / "classes.txt", ["cat", "dog", "elk"])))


LIST = ["dog", "cat", "elk"], [0.7, 0.2, 0.1]
HF = [{"label": "cat", "score": 0.2}, {"label": "dog", "score": 0.7}, {"label": "elk", "score": 0.1}]
CASES = [
    ([0.2, 0.7, 0.1], {}, True, LIST), ([[0.2, 0.7, 0.1]], {}, True, LIST), ({"predictions": [[0.2, 0.7, 0.1]]}, {}, True, LIST),
    ("0.2,0.7,0.1\n", {"encoding": "CSV", "kind": "text/csv; charset=utf-8"}, True, LIST),
    (base64_of([0.2, 0.7, 0.1]), {"encoding": "BASE64"}, True, LIST),
    (base64_of({"prediction": [0.2, 0.7, 0.1]}), {"encoding": "BASE64", "kind": "application/jsonlines"}, True, LIST),
    ([0.2, 0.7, 0.1], {"kind": None}, True, LIST),
    (HF, {}, False, LIST), ([HF], {}, False, LIST),
    ({"probabilities": [0.2, 0.7, 0.1], "labels": ["cat", "dog", "elk"], "predicted_label": "dog"}, {}, False, LIST),
    ({"predicted_label": "dog", "probability": 0.7}, {}, False, None), ({"label": "dog", "score": 0.7}, {}, False, None),
    ({"predictions": [{"predicted_label": 1.0, "probability": 0.7}]}, {}, True, None),
    ({"predictions": [{"predicted_label": 1, "score": [0.2, 0.7, 0.1]}]}, {}, True, LIST),
    ("dog,0.7", {"encoding": "CSV", "kind": "text/csv"}, False, None),
]


@pytest.mark.parametrize("data, more, named, top", CASES)
def test_answers_in_the_common_forms(tmp_root, tmp_path, classes, data, more, named, top):
    path = put(tmp_path / "c.jsonl", [event(data, **more)])
    assert bring(tmp_root, "predictions", path, *NAMED, *(classes if named else ())) == 0
    row, = read_rows(tmp_root, "predictions")
    assert (row["predicted_label"], row["confidence"], row["prediction_id"]) == ("dog", 0.7, "event-1")
    assert (row["model"], row["model_version"], row["day"]) == ("m", "3", "2026-11-18") and row["predicted_at"].hour == 17
    assert top is None or (row["top_labels"], row["top_probabilities"]) == (top[0], pytest.approx(top[1]))


@pytest.mark.parametrize("data, more, options, said", [
    ([0.2, 0.8], {}, (), "2 probabilities without the names of their classes: name these by `trueup import"),
    ([0.2, 0.8], {}, None, "expected 3 probabilities, as many as `--classes` names, got 2"),
    ([2.5, -1.0, 0.3], {}, None, "expected the probabilities of all classes, from 0 to 1 with the sum 1, got [2.5"),
    ("0.03", {"encoding": "CSV", "kind": "text/csv"}, (), "one number, 0.03, says no class. Say where they stand"),
    ([0.97], {}, None, "one number, 0.97, says no class"),
    ({"predictions": [{"score": 0.2, "predicted_label": 0}]}, {}, (), "may be the probability of the label 0 or of the label 1"),
    ({"predictions": [{"label": "a", "score": 0.2}, {"label": "a", "score": 0.3}]}, {}, (),
     "expected one answer for an event, got 2"),
    ("a,0.2\nb,0.3\n", {"encoding": "CSV", "kind": "text/csv"}, (), "expected one answer for an event, got 2"),
    ({"result": {"name": "dog"}}, {}, (), "expected an object with predicted_label or label and probability or score"),
    ({"probabilities": [0.2, 0.8], "labels": ["a", "b"], "predicted_label": "a"}, {}, (), "the label is 'a', but the highest"),
    ("/9j/4A==", {"encoding": "BASE64", "kind": "image/jpeg"}, (), "expected text in base64, got '/9j/4A==' of 'image/jpeg'"),
    ("{", {}, (), "endpointOutput.data: expected JSON"),
    ({"label": "dog", "score": 7}, {}, (), "column 'confidence': expected 0 to 1, got 7"),
    ({"label": "dog", "score": 0.7}, {"inferenceTime": None}, (), "column 'predicted_at': expected a value"),
    ({"label": "dog", "score": 0.7}, {"eventId": ""}, (), "expected an id at eventMetadata.inferenceId or"),
])
def test_what_cannot_be_told_is_named_with_the_option_that_tells(tmp_root, tmp_path, capsys, classes, data, more, options, said):
    path = put(tmp_path / "c.jsonl", [event({"label": "cat", "score": 0.5}), event(data, **more)])
    assert bring(tmp_root, "predictions", path, *NAMED, *(classes if options is None else options)) == 1
    message = capsys.readouterr().err
    assert f"{path}: line 2: " in message and said in message and read_rows(tmp_root, "predictions") == []


@pytest.mark.parametrize("data, paths", [
    ({"result": [{"name": "dog", "p": 0.7}]}, ("result.0.name", "result.0.p")),
    ({"predictions": [{"score": 0.7, "predicted_label": 1}]}, ("predictions.0.predicted_label", "predictions.0.score"))])
def test_paths_say_where_the_answer_stands(tmp_root, tmp_path, classes, data, paths):
    options = ("--label-path", paths[0], "--confidence-path", paths[1])
    assert bring(tmp_root, "predictions", put(tmp_path / "c.jsonl", [event(data)]), *NAMED, *classes, *options) == 0
    assert [(r["predicted_label"], r["confidence"]) for r in read_rows(tmp_root, "predictions")] == [("dog", 0.7)]


@pytest.mark.parametrize("metadata, found", [
    ({}, ("event-1", None)), ({"inferenceId": "img1.jpg"}, ("img1.jpg", None)), ({"variantName": "blue"}, ("event-1", "blue")),
    ({"customAttributes": ["camera=4;model_version=9"]}, ("event-1", "9")),
    ({"customAttributes": ['{"model_version": 9}'], "variantName": "blue"}, ("event-1", "9"))])
def test_ids_and_versions(tmp_root, tmp_path, capsys, metadata, found):
    path = put(tmp_path / "c.jsonl", [event({"label": "dog", "score": 0.7}, **metadata)])
    assert bring(tmp_root, "predictions", path, "--model", "m") == (0 if found[1] else 2)
    if found[1] is None:
        assert "line 1: data capture does not say the model and its version: give --model-version" in capsys.readouterr().err
        assert bring(tmp_root, "predictions", path, *NAMED) == 0
    assert [(r["prediction_id"], r["model_version"]) for r in read_rows(tmp_root, "predictions")] == [(found[0], found[1] or "3")]


def test_a_folder_and_an_evaluation_in_place(tmp_path, tmp_root, capsys):
    folder = tmp_path / "capture"
    for n, hour in enumerate(("16", "17"), 1):
        lines = [event({"label": "dog", "score": 0.7}, n=n, inferenceTime=f"2026-11-18T{hour}:00:00Z")]
        put(folder / "pets/AllTraffic/2026/11/18" / hour / f"{n}.jsonl", lines)
    put(folder / ".cache/x.jsonl", ["{}"])
    assert bring(tmp_root, "predictions", folder, *NAMED) == 0 and len(read_rows(tmp_root, "predictions")) == 2
    labels = put(tmp_path / "l.csv", [f"event-{n},{said},ann,2026-11-19" for n, said in ((1, "dog"), (2, "cat"))], SAID)
    assert accuracy(capsys, "--predictions", folder, "--labels", labels)[1] == {"1": (2, 0.5)}


def test_input_alone_was_captured(tmp_root, tmp_path, capsys):
    one = event("x")
    del one["captureData"]["endpointOutput"]
    assert bring(tmp_root, "predictions", put(tmp_path / "c.jsonl", [one]), *NAMED) == 1
    assert "the endpoint captures its input alone" in capsys.readouterr().err
