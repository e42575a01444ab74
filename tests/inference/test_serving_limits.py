"""What the service does when it is full, slow, stopped, keyed, or its root is an S3."""

import threading
import time

import httpx
import pytest

from contract import clock
from contract.storage import open_root
from inference.keys import KeyRing
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, bearer, serving, table_rows, until


@pytest.fixture
def published(tmp_root):
    publish_tiny(tmp_root)
    return tmp_root


def predict(client, n: int = 1, **headers):
    return client.post("/v1/predictions", content=picture(n), headers=IMAGE | headers)


def test_a_clean_stop_answers_what_it_accepted_and_ships_it(published, tmp_path, monkeypatch):
    shift = tmp_path / "clock"
    shift.write_text("-172800")
    monkeypatch.setenv(clock.CLOCK_FILE, str(shift))
    answers = []
    with serving(published, tmp_path / "o", "serve.ship_seconds=900") as client:
        predictor, url = client.service.models["m"].predictor, f"{client.base_url}/v1/predictions"
        compute = predictor.probabilities
        predictor.probabilities = lambda batch: (time.sleep(1.5), compute(batch))[1]
        asking = threading.Thread(target=lambda: answers.append(httpx.post(url, content=picture(), headers=IMAGE)))
        asking.start()
        until(lambda: "trueup_predictions_active 1.0" in client.get("/metrics").text)
        assert table_rows(published, "predictions") == []
    asking.join()
    (row,) = table_rows(published, "predictions")
    assert answers[0].status_code == 200 and row["prediction_id"] == answers[0].json()["prediction_id"]
    assert abs((clock.now() - row["predicted_at"]).total_seconds()) < 120  # both on the shifted clock


def test_a_full_outbox_refuses_and_recovers_once_the_bucket_takes_rows(published, tmp_path):
    sets = ("serve.outbox_bytes=1048576", "serve.ship_seconds=900", "serve.queue=1000")
    with serving(published, tmp_path / "o", *sets) as client:
        box = client.service.outbox
        box.room.add(box.room.limit_bytes)  # as if that much waited
        refused = predict(client)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "outbox_full")
        assert int(refused.headers["Retry-After"]) > 0
        label = client.post("/v1/labels", json={"prediction_id": "0" * 36, "label": "a"})
        assert label.status_code == 422  # what is wrong is said even now
        assert client.get("/health/ready").status_code == 503
        box.room.add(-box.room.limit_bytes)
        assert predict(client).status_code == 200 and client.get("/health/ready").status_code == 200


def test_a_full_queue_and_a_deadline(published, tmp_path):
    sets = ("serve.queue=2", "serve.deadline_seconds=1")
    with serving(published, tmp_path / "o", *sets) as client:
        live = client.service.models["m"]
        slow, network = threading.Event(), live.predictor.probabilities
        live.predictor.probabilities = lambda batch: (slow.wait(20), network(batch))[1]
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(predict(client))) for _ in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        slow.set()
        assert sorted(a.status_code for a in answers) == [503, 503, 504, 504]
        assert {a.json()["error"]["code"] for a in answers} == {"queue_full", "deadline"}
        assert predict(client).status_code == 200
        assert client.get("/metrics").text.count("trueup_predictions_active 0.0") == 1


def test_keys_their_roles_and_who_is_written_down(published, tmp_path):
    keys = KeyRing(open_root(published))
    caller, labeler, admin = (keys.add(n, [r], may_name_labelers=r == "label")
                              for n, r in (("cam", "predict"), ("shop", "label"), ("boss", "admin")))
    with serving(published, tmp_path / "o", keyring=keys) as client:
        assert predict(client).status_code == 401 and client.get("/v1/models").status_code == 401
        answer = predict(client, **bearer(caller)).json()
        assert client.get("/v1/models", headers=bearer(caller)).status_code == 200
        said = {"prediction_id": answer["prediction_id"], "label": "b", "labeler": "boss-000000/anna"}
        for token, origin, status in ((caller, None, 403), (labeler, None, 201), (labeler, "import", 403),
                                      (admin, "import", 201), (admin, "audit", 403)):
            sent = client.post("/v1/labels", json=said | {"origin": origin}, headers=bearer(token))
            assert sent.status_code == status, (origin, sent.text)
    (row,) = table_rows(published, "predictions")
    assert row["client"] == caller.partition(".")[0]
    ids = {n: t.partition(".")[0] for n, t in (("label", labeler), ("admin", admin))}
    found = {(r["actor"], r["labeler"], r["origin"]) for r in table_rows(published, "labels")}
    assert found == {(ids["label"], f"{ids['label']}/boss-000000/anna", "feedback"),
                     (ids["admin"], f"{ids['admin']}/boss-000000/anna", "import")}


def test_an_s3_root_gets_the_same_rows(s3_root, tmp_path):
    publish_tiny(s3_root)
    with serving(s3_root, tmp_path / "o") as client:
        made = {predict(client, n).json()["prediction_id"] for n in range(5)}
        until(lambda: len(table_rows(s3_root, "predictions")) == 5)
    rows = table_rows(s3_root, "predictions")
    storage = open_root(s3_root)
    assert {r["prediction_id"] for r in rows} == made and all(storage.exists(r["image_uri"]) for r in rows)


def test_images_are_not_stored_when_the_setting_says_so(published, tmp_path):
    with serving(published, tmp_path / "o", "serve.store_images=false") as client:
        predict(client)
    (row,) = table_rows(published, "predictions")
    assert row["image_uri"] is None and len(row["image_sha256"]) == 64
    assert list(open_root(published).list("images/")) == []


def test_pages_of_other_origins_by_setting(published, tmp_path):
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    with serving(published, tmp_path / "o", 'serve.cors_origins=["https://shop.example"]') as client:
        answer = client.options("/v1/predictions", headers=asked)
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "Access-Control-Allow-Origin" not in client.options(
            "/v1/predictions", headers=asked | {"Origin": "https://evil.example"}).headers


def test_a_body_that_dawdles_or_lies_about_its_length(published, tmp_path):
    with serving(published, tmp_path / "o", "serve.deadline_seconds=0.5", "serve.max_bytes=2000") as client:
        def slowly():
            yield b"\xff\xd8"
            time.sleep(1.5)
            yield b"\xff"

        assert client.post("/v1/predictions", content=slowly(), headers=IMAGE).status_code == 408
        chunked = client.post("/v1/predictions", content=iter([b"x" * 1500, b"x" * 1500]), headers=IMAGE)
        assert chunked.status_code == 413
