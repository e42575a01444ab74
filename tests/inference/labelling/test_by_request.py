"""Labels that name a request id, over HTTP with real services: they reach the prediction that carries it, or nothing."""

import random
from collections import defaultdict
from contextlib import ExitStack
from datetime import timedelta

import pytest

from contract import clock, ids
from contract.records import PREDICTION
from contract.rows import reading
from contract.stores.store import Entry
from inference.labelling import request_index
from inference.labelling.request_index import RequestIndex
from inference.outbox import tables
from inference.outbox.outbox import Outbox
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows
from tests.pipeline.roots import put_rows

WAITS = "serve.ship_seconds=900"
NOW = clock.now()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two services on one root, whose rows stay in their outboxes until told; of two models and one that is not served."""
    folder = tmp_path_factory.mktemp("by-request")
    root = str(folder / "root")
    for seed, model in enumerate(("m", "other", "elsewhere")):
        publish_tiny(root, model=model, seed=seed)
    with ExitStack() as stack:
        made = [stack.enter_context(serving(root, folder / f"outbox{n}", WAITS, models=("m", "other"))) for n in (0, 1)]
        made[0].root = made[1].root = root
        yield made


def predict(client, request_id, model="m", n=1, **headers):
    """Asks for a prediction; returns its id."""
    answer = client.post(f"/v1/predictions?model={model}", content=picture(n),
                         headers=IMAGE | {"X-Request-Id": request_id.encode()} | headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["prediction_id"]


def label(client, label="a", **named):
    return client.post("/v1/labels", json=named | {"label": label})


def ship(client):
    assert client.service.shipper.ship(everything=True)


def labelled(*clients):
    """label id -> prediction id of every label row that there is."""
    for client in clients:
        ship(client)
    return {row["label_id"]: row["prediction_id"] for row in table_rows(clients[0].root, "labels")}


def refused(answer, status, code):
    """The sentence of a refusal."""
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    return answer.json()["error"]["message"]


def row(request_id, at=NOW, model="m", prediction_id=None, **fields):
    return {"prediction_id": prediction_id or ids.uuid7(at), "predicted_at": at, "model": model, "model_version": "1",
            "predicted_label": "a", "confidence": 0.9, "role": "live", "request_id": request_id} | fields


def put(client, rows, writer, at=NOW):
    put_rows(client.service.storage, PREDICTION, "predictions", rows, clock.day_of(at), writer)


def test_a_label_names_its_request_in_the_outbox_and_in_the_store(two):
    first, _ = two
    mine = predict(first, "Bestellung № 7 / ß 🙂")
    waits = label(first, request_id="Bestellung № 7 / ß 🙂")
    ship(first)
    lies = label(first, request_id="Bestellung № 7 / ß 🙂", day=ids.day_of(mine), model="m", saw_prediction=True)
    assert (waits.status_code, lies.status_code) == (201, 201), (waits.text, lies.text)
    kept = labelled(first)
    assert {kept[answer.json()["label_ids"][0]] for answer in (waits, lies)} == {mine}


def test_what_another_replica_answered_is_not_known_until_it_is_shipped(two):
    first, second = two
    mine = predict(first, "at the first")
    answer = label(second, request_id="at the first")
    assert "another replica" in refused(answer, 409, "not_known_yet") and answer.headers["Retry-After"] == "900"
    ship(first)
    given = label(second, request_id="at the first").json()["label_ids"][0]
    assert labelled(second)[given] == mine


def test_rows_beside_the_answer_are_the_same_prediction(two):
    first, _ = two
    mine = predict(first, "watched")
    ship(first)
    put(first, [row("watched", prediction_id=mine, role=role, model_version=version)
                for role, version in (("shadow", "2"), ("canary", "3"), ("replay", "4"), ("live", "1"))], "beside")
    given = label(first, request_id="watched").json()["label_ids"][0]
    assert labelled(first)[given] == mine


def test_a_request_id_of_several_predictions_is_refused_and_what_tells_them_apart_is_named(two):
    first, second = two
    one, other = predict(first, "again"), predict(second, "again", model="other")
    ship(second)
    said = refused(label(first, request_id="again"), 422, "several_predictions")
    assert one in said and other in said and "or the model beside" in said
    given = label(first, request_id="again", model="other").json()["label_ids"][0]
    assert labelled(first, second)[given] == other
    earlier = NOW - timedelta(days=1)
    put(first, [row("again", earlier, "other")], "earlier", earlier)
    said = refused(label(first, request_id="again", model="other"), 422, "several_predictions")
    assert "or the day beside" in said
    given = label(first, request_id="again", model="other", day=ids.day_of(other)).json()["label_ids"][0]
    assert labelled(first)[given] == other


def test_a_model_that_is_not_meant_is_refused(two):
    first, _ = two
    put(first, [row("far", model="elsewhere"), row("near", model="other")], "models")
    assert "served here (m, other)" in refused(label(first, request_id="far"), 422, "other_model")
    assert "of model 'm'" in refused(label(first, request_id="near", model="m"), 409, "not_known_yet")
    at = NOW - timedelta(days=5)
    put(first, [row("near", at, model="other")], "models of last week", at)
    said = refused(label(first, request_id="near", model="m", day=clock.day_of(at)), 422, "other_model")
    assert "of model 'm'" in said
    assert label(first, request_id="near").status_code == 201


def test_a_model_that_is_named_may_have_answered_at_another_replica(two):
    first, second = two
    predict(first, "both", "other")
    mine = predict(second, "both", "m")
    refused(label(first, request_id="both", model="m"), 409, "not_known_yet")
    ship(second)
    given = label(first, request_id="both", model="m").json()["label_ids"][0]
    assert labelled(first)[given] == mine


def test_days_that_are_over_are_named_or_not_looked_at(two):
    first, _ = two
    at = NOW - timedelta(days=5)
    day = clock.day_of(at)
    old = row("of last week", at)
    put(first, [old, row(None, at), row("misfiled", NOW)], "old", at)
    assert '"day"' in refused(label(first, request_id="of last week"), 409, "not_known_yet")
    given = label(first, request_id="of last week", day=day).json()["label_ids"][0]
    assert labelled(first)[given] == old["prediction_id"]
    for nothing in ("nobody's", "misfiled"):
        assert day in refused(label(first, request_id=nothing, day=day), 422, "unknown_request_id")


def test_ids_of_imported_logs_are_named_by_no_request_id(two):
    first, _ = two
    put(first, [row("imported", prediction_id="r7"), row("loud", prediction_id=ids.uuid7(NOW).upper())], "imported")
    for name in ("imported", "loud"):
        assert "trueup import labels" in refused(label(first, request_id=name), 422, "bad_prediction_id")


@pytest.mark.parametrize(("named", "code", "said"), [
    ({"request_id": "x", "prediction_id": ids.uuid7()}, "bad_prediction_id", "got both"),
    ({"request_id": None}, "bad_prediction_id", "got neither"), ({"request_id": ""}, "bad_request_id", "X-Request-Id"),
    ({"request_id": 7}, "bad_request_id", "got 7"), ({"request_id": ["x"]}, "bad_request_id", "X-Request-Id"),
    ({"request_id": "x" * 201}, "bad_request_id", "200 printable"), ({"request_id": "a\u0000"}, "bad_request_id", "printable"),
    ({"request_id": "x", "day": "20261120"}, "bad_day", "YYYY-MM-DD"), ({"request_id": "x", "day": 7}, "bad_day", "YYYY-MM-DD"),
    ({"request_id": "x", "day": "2026-02-30"}, "bad_day", "no day"),
    ({"request_id": "x", "day": "9999-01-01"}, "bad_day", "today"),
    ({"request_id": "x", "day": "2020-01-01"}, "id_too_old", "serve.label_days"),
    ({"request_id": "x", "model": 7}, "bad_label", "model")])
def test_what_names_nothing_is_refused(two, named, code, said):
    assert said in refused(label(two[0], **named), 422, code)


def test_one_refused_request_id_refuses_all_and_what_never_helps_is_said_first(two):
    first, _ = two
    mine = predict(first, "company")
    before = labelled(first)
    good, unknown = {"request_id": "company", "label": "a"}, {"request_id": "comes later", "label": "a"}
    far = {"request_id": "far away", "label": "a"}
    put(first, [row("far away", model="elsewhere")], "company")
    refused(first.post("/v1/labels", json={"labels": [good, unknown]}), 409, "not_known_yet")
    said = refused(first.post("/v1/labels", json={"labels": [unknown, good, far]}), 422, "other_model")
    assert said.startswith("label 3")
    assert labelled(first) == before
    by_id = {"prediction_id": mine, "label": "b"}
    given = first.post("/v1/labels", json={"labels": [good, by_id]}).json()["label_ids"]
    assert [labelled(first)[i] for i in given] == [mine, mine]


def test_a_file_that_cannot_be_read_may_hold_another_one(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "outbox", WAITS) as client:
        client.root = tmp_root
        predict(client, "sure?")
        key = f"predictions/dt={clock.day_of(clock.now())}/broken-1-1.parquet"
        client.service.storage.put(key, b"no Parquet")
        answer = label(client, request_id="sure?")
        assert "cannot be read" in refused(answer, 503, "store_unavailable") and "Retry-After" in answer.headers
        assert "broken" not in answer.text and not labelled(client)
        client.service.storage.delete(key)
        assert label(client, request_id="sure?").status_code == 201


@pytest.mark.parametrize("seed", range(3))
def test_no_label_reaches_another_prediction_than_the_one_it_names(two, seed):
    """Few request ids, many predictions at two replicas, some shipped: against a count of what the caller knows it asked."""
    draw, asked, named = random.Random(seed), defaultdict(set), {}
    words = [f"{seed} of {n}" for n in range(12)]
    yesterday = NOW - timedelta(days=1)
    days = {clock.day_of(at): at for at in (NOW, yesterday, NOW - timedelta(days=4))}
    for n, (day, at) in enumerate(days.items()):
        rows = [row(draw.choice(words), at, draw.choice(["m", "other"])) for _ in range(4)]
        put(two[0], rows, f"p{seed}{n}", at)
        for one in rows:
            asked[one["request_id"]].add((one["prediction_id"], one["model"], day))
    for step in range(30):
        client, word = draw.choice(two), draw.choice(words)
        if step % 3 == 0:
            model = draw.choice(["m", "other"])
            made = predict(client, word, model, n=step)
            asked[word].add((made, model, ids.day_of(made)))
        elif step % 10 == 5:
            ship(client)
        else:
            more = draw.choice([{}, {"model": draw.choice(["m", "other"])}, {"day": draw.choice(list(days))}])
            answer = label(client, request_id=word, **more)
            assert answer.status_code in (201, 409, 422), answer.text
            if answer.status_code == 201:
                named[answer.json()["label_ids"][0]] = {
                    p for p, model, day in asked[word] if more.get("model", model) == model and more.get("day", day) == day}
    labelled(*two)
    only = {}  # once all is shipped, the answer follows from what was asked alone
    for word in words:
        for more in ({}, {"model": "m"}, *({"day": day} for day in days)):
            near = {day for day in days if more.get("day", day) == day and ("day" in more or days[day] >= yesterday)}
            mine = [p for p, model, day in asked[word] if day in near and more.get("model", model) == model]
            answer = label(two[0], request_id=word, **more)
            assert (answer.status_code == 201) == (len(mine) == 1), (word, more, mine, answer.text)
            if len(mine) == 1:
                only[answer.json()["label_ids"][0]] = set(mine)
    kept = labelled(*two)
    assert named and only and all(kept[label_id] in meant for label_id, meant in (named | only).items())


def test_the_index_reads_a_file_once_bounds_its_memory_and_is_never_wrong(two, monkeypatch):
    storage, read = two[0].service.storage, []
    put(two[0], [row(f"indexed {n}") for n in range(100)], "i1")
    put(two[0], [row(f"other {n}") for n in range(100)] + [row(None)], "i2")
    entries = {e.key.partition("test")[2][:2]: Entry(e.key, e.size, e.etag) for e in storage.list("predictions/")
               if "testi1" in e.key or "testi2" in e.key}
    monkeypatch.setattr(request_index, "read_texts", lambda *of: read.append(of[1]) or reading.read_texts(*of))
    index = RequestIndex(storage)
    for _ in range(2):
        assert index.may_hold(entries["i1"], {"indexed 7", "no such"}) and not index.may_hold(entries["i2"], {"indexed 7"})
    assert len(read) == 2 and index.held == 1600
    small = RequestIndex(storage, most_bytes=1000)
    for _ in range(2):
        assert small.may_hold(entries["i1"], ["indexed 99"]) and small.may_hold(entries["i2"], ["other 0"])
    assert small.held == 800 and len(read) == 6
    monkeypatch.setattr(request_index, "hash", lambda _: 7, raising=False)  # all collide: every file is read, and its rows decide
    crowded = RequestIndex(storage)
    assert crowded.may_hold(entries["i1"], ["no such"])


def test_an_outbox_of_an_earlier_release_finds_by_an_index_too(tmp_path):
    box = Outbox(tmp_path / "outbox", "file:///root", 1 << 20)
    box._db.execute("DROP INDEX rows_request")
    box.close()
    again = Outbox(tmp_path / "outbox", "file:///root", 1 << 20)
    again.append_beside([row("x", prediction_id=ids.uuid7(NOW), predicted_at=1, role="shadow", confidence=value)
                         for value in (0.5, float("nan"))])
    (found,) = again.find_by_request(["x", "y"])  # the other one is no JSON, and is found once it is in the bucket
    plan = again._fetch_all(f"EXPLAIN QUERY PLAN {tables.ROWS_OF_REQUESTS}", '["x"]')
    again.close()
    assert found["confidence"] == 0.5 and any("rows_request" in line[3] for line in plan)
