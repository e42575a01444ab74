"""The API over real HTTP: an answer is a row, what is wrong is refused with a reason, and ids are what joins them."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from contract import clock, ids
from contract.records import LABEL, PREDICTION
from inference.model.preprocess import MAX_PIXELS
from inference.telemetry import JsonLines
from tests.inference.made_pictures import encode, picture, pixels
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One service for this file; every test brings ids of its own."""
    folder = tmp_path_factory.mktemp("serving")
    root = str(folder / "root")
    publish_tiny(root, classes=tuple("abcdefg"))
    publish_tiny(root, model="other", classes=("x", "y"), seed=2)
    with serving(root, folder / "outbox", "serve.max_bytes=100000", models=("m", "other")) as made:
        made.root = root
        yield made


def predict(client, data=None, **headers):
    return client.post("/v1/predictions", content=data or picture(), headers=IMAGE | headers)


def row_of(client, prediction_id: str, table: str = "predictions") -> dict:
    """The one row of an id, once it is in the bucket."""
    def found():
        return [r for r in table_rows(client.root, table) if r["prediction_id"] == prediction_id]

    until(found)
    (row,) = found()
    return row


def test_an_answer_is_a_row_with_the_designs_columns(client):
    attributes = json.dumps({"camera": "Tür", "lane": 3, "night": True, "nothing": None}).encode()
    answer = client.post("/v1/predictions?top_k=2", content=picture(3), headers={
        **IMAGE, "X-Request-Id": "r-1", "X-Attributes": attributes}).json()
    row = row_of(client, answer["prediction_id"])
    assert list(row) == PREDICTION.names and (row["model"], row["model_version"], row["role"]) == ("m", "1", "live")
    assert [p["label"] for p in answer["predictions"]] == row["top_labels"][:2] and len(row["top_labels"]) == 5
    assert answer["predictions"][0]["probability"] == row["confidence"] and row["predicted_label"] == row["top_labels"][0]
    assert abs(ids.moment_of(answer["prediction_id"]) - row["predicted_at"]) < timedelta(milliseconds=1)
    assert dict(row["attributes"]) == {"camera": "Tür", "lane": "3", "night": "true"} and row["request_id"] == "r-1"
    assert (row["width"], row["height"], row["bytes"]) == (48, 36, len(picture(3))) and row["client"] == "anonymous"
    assert client.service.storage.exists(row["image_uri"]) and row["recorded_at"] >= row["predicted_at"]


@pytest.mark.parametrize(("text", "status"), [
    ("Bestellung № 7 / ß", 200), ("order:7,\"x\"", 200), ("x" * 200, 200), ("x" * 201, 422), ("a\tb", 422), ("a\x85b", 422)])
def test_any_printable_text_may_be_a_request_id(client, text, status):
    answer = predict(client, picture(31), **{"X-Request-Id": text.encode()})
    assert answer.status_code == status
    if status == 200:
        assert row_of(client, answer.json()["prediction_id"])["request_id"] == text
    else:
        assert answer.json()["error"]["code"] == "bad_request_id"


def test_multipart_raw_bytes_and_other_models(client):
    raw = predict(client, picture(4)).json()
    form = client.post("/v1/predictions", files={"image": ("x.jpg", picture(4), "image/jpeg")}).json()
    assert form["predictions"] == raw["predictions"] and len(raw["predictions"]) == 5
    other = client.post("/v1/predictions?model=other", content=picture(4), headers=IMAGE).json()
    assert (other["model"], {p["label"] for p in other["predictions"]}) == ("other", {"x", "y"})
    assert [m["model"] for m in client.get("/v1/models").json()["models"]] == ["m", "other"]


def test_an_id_of_the_caller_gets_one_row_and_one_answer(client):
    mine = ids.uuid7()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: predict(client, **{"X-Prediction-Id": mine}).json(), range(8)))
    assert all(a == answers[0] for a in answers) and answers[0]["prediction_id"] == mine
    other = predict(client, picture(9), **{"X-Prediction-Id": mine})
    assert other.status_code == 422 and other.json()["error"]["code"] == "id_in_use"
    assert row_of(client, mine)["prediction_id"] == mine


@pytest.mark.parametrize(("made", "code"), [
    ("7", "bad_prediction_id"), ("0199a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b", "bad_prediction_id"),
    (timedelta(minutes=6), "id_from_the_future"), (-timedelta(hours=25), "id_too_old")])
def test_ids_that_are_refused(client, made, code):
    id_ = made if isinstance(made, str) else ids.uuid7(clock.now() + made)
    answer = predict(client, **{"X-Prediction-Id": id_})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


@pytest.mark.parametrize(("request_", "status", "code"), [
    ({"content": b"GIF89a......"}, 422, "bad_image"),
    ({"content": picture()[:-200]}, 422, "bad_image"),
    ({"content": b""}, 422, "bad_image"),
    ({"content": b"x" * 100_001}, 413, "too_large"),
    ({"files": {"image": b"x" * 200_000}}, 413, "too_large"),
    ({"files": {"picture": picture()}}, 422, "bad_multipart"),
    ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 422, "bad_multipart"),
    ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
    ({"content": picture(), "headers": IMAGE | {"X-Attributes": "[1]"}}, 422, "bad_attributes"),
    ({"content": picture(), "headers": IMAGE | {"X-Attributes": '{"a": [1]}'}}, 422, "bad_attributes"),
    ({"content": picture(), "headers": IMAGE, "params": {"top_k": 0}}, 422, "invalid_request"),
    ({"content": picture(), "headers": IMAGE, "params": {"model": "nope"}}, 404, "no_such_model"),
    ({"content": encode(pixels().resize((6000, 1 + MAX_PIXELS // 6000)), "PNG", optimize=False)[:90_000]}, 422, "bad_image"),
])
def test_bad_requests_are_refused_with_a_reason(client, request_, status, code):
    answer = client.post("/v1/predictions", **{"headers": IMAGE if "content" in request_ else {}} | request_)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert len(answer.json()["error"]["message"]) > 20


def test_paths_and_methods_that_are_none(client):
    for method, path, status in (("GET", "/nope", 404), ("PUT", "/v1/labels", 405), ("GET", "/v1/predictions", 405)):
        answer = client.request(method, path)
        assert answer.status_code == status and set(answer.json()["error"]) == {"code", "message"}


def test_labels_are_rows_of_their_predictions_day(client):
    old = ids.uuid7(clock.now() - timedelta(days=3))
    sent = {"labels": [{"prediction_id": old, "label": "  a\tb ", "labeler": "Anna", "saw_prediction": True},
                       {"prediction_id": old, "withdraws": True, "origin": "import"}]}
    answer = client.post("/v1/labels", json=sent)
    assert answer.status_code == 201 and len(answer.json()["label_ids"]) == 2
    until(lambda: len([r for r in table_rows(client.root, "labels") if r["prediction_id"] == old]) == 2)
    rows = {r["label_id"]: r for r in table_rows(client.root, "labels")}
    one, two = (rows[i] for i in answer.json()["label_ids"])
    assert list(one) == LABEL.names and (one["label"], one["labeler"], one["origin"]) == ("a b", "Anna", "feedback")
    assert (two["label"], two["withdraws"], two["origin"], two["actor"]) == (None, True, "import", "anonymous")
    assert any(f"labels/dt={ids.day_of(old)}/" in e.key for e in client.service.storage.list("labels/"))
    single = client.post("/v1/labels", json={"prediction_id": old, "label": "c"})
    assert single.status_code == 201 and len(single.json()["label_ids"]) == 1


def test_an_answer_is_called_wrong_without_its_class(client):
    """It is stored as the label of rule 4a, seen; an id is kept in small letters, as predictions and labels join by bytes."""
    id_ = ids.uuid7(clock.now())
    answer = client.post("/v1/labels", json={"prediction_id": id_.upper(), "wrong": True})
    assert answer.status_code == 201, answer.text
    row = row_of(client, id_, "labels")
    assert (row["label"], row["saw_prediction"], row["shown_label"], row["origin"]) == ("≠", True, None, "feedback")


@pytest.mark.parametrize(("judgement", "status", "code"), [
    ({"prediction_id": "x", "label": "a"}, 422, "bad_prediction_id"),
    ({"label": "a"}, 422, "bad_prediction_id"),
    ({"prediction_id": ids.uuid7(clock.now() + timedelta(hours=1)), "label": "a"}, 422, "id_from_the_future"),
    ({"prediction_id": ids.uuid7(clock.now() - timedelta(days=401)), "label": "a"}, 422, "id_too_old"),
    ({"prediction_id": ids.uuid7(), "label": " "}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "label": "x" * 201}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "label": "a\x00b"}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "label": 7}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "label": 7.0}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "label": ["a"]}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "label": {"choices": ["a"]}}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "label": True}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "label": None}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7()}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "label": "a", "withdraws": "yes"}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "label": "a", "origin": "audit"}, 403, "forbidden_origin"),
    ({"prediction_id": ids.uuid7(), "label": "a", "origin": "oracle"}, 422, "bad_origin"),
    ({"prediction_id": ids.uuid7(), "label": "a", "wrong": True}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "wrong": True, "withdraws": True}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "wrong": 1}, 422, "bad_label"),
    ({"prediction_id": ids.uuid7(), "wrong": False}, 422, "bad_label"),
    ("text", 422, "bad_label"),
])
def test_bad_labels_are_refused_and_those_sent_with_them_too(client, judgement, status, code):
    good = {"prediction_id": ids.uuid7(), "label": "fine"}
    answer = client.post("/v1/labels", json={"labels": [good, judgement]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "label 2" in answer.json()["error"]["message"]
    waiting = client.service.outbox._fetch_all("SELECT count(*) FROM rows WHERE body LIKE ?", f"%{good['prediction_id']}%")
    assert waiting == [(0,)]


def test_a_label_of_nan_is_refused(client):
    """pandas writes NaN for a picture that nobody labelled."""
    body = f'{{"prediction_id": "{ids.uuid7()}", "label": NaN}}'
    answer = client.post("/v1/labels", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "bad_json", answer.text


def test_the_overview_says_what_waits_though_nobody_asks_for_metrics(tmp_path):
    root = str(tmp_path / "root")
    publish_tiny(root)
    with serving(root, tmp_path / "outbox", "serve.ship_seconds=3600") as client:
        assert "nothing waits to be shipped" in client.get("/overview").text
        predict(client)
        assert "1 row waits to be shipped" in client.get("/overview").text


def test_the_start_page_offers_what_is_served_and_no_other_model_of_the_root(tmp_path):
    root = str(tmp_path / "root")
    for name in ("m", "n", "idle"):
        publish_tiny(root, model=name)
    with serving(root, tmp_path / "outbox", models=("n", "m")) as client:
        assert re.findall("<option>(.*?)</option>", client.get("/").text) == ["n", "m"]


def test_health_metrics_and_the_description(client):
    assert client.get("/health/live").status_code == client.head("/health/live").status_code == 200
    assert client.head("/health/ready").status_code == 200 and client.head("/health/ready").content == b""
    ready = client.get("/health/ready")
    assert ready.status_code == 200 and ready.json()["models"]["m"]["version"] == "1"
    predict(client)
    text = client.get("/metrics").text
    assert 'trueup_live_version{model="m"} 1.0' in text and "trueup_outbox_rows" in text
    assert 'trueup_requests_total{path="/v1/predictions",status="200"}' in text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/predictions", "/v1/labels", "/v1/models", "/health/ready"} <= set(paths)
    assert client.get("/docs").status_code == 200


def test_every_log_line_of_a_prediction_carries_its_id(client, caplog):
    caplog.set_level("INFO")
    caplog.handler.setFormatter(JsonLines())
    mine, bad = ids.uuid7(), ids.uuid7()
    predict(client, **{"X-Prediction-Id": mine})
    predict(client, picture()[:-200], **{"X-Prediction-Id": bad})
    lines = [json.loads(line) for line in caplog.text.splitlines() if line.startswith("{")]
    about = {line["event"]: line["prediction_id"] for line in lines if "prediction_id" in line}
    assert (about["predicted"], about["refused"]) == (mine, bad)
    assert all("prediction_id" in line for line in lines if "POST /v1/predictions HTTP" in line["event"])
