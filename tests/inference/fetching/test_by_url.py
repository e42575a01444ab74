"""Prediction by URL through the service: real HTTP on both sides, real rows, real S3."""

import json
import logging

import boto3
import pytest

from contract import ids
from inference.fetching.fetcher import Fetcher
from inference.upload import FORM
from tests.inference.fetching.web import DEFAULT_TLS, HOST, Names, answer, web
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until

SECRET = "hunter2"
PAGES = {"/p.jpg": answer(picture(3)), "/big": answer(b"x" * 60_000), "/text": answer(b"SSH-2.0-OpenSSH_9.6"),
         "/empty": answer(b""), "/404": answer(b"", status="404 Not Found"), "/cut": answer(picture(3)[:-300])}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("by-url")
    root = str(folder / "root")
    publish_tiny(root)
    with web(PAGES) as server:
        sets = (f"serve.urls=['{HOST}:{server.port}', 's3://allowed/in']", "serve.url_http=true",
                "serve.url_networks=[127.0.0.1]", "serve.max_bytes=50000", "serve.url_seconds=5")
        with serving(root, folder / "outbox", *sets) as client:
            client.names = Names(pictures_test=["127.0.0.1"])
            service = client.service
            service.fetcher = Fetcher(service.settings.serve, service.storage.root, client.names, DEFAULT_TLS)
            client.web, client.root = server, root
            yield client


def ask(client, path, **options):
    return client.post("/v1/predictions", json={"url": f"http://{HOST}:{client.web.port}{path}"}, **options)


def test_a_url_is_answered_as_the_bytes_are_and_its_row_says_where_they_are_from(made, caplog):
    caplog.set_level(logging.INFO)
    direct = made.post("/v1/predictions", content=picture(3), headers=IMAGE).json()
    mine = ids.uuid7()
    answers = [ask(made, f"/p.jpg?X-Amz-Signature={SECRET}#{SECRET}", headers={"X-Request-Id": "r-7", "X-Prediction-Id": mine})]
    url = f"http://{HOST}:{made.web.port}/p.jpg?sig={SECRET}"
    answers += [made.post("/v1/predictions", data={"url": url}), made.post("/v1/predictions", files={"url": (None, url)})]
    assert [a.status_code for a in answers] == [200] * 3, answers[0].text
    assert all(a.json()["predictions"] == direct["predictions"] for a in answers)
    wanted = {a.json()["prediction_id"] for a in answers}
    until(lambda: wanted <= {r["prediction_id"] for r in table_rows(made.root, "predictions")})
    rows = {r["prediction_id"]: r for r in table_rows(made.root, "predictions")}
    assert {rows[id_]["source_uri"] for id_ in wanted} == {f"http://{HOST}:{made.web.port}/p.jpg"}
    assert rows[mine]["request_id"] == "r-7" and rows[mine]["image_sha256"] == rows[direct["prediction_id"]]["image_sha256"]
    assert rows[direct["prediction_id"]]["source_uri"] is None
    assert ask(made, "/p.jpg", headers={"X-Prediction-Id": mine}).json() == answers[0].json()
    told = caplog.text + json.dumps([vars(r) for r in caplog.records], default=str)
    assert SECRET not in told and SECRET not in json.dumps(list(rows.values()), default=str)


# Each of another cause, and the caller cannot tell them apart.
REFUSED = {
    "not listed": "http://other.test/p.jpg", "private": "http://[::1]:1/", "not found": "{here}/404", "no picture": "{here}/text",
    "too large": "{here}/big", "empty": "{here}/empty", "cut": "{here}/cut", "userinfo": f"http://me:{SECRET}@{HOST}/p.jpg",
    "no url": "pictures", "no port": f"http://{HOST}/p.jpg", "scheme": "file:///etc/passwd", "closed": f"http://{HOST}:1/",
    "decimal": "http://2130706433/", "bucket": "s3://other/in/a.jpg", "no such bucket": "s3://allowed/in/a.jpg",
    "secret": f"https://other.test/p.jpg?sig={SECRET}"}


@pytest.mark.parametrize("what", REFUSED)
def test_one_answer_to_all_that_is_wrong_and_the_reason_in_the_log(made, what, caplog, monkeypatch, moto_server):
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    refused = made.post("/v1/predictions", json={"url": REFUSED[what].format(here=f"http://{HOST}:{made.web.port}")})
    assert refused.status_code == 422 and refused.json() == {"error": {"code": "bad_url", "message": (
        "expected the URL of a picture at a place that this service may read. No picture could be taken from this one; the "
        "service's log says why.")}}
    (event,) = [r for r in caplog.records if r.getMessage() == "url not taken"]
    assert event.fields["reason"] and SECRET not in json.dumps(event.fields)


@pytest.mark.parametrize(("request_", "status", "code"), [
    ({"json": {"URL": "x"}}, 422, "bad_request"), ({"json": {"url": 7}}, 422, "bad_request"),
    ({"json": {"url": "http://x/", "headers": {"Host": "y"}}}, 422, "bad_request"),
    ({"json": ["http://x/"]}, 422, "bad_request"), ({"json": {"url": ""}}, 422, "bad_request"),
    ({"json": {"url": "x" * 70_000}}, 413, "too_large"),
    ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "bad_json"),
    ({"content": b"url=a&url=b", "headers": {"Content-Type": FORM}}, 422, "bad_form"),
    ({"content": b"url=%ff", "headers": {"Content-Type": FORM}}, 422, "bad_form"),
    ({"files": {"image": picture(1), "url": (None, "http://x/")}}, 200, None)])
def test_what_is_wrong_with_the_request_itself_is_said(made, request_, status, code):
    answered = made.post("/v1/predictions", **request_)
    assert answered.status_code == status and answered.json().get("error", {}).get("code") == code


def test_memory_is_held_for_what_is_fetched(made):
    """A picture that does not fit beside those under way is refused with 503 before it is read, and then let go of."""
    service = made.service
    with service.places.take("another", service.places.most_bytes - 100):
        refused = ask(made, "/p.jpg")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_full")
        assert service.places._bytes == service.places.most_bytes - 100
    assert ask(made, "/p.jpg").status_code == 200 and service.places._bytes == 0 and service.places.taken == 0


def test_the_schema_and_the_page_have_urls_where_they_are_taken(made, tmp_root, tmp_path):
    def kinds(client):
        return set(client.get("/openapi.json").json()["paths"]["/v1/predictions"]["post"]["requestBody"]["content"])

    assert "application/json" in kinds(made) and 'id="by-url"' in made.get("/", headers={"Accept": "text/html"}).text
    assert 'trueup_fetches_total{outcome="taken"}' in made.get("/metrics").text
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "o") as off:
        assert "application/json" not in kinds(off) and 'id="by-url"' not in off.get("/", headers={"Accept": "text/html"}).text
        assert off.post("/v1/predictions", json={"url": "https://a.example/p.jpg"}).status_code == 415
        assert off.post("/v1/predictions", files={"url": (None, "https://a.example/")}).json()["error"]["code"] == "bad_multipart"


def test_objects_of_listed_buckets_and_never_of_the_root(s3_root, tmp_path):
    bucket = s3_root.removeprefix("s3://").partition("/")[0]
    root = f"s3://{bucket}/root"
    publish_tiny(root)
    s3 = boto3.client("s3")
    for key in ("in/a.jpg", "out/a.jpg", "in/big", "root/images/a.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=bytes(60_000) if key == "in/big" else picture(5))
    sets = (f"serve.urls=['s3://{bucket}/in', 's3://{bucket}/root']", "serve.max_bytes=50000")
    with serving(root, tmp_path / "o", *sets) as client:
        found = client.post("/v1/predictions", json={"url": f"s3://{bucket}/in/a.jpg"})
        assert found.status_code == 200 and len(found.json()["predictions"]) == 3
        for key in ("out/a.jpg", "in/big", "in/absent.jpg", "root/images/a.jpg", "root/trueup.json"):
            assert client.post("/v1/predictions", json={"url": f"s3://{bucket}/{key}"}).json()["error"]["code"] == "bad_url", key
        until(lambda: table_rows(root, "predictions"))
    (row,) = table_rows(root, "predictions")
    assert row["source_uri"] == f"s3://{bucket}/in/a.jpg"
