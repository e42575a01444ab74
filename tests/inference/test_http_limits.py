"""What comes too slowly, too large or too often is refused, in the form of all refusals, and others are answered."""

import json
import socket
import time
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from contract.storage import open_root
from inference import body_limits, protocol
from inference.keys import KeyRing
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, until


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("limits") / "root")
    publish_tiny(root)
    return root


@pytest.fixture(scope="module")
def client(published, tmp_path_factory):
    """One service without keys for this file."""
    with serving(published, tmp_path_factory.mktemp("outbox")) as made:
        yield made


def connect(client) -> socket.socket:
    where = urlsplit(str(client.base_url))
    return socket.create_connection((where.hostname, where.port), timeout=20)


def receive(line: socket.socket) -> bytes:
    """All that comes until the server closes."""
    parts = []
    try:
        while part := line.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass  # the server closed while we were still sending
    return b"".join(parts)


def send(client, *parts: bytes) -> tuple[int, dict]:
    """Status and document of the answer to bytes on a connection of their own, which then is closed."""
    with closing(connect(client)) as line:
        try:
            for part in parts:
                line.sendall(part)
        except (ConnectionResetError, BrokenPipeError):
            pass  # refused before it was all sent
        head, _, body = receive(line).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(("parts", "status"), [
    ([b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n"], 431),
    ([b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: %s\r\n" % (b"a" * 900) * 80 + b"\r\n"], 431),
    ([b"GET /health/live HTTP/1.1\r\nX-A: ", *[b"a" * 50_000] * 60], 431),
    ([b"GET /health/live?" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"], 414),
    ([b"GET /", *[b"a" * 50_000] * 60], 431),
    ([b"\x00\x01\x02 no HTTP\r\n\r\n"], 400)])
def test_a_head_that_is_too_large_is_refused(client, parts, status):
    found, document = send(client, *parts)
    assert found == status and document["error"]["code"] == ("bad_request" if status == 400 else "too_large")
    assert client.get("/health/live").status_code == 200


def test_a_head_and_a_url_of_the_allowed_size_are_taken(client):
    assert client.get("/health/live?" + "a" * 8000, headers={"X-A": "a" * 50_000}).status_code == 200


def test_a_head_that_does_not_end_is_refused(client, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_S", 0.3)
    status, document = send(client, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A:")
    assert (status, document["error"]["code"]) == (408, "too_slow") and "head of the request" in document["error"]["message"]


def test_requests_behind_each_other_are_answered_up_to_the_one_that_is_refused(client):
    with closing(connect(client)) as line:
        good = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        line.sendall(good + good + b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answers = receive(line)
    assert answers.count(b'"live":true') == 2 and answers.count(b"HTTP/1.1 4") <= 1


ROUTES = {"/v1/predictions": "image/jpeg", "/v1/labels": "application/json", "/audit": "application/json",
          "/review": "application/x-www-form-urlencoded", "/login": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("path", ROUTES)
def test_a_body_that_trickles_is_refused_on_every_route(client, monkeypatch, path):
    monkeypatch.setattr(body_limits, "GRACE_S", 0.3)
    monkeypatch.setattr(protocol, "LINGER_S", 0.3)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {ROUTES[path]}\r\nContent-Length: 5000\r\n\r\n".encode()
    began = time.monotonic()
    status, document = send(client, head, b"{")
    assert (status, document["error"]["code"]) == (408, "too_slow") and time.monotonic() - began < 10


def test_a_body_of_a_refused_request_is_not_read_for_ever(client, monkeypatch):
    monkeypatch.setattr(protocol, "LINGER_S", 0.3)
    status, document = send(client, b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{")
    assert (status, document["error"]["code"]) == (404, "not_found")  # and the server closed the connection


def test_a_body_behind_another_request_has_its_own_time(client, monkeypatch):
    monkeypatch.setattr(protocol, "LINGER_S", 0.2)
    with closing(connect(client)) as line:
        head = b"POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n"
        line.sendall(head + b"\r\n[1, 2, 3" + head + b"Connection: close\r\n\r\n[1,")
        time.sleep(1)
        line.sendall(b" 2, 3")
        assert receive(line).count(b'"bad_json"') == 2


def begin(client, stack, path: str, size: int, sent: int, **headers: str) -> socket.socket:
    """A request whose body has not all been sent."""
    line = stack.enter_context(closing(connect(client)))
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n{lines}\r\n"
    line.sendall(head.encode() + b" " * sent)
    return line


def test_bodies_of_labels_hold_no_more_than_the_service_has_for_all(published, tmp_path):
    # Without a least rate: on a busy machine those that wait would be refused before the service is full.
    sets = ("serve.held_bytes=1048576", "serve.deadline_seconds=120", "serve.body_rate=0")
    with serving(published, tmp_path / "o", *sets) as client, ExitStack() as stack:
        def ask():
            return client.post("/v1/labels", content=b" " * 300_000)

        def fill() -> bool:
            # One that comes while `ask` holds its bytes is itself refused, so each look begins another.
            begin(client, stack, "/v1/labels", 900_000, 300_000)
            return ask().status_code == 503

        until(fill, 60)
        refused = ask()
        assert refused.json()["error"]["code"] == "bodies_full" and int(refused.headers["Retry-After"]) > 0
        stack.close()
        until(lambda: ask().status_code == 422)  # read, and no JSON


def test_who_hangs_up_in_the_middle_of_a_body_is_no_error_of_the_service(client, caplog):
    with closing(connect(client)) as line:
        line.sendall(b"POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n[1,")
    until(lambda: 'status="499"' in client.get("/metrics").text)
    assert [r for r in caplog.records if r.levelname == "ERROR"] == []


def test_one_key_leaves_places_and_bytes_to_the_others(published, tmp_path):
    ring = KeyRing(open_root(published))
    greedy, other = ({"Authorization": f"Bearer {ring.add(n, ['predict', 'label'])}"} for n in ("greedy", "other"))
    sets = ("serve.queue=8", "serve.key_share=0.5", "serve.held_bytes=1048576")
    with serving(published, tmp_path / "o", *sets, keyring=ring) as client, ExitStack() as stack:
        for _ in range(4):
            begin(client, stack, "/v1/predictions", 50_000, 100, Content_Type="image/jpeg", **greedy)

        def ask(who):
            return client.post("/v1/predictions", content=picture(), headers=IMAGE | who)

        until(lambda: ask(greedy).status_code == 503)
        assert ask(greedy).json()["error"]["code"] == "key_has_its_share"
        assert ask(other).status_code == 200
        for _ in range(3):
            begin(client, stack, "/v1/labels", 900_000, 250_000, **greedy)

        def label(who):
            return client.post("/v1/labels", content=b" " * 300_000, headers=who)

        until(lambda: label(greedy).status_code == 503)
        assert label(other).status_code == 422  # read, and no JSON
        stack.close()
        until(lambda: ask(greedy).status_code == 200)
