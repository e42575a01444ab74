"""The page of the API: its examples are what the service takes and answers, and it loads nothing from elsewhere."""

import json
import re

import pytest

from inference.api import BY_REQUEST, ID
from inference.pages.docs import list_operations, renew_examples
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    publish_tiny(str(folder / "root"))
    with serving(str(folder / "root"), folder / "outbox") as made:
        yield made


def test_the_api_page_loads_nothing_from_elsewhere_and_has_examples(client):
    page = client.get("/docs")
    assert page.status_code == 200 and "default-src 'self'" in page.headers["Content-Security-Policy"]
    loaded = re.findall(r'<(?:link|script|img|iframe)[^>]*?(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) > 2 and all(re.match("/[^/]", address) for address in loaded)
    assert not re.search(r"<script(?! src)|\son\w+=\"|\sstyle=", page.text)
    assert all(client.get(address).status_code == 200 for address in loaded)
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        assert all(f"{method.upper()} {path}" in page.text for method in methods)
    assert "-F image=@picture.jpg" in page.text and "X-Attributes" in page.text
    assert "needs a key" not in page.text  # of this service, which runs without keys
    assert "&#34;label_ids&#34;" in page.text and "&#34;code&#34;: &#34;bad_image&#34;" in page.text


def list_examples(client):
    """What the page shows of each operation, as a reader would use it."""
    return list(list_operations(renew_examples(client.get("/openapi.json").json()), str(client.base_url).rstrip("/")))


SOMETIMES = {"decision"}  # of an answer, where thresholds are in force


def fits(found, example):
    """Says whether a document has the names and kinds of an example, of a list by its first entry; null fits anything."""
    if isinstance(found, dict) and isinstance(example, dict):
        return set(found) | SOMETIMES == set(example) | SOMETIMES and all(fits(found[name], example[name]) for name in found)
    if isinstance(found, list) and isinstance(example, list):
        return fits(found[0], example[0])
    return found is None or type(found) is type(example)


def test_the_examples_are_what_the_service_takes_and_answers(client):
    seen = set()
    client.post("/v1/predictions", content=picture(), headers=IMAGE | {"X-Request-Id": BY_REQUEST["request_id"]})
    for operation in list_examples(client):
        good = [a for a in operation["answers"] if a["status"] in ("200", "201")]
        bodies = [json.loads(text) for curl in operation["curls"] for text in re.findall(r"-d '(.*)'$", curl)]
        sent = [{"content": picture(), "headers": IMAGE}] if operation["takes_file"] else [{"json": b} for b in bodies] or [{}]
        for request in sent:
            found = client.request(operation["method"], operation["path"], **request)
            assert str(found.status_code) == good[0]["status"], (operation["path"], found.text)
            if not good[0]["example"]:
                continue
            if found.headers["content-type"].startswith("text/plain"):
                names = {re.split("[{ ]", line)[0] for line in found.text.splitlines()}
                assert {re.split("[{ ]", line)[0] for line in good[0]["example"].splitlines()} <= names
            else:
                assert fits(found.json(), json.loads(good[0]["example"])), found.text
            seen.add(operation["path"])
    assert {"/v1/predictions", "/v1/labels", "/v1/models", "/metrics", "/health/live"} <= seen


def test_what_a_refusal_looks_like_is_what_comes(client):
    examples = {o["path"]: json.loads(a["example"]) for o in list_examples(client) for a in o["answers"] if a["status"] == "4XX"}
    assert set(examples) == {"/v1/predictions", "/v1/labels", "/v1/models"}
    picture_refused = client.post("/v1/predictions", content=b"abc", headers=IMAGE).json()
    labels_refused = client.post("/v1/labels", json={"labels": []}).json()
    for refused, example in ((picture_refused, examples["/v1/predictions"]), (labels_refused, examples["/v1/labels"])):
        assert fits(refused, example) and refused["error"]["code"] == example["error"]["code"]
    assert labels_refused == examples["/v1/labels"]


def test_every_route_can_be_tried_and_the_page_is_in_the_menu(client):
    page = client.get("/docs").text
    paths = client.get("/openapi.json").json()["paths"]
    assert "/metrics" in paths
    assert {(m.upper(), path) for path, methods in paths.items() for m in methods} == set(
        re.findall(r'<form data-method="(\w+)" data-path="([^"]+)">', page))
    assert '<a href="/docs" aria-current="page">API</a>' in page and 'type="file"' in page and "<textarea" in page
    assert ID not in page  # an id of today: labels for old ones are refused
