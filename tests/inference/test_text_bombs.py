"""Texts that would keep the processor or fill an answer, at every place where the service takes one."""

import time

import pytest
from starlette.requests import Request

from contract import ids
from contract.errors import BadLabel
from inference.auth import ANONYMOUS, Caller
from inference.pages.login import keep_local
from inference.pages.visitor import read_name
from tests.inference.published import publish_tiny
from tests.inference.serving import serving

MARKS = "\u0301\u0316" * 64_000  # 256 kB; 4.6 s in NFC for half of them
DEEP = "[" * 900 + "]" * 900


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    publish_tiny(str(folder / "root"))
    with serving(str(folder / "root"), folder / "outbox") as made:
        yield made


def quickly(call):
    """The result of a call that takes less than a second of this process, in which the service runs."""
    began = time.process_time()
    result = call()
    assert time.process_time() - began < 1
    return result


@pytest.mark.parametrize("where", ["label", "labeler", "origin", "saw_prediction", "prediction_id", "withdraws"])
@pytest.mark.parametrize("value", [f'"{MARKS}"', f'"{"x" * 1_000_000}"', DEEP, "1" * 4000],
                         ids=["marks", "long", "deep", "digits"])
def test_a_judgement_is_refused_at_once_and_not_repeated_at_length(client, where, value):
    body = f'{{"prediction_id": "{ids.uuid7()}", "label": "x", "{where}": {value}}}'
    answer = quickly(lambda: client.post("/v1/labels", content=body.encode()))
    assert answer.status_code == 422 and len(answer.text) < 1000, answer.text[:200]


@pytest.mark.parametrize("header", ["X-Attributes", "X-Request-Id", "X-Prediction-Id"])
def test_headers_are_refused_at_once(client, header):
    text = MARKS[:10_000].encode()
    value = b'{"a": "' + text + b'"}' if header == "X-Attributes" else text
    answer = quickly(lambda: client.post("/v1/predictions", content=b"x", headers={header: value}))
    assert answer.status_code == 422 and len(answer.text) < 1000, answer.text[:200]


def test_a_name_is_refused_at_once_wherever_it_stands(client):
    def request(query=b"", cookie=b""):
        return Request({"type": "http", "method": "GET", "path": "/login", "headers": [(b"cookie", cookie)],
                        "query_string": query})

    marks = "".join(f"%{byte:02X}" for byte in MARKS.encode()).encode()
    anonymous = Caller(ANONYMOUS, ANONYMOUS, frozenset())
    for given in (request(query=b"labeler=" + marks), request(cookie=b"trueup_name=" + marks)):
        with pytest.raises(BadLabel, match="1 to 200 characters, got 128000"):
            quickly(lambda given=given: read_name(given, anonymous))
    answer = quickly(lambda: client.post("/login", data={"name": MARKS}))
    assert answer.status_code == 422 and "got 128000" in answer.text
    assert client.get("/login?labeler=an%E2%80%8Bna").status_code == 422


def test_the_address_after_a_login_is_judged_at_once():
    assert quickly(lambda: keep_local(f"//{MARKS}/")) == quickly(lambda: keep_local(f"http://{MARKS}/")) == "/"
    assert keep_local("/audit?model=m") == "/audit?model=m"
