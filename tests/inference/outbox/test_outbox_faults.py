"""What was acknowledged is in the bucket exactly once: stores that fail, a full disk, a kill under both, midnight."""

import random
import signal
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from contract import ids
from contract.storage import open_root
from inference.outbox.outbox import Outbox
from inference.outbox.shipper import Shipper
from tests.fakes.fault_proxy import KINDS, FaultProxy
from tests.inference.made_pictures import picture
from tests.inference.outbox.disks import mount_disk
from tests.inference.outbox.test_shipper import append
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, ServiceProcess, serving, table_rows, until
from tests.inference.test_serving_process import Callers


@pytest.fixture
def proxied(s3_root, moto_server, monkeypatch):
    """A root on S3 behind a proxy, with which the whole test speaks."""
    with FaultProxy(moto_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.root = s3_root
        yield proxy


def check_once(root: str, table: str, key: str, acknowledged) -> None:
    """Every acknowledged row is there, and none twice."""
    found = [row[key] for row in table_rows(root, table)]
    assert len(found) == len(set(found)) and set(acknowledged) <= set(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_fails_while_rows_are_shipped_has_each_once(proxied, tmp_path, kind):
    storage = open_root(proxied.root, create=True)
    box = Outbox(tmp_path / "outbox", storage.root, 10 << 20)
    made, left = append(box, 4), [2]

    def fault(method, path):
        left[0] -= method == "PUT"
        return kind if method == "PUT" and left[0] >= 0 else None

    proxied.fault = fault
    ship = Shipper(box, storage, 900, 1 << 20, lambda *_, **__: None)
    until(lambda: ship.ship(everything=True))
    assert proxied.seen[kind] == 2 and box.measure_depth().rows == 0
    assert sorted(r["prediction_id"] for r in table_rows(proxied.root, "predictions")) == sorted(made)
    assert len(list(storage.list("images/"))) == 3
    box.close()


def test_an_answer_that_is_cut_is_asked_for_again(proxied):
    storage, left = open_root(proxied.root, create=True), [3]
    storage.put("a/b", bytes(100_000))

    def fault(method, path):
        left[0] -= 1
        return "cut" if left[0] >= 0 else None

    proxied.fault = fault
    assert storage.read("a/b") == bytes(100_000) and proxied.seen["cut"] == 3


def test_answers_go_on_while_the_store_is_out_of_reach_and_all_arrive_afterwards(proxied, tmp_path):
    publish_tiny(proxied.root)
    with serving(proxied.root, tmp_path / "outbox") as client:
        proxied.fault = lambda method, path: "refuse"
        answers = [client.post("/v1/predictions", content=picture(n), headers=IMAGE) for n in range(20)]
        assert {a.status_code for a in answers} == {200}
        proxied.fault = lambda method, path: None
    check_once(proxied.root, "predictions", "prediction_id", [a.json()["prediction_id"] for a in answers])


@pytest.fixture
def small_disk(tmp_path):
    with mount_disk(tmp_path / "disk", megabytes=6) as folder:
        yield folder


def ask(client, n: int):
    """One prediction of a picture of its own, about 40 kB."""
    noise = random.Random(n).randbytes(40_000)  # behind the pixels it would be stripped; in a colour profile it is kept
    return client.post("/v1/predictions", content=picture(n, icc_profile=noise), headers=IMAGE)


def test_a_full_disk_refuses_and_forgets_nothing(tmp_root, small_disk):
    publish_tiny(tmp_root)
    with serving(tmp_root, small_disk / "outbox", "serve.ship_seconds=0.5") as client:
        ship = client.service.shipper
        reachable, storage = open_root(tmp_root), ship.storage
        ship.storage = None  # the bucket is out of reach
        good = []
        while (answer := ask(client, len(good))).status_code == 200:
            good.append(answer.json()["prediction_id"])
            assert len(good) < 400
        assert answer.json()["error"]["code"] == "outbox_full" and answer.headers["Retry-After"]
        assert client.get("/health/ready").status_code == 503
        ballast = small_disk / "another program's"
        with pytest.raises(OSError, match="No space left"):
            ballast.write_bytes(bytes(8 << 20))
        assert ask(client, 1000).status_code == 503
        assert client.post("/v1/labels", json={"prediction_id": good[0], "label": "x"}).status_code == 503
        ballast.unlink()
        ship.storage = storage
        until(lambda: client.get("/health/ready").status_code == 200, 180)
        good.append(ask(client, 2000).json()["prediction_id"])
    check_once(tmp_root, "predictions", "prediction_id", good)
    assert len(good) > 30 and len(list(reachable.list("images/"))) >= len(good)


def test_rows_of_two_days_lie_in_their_days(tmp_root, tmp_path, monkeypatch):
    publish_tiny(tmp_root)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def set_clock(before_midnight_s: float):
        ahead = midnight - timedelta(seconds=before_midnight_s) - datetime.now(UTC)
        (tmp_path / "clock").write_text(str(ahead.total_seconds()))

    def ask():
        mine = client.post("/v1/predictions", content=picture(1), headers=IMAGE).json()["prediction_id"]
        made[mine] = ids.day_of(mine)

    made, labels = {}, {}
    set_clock(before_midnight_s=600)  # a slow machine may need longer for its start than was left of a shorter day
    monkeypatch.setenv("TRUEUP_CLOCK_FILE", str(tmp_path / "clock"))
    with serving(tmp_root, tmp_path / "outbox") as client:
        ask()
        set_clock(before_midnight_s=1.5)
        end = time.monotonic() + 30
        while time.monotonic() < end and not (len(set(made.values())) == 2 and len(made) > 4):
            ask()
        for mine in [min(made), max(made)]:  # after midnight, of a picture before it
            body = {"prediction_id": mine, "label": "x"}
            labels[client.post("/v1/labels", json=body).json()["label_ids"][0]] = made[mine]
    assert len(set(made.values())) == 2
    check_once(tmp_root, "predictions", "prediction_id", made)
    check_once(tmp_root, "labels", "label_id", labels)
    for table, of in (("predictions", made), ("labels", labels)):
        for day in set(of.values()):
            rows = table_rows(tmp_root, f"{table}/dt={day}")
            assert {ids.day_of(r["prediction_id"]) for r in rows} == {day}
            assert len(rows) == sum(d == day for d in of.values())


@pytest.mark.slow("kills")
@pytest.mark.timeout(600)
def test_kills_and_a_store_that_fails_at_random(proxied, tmp_path):
    publish_tiny(proxied.root)
    chance = random.Random(1)
    proxied.fault = lambda method, path: chance.choice(KINDS) if chance.random() < 0.1 else None
    predictions, labels = set(), set()
    for _ in range(5):
        with ServiceProcess(proxied.root, tmp_path, "--no-auth", "--outbox", str(tmp_path / "outbox")) as service:
            callers = Callers(service.url())
            until(lambda callers=callers: len(callers.labels) > 100, 120)
            assert service.end(signal.SIGKILL) == -signal.SIGKILL
        [t.join() for t in callers.threads]
        predictions |= set(callers.predictions)
        labels |= set(callers.labels)
    proxied.fault = lambda method, path: None
    with ServiceProcess(proxied.root, tmp_path, "--no-auth", "--outbox", str(tmp_path / "outbox")) as last:
        assert httpx.get(f"{last.url()}/health/live").status_code == 200
        assert last.end(signal.SIGTERM) == 0
    assert len(predictions) > 500 and sum(proxied.seen.values()) > 100
    check_once(proxied.root, "predictions", "prediction_id", predictions)
    check_once(proxied.root, "labels", "label_id", labels)
