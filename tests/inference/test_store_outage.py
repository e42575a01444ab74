"""A service with keys whose store hangs, cuts its answers, or answers with errors: every request is answered."""

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from contract.storage import open_root, open_storage
from inference import known_keys
from inference.auth import SESSION_COOKIE, sign_session
from inference.keys import KeyRing
from tests.fakes.fault_proxy import KINDS, FaultProxy
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, ServiceProcess, bearer, serving, table_rows, until

OUTAGES = ("hang", "cut", "broken", "error")


@pytest.fixture
def proxied(s3_root, moto_server, monkeypatch):
    """A root with a published model and keys, on S3 behind a proxy; `out(kind)` starts an outage, `out(None)` ends it."""
    publish_tiny(s3_root)
    with FaultProxy(moto_server, hang_s=1.5) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.root = s3_root
        ring = KeyRing(open_root(s3_root))
        proxy.tokens = {role: ring.add(role, [role]) for role in ("predict", "label", "read")}
        proxy.cookie = sign_session(ring.read_session_secret(), proxy.tokens["read"].partition(".")[0])
        proxy.out = lambda kind: setattr(proxy, "fault", lambda method, path: kind)
        yield proxy


@contextmanager
def keyed(proxied, folder, *sets: str, **options):
    """A service in this process whose keys are read as `trueup serve` reads them."""
    reader = open_storage(proxied.root, hurried=True)
    ring = KeyRing(open_root(proxied.root), cache_seconds=0.3, reader=reader, **options)
    with serving(proxied.root, folder, "serve.stop_seconds=1", *sets, keyring=ring) as client:
        until(lambda: all(ring.known.peek(t.partition(".")[0]) for t in proxied.tokens.values()))
        until(lambda: ring.peek_session_secret())
        client.ring = ring
        yield client


class Traffic:
    """Threads that predict and label with their keys; they remember what was acknowledged, and everything else."""

    def __init__(self, url: str, tokens: dict[str, str]) -> None:
        self.url, self.tokens, self.bad = url, tokens, []
        self.predictions, self.labels = set(), set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(n,)) for n in range(3)]
        [t.start() for t in self._threads]

    def _call(self, n: int) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self._stop.wait(0.01):
                n += 3
                answer = client.post("/v1/predictions", content=picture(n % 7), headers=IMAGE | bearer(self.tokens["predict"]))
                if answer.status_code != 200:
                    self.bad.append(answer.text)
                    continue
                self.predictions.add(mine := answer.json()["prediction_id"])
                said = client.post("/v1/labels", json={"prediction_id": mine, "label": "a"},
                                   headers=bearer(self.tokens["label"]))
                (self.labels.add(said.json()["label_ids"][0]) if said.status_code == 201 else self.bad.append(said.text))

    def end(self) -> None:
        self._stop.set()
        [t.join() for t in self._threads]


def figures(client) -> dict[str, float]:
    """The metrics without labels."""
    lines = client.get("/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.partition(" ") for line in lines) if "{" not in name and name != "#"}


def check_what_it_says(client) -> None:
    """Metrics and readiness during an outage: ready, degraded, and nothing of the bucket in any of it."""
    until(lambda: client.get("/health/ready").json()["degraded"], 30)
    ready = client.get("/health/ready")
    assert ready.status_code == 200 and ready.json()["ready"] and ready.json()["keys"]["usable"]
    found = figures(client)
    assert found["trueup_store_reachable"] == 0 and found["trueup_outbox_rows"] > 0
    assert "s3:" not in ready.text and "keys/" not in ready.text


@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_stops_no_request_and_loses_no_row(proxied, tmp_path, kind):
    with keyed(proxied, tmp_path / "o") as client:
        traffic = Traffic(str(client.base_url), proxied.tokens)
        until(lambda: len(traffic.labels) > 5)
        proxied.out(kind)
        before = len(traffic.labels)
        check_what_it_says(client)
        until(lambda: len(traffic.labels) > before + 30)
        page = client.get("/docs", headers={"Cookie": f"{SESSION_COOKIE}={proxied.cookie}", "Accept": "text/html"})
        assert page.status_code == 200 and "needs a key" in page.text
        proxied.out(None)
        traffic.end()
        assert traffic.bad == []
        until(lambda: figures(client)["trueup_outbox_rows"] == 0, 60)
        until(lambda: client.get("/health/ready").json()["degraded"] == [], 30)
    for table, key, acknowledged in (("predictions", "prediction_id", traffic.predictions),
                                     ("labels", "label_id", traffic.labels)):
        rows = [row[key] for row in table_rows(proxied.root, table)]
        assert len(rows) == len(set(rows)) and set(rows) == acknowledged


def test_keys_that_nobody_made_are_refused_soon_and_delay_nobody(proxied, tmp_path, monkeypatch):
    monkeypatch.setattr(known_keys, "WAIT_S", 20.0)  # on a busy machine the store is slow
    with keyed(proxied, tmp_path / "o") as client:
        def ask(n: int) -> httpx.Response:
            return client.get("/v1/models", headers=bearer(f"nobody-{n:06x}.x"))

        reads = []
        proxied.fault = lambda method, path: reads.append(path) if "/keys/" in path else None
        with ThreadPoolExecutor(40) as pool:
            assert {a.status_code for a in pool.map(ask, range(40))} == {401}
            assert not [path for path in reads if "nobody" in path]  # one listing answers for all of them
            monkeypatch.setattr(known_keys, "WAIT_S", 1.0)
            proxied.out("hang")
            asking = [pool.submit(ask, n) for n in range(100, 139)]
            sent = IMAGE | bearer(proxied.tokens["predict"])
            assert client.post("/v1/predictions", content=picture(), headers=sent).status_code == 200
            strangers = [a.result() for a in asking]
        assert {(a.status_code, a.json()["error"]["code"]) for a in strangers} == {(503, "keys_unavailable")}
        assert all(int(a.headers["Retry-After"]) > 0 and "s3:" not in a.text and "keys/" not in a.text for a in strangers)


def test_a_new_key_works_at_once_and_a_revoked_one_no_longer(proxied, tmp_path, monkeypatch):
    monkeypatch.setattr(known_keys, "WAIT_S", 20.0)
    with keyed(proxied, tmp_path / "o") as client:
        elsewhere = KeyRing(open_root(proxied.root))
        token = elsewhere.add("new", ["read"])
        assert client.get("/v1/models", headers=bearer(token)).status_code == 200
        elsewhere.revoke(token.partition(".")[0])
        until(lambda: client.get("/v1/models", headers=bearer(token)).status_code == 401)


def test_known_keys_work_for_their_time_and_no_longer(proxied, tmp_path):
    with keyed(proxied, tmp_path / "o", max_age_s=2.0) as client:
        reads = bearer(proxied.tokens["read"])
        proxied.out("broken")
        assert client.get("/v1/models", headers=reads).status_code == 200
        until(lambda: client.get("/v1/models", headers=reads).status_code == 503)
        # A key counts from when its listing began, readiness from when it ended: on a busy machine these are apart.
        until(lambda: client.get("/health/ready").status_code == 503)
        proxied.out(None)
        until(lambda: client.get("/v1/models", headers=reads).status_code == 200)


def test_pages_of_a_store_that_hangs_are_refused_and_hold_nothing_else(proxied, tmp_path, monkeypatch):
    monkeypatch.setattr("inference.pages.site.STORE_S", 1.0)
    with keyed(proxied, tmp_path / "o") as client:
        proxied.out("hang")
        reads = bearer(proxied.tokens["read"])
        with ThreadPoolExecutor(12) as pool:
            pages = [pool.submit(client.get, "/reports", headers=reads) for _ in range(12)]
            for n in range(5):
                sent = IMAGE | bearer(proxied.tokens["predict"])
                assert client.post("/v1/predictions", content=picture(n), headers=sent).status_code == 200
            assert "trueup_outbox_rows" in client.get("/metrics").text
            found = {(p.result().status_code, p.result().json()["error"]["code"]) for p in pages}
        assert found == {(503, "store_unavailable")}


def test_a_stop_ends_in_its_time_and_says_what_it_left(proxied, tmp_path):
    proxied.hang_s = 300
    sets = ("--set", "serve.stop_seconds=2", "--set", "serve.poll_seconds=0.2", "--set", "serve.ship_seconds=900")
    with (ServiceProcess(proxied.root, tmp_path, "--outbox", str(tmp_path / "o"), *sets) as service,
          httpx.Client(base_url=service.url(), timeout=30) as client):
        sent = IMAGE | bearer(proxied.tokens["predict"])
        assert client.post("/v1/predictions", content=picture(1), headers=sent).status_code == 200
        proxied.out("hang")
        time.sleep(1)  # the follower of the live version hangs, and the refresh of the keys
        for n in range(2, 5):
            assert client.post("/v1/predictions", content=picture(n), headers=sent).status_code == 200
        assert service.end(signal.SIGTERM, 30) == 0
    stopped = [json.loads(line) for line in service.log.read_text().splitlines() if '"event": "stopped"' in line]
    assert [(s["rows_left"], s["shipped"], s["gave_up"]) for s in stopped] == [(4, False, True)]
    proxied.out(None)
    with serving(proxied.root, tmp_path / "o"):
        until(lambda: len(table_rows(proxied.root, "predictions")) == 4)


@pytest.mark.slow("kills")
@pytest.mark.timeout(1800)
def test_minutes_of_outages_of_every_kind_with_a_kill_in_each(proxied, tmp_path):
    proxied.hang_s, acknowledged = 300, {"predictions": set(), "labels": set()}
    for kind in KINDS:
        with ServiceProcess(proxied.root, tmp_path, "--outbox", str(tmp_path / "o")) as service:
            traffic = Traffic(service.url(), proxied.tokens)
            until(lambda traffic=traffic: len(traffic.labels) > 20, 120)
            proxied.out(kind)
            time.sleep(30)
            traffic.end()
            assert traffic.bad == [], kind
            acknowledged["predictions"] |= traffic.predictions
            acknowledged["labels"] |= traffic.labels
            service.end(signal.SIGKILL)
        proxied.out(None)
    with serving(proxied.root, tmp_path / "o") as client:
        until(lambda: figures(client)["trueup_outbox_rows"] == 0, 600)
    for table, key in (("predictions", "prediction_id"), ("labels", "label_id")):
        rows = [row[key] for row in table_rows(proxied.root, table)]
        assert len(rows) == len(set(rows)) and set(rows) == acknowledged[table]
