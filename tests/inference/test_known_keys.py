"""Key documents in memory: how they are kept current, and that nobody waits for the store longer than is promised."""

import asyncio
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest

from contract import layout
from contract.errors import RootError
from contract.storage import open_root
from inference import daemon_pool, known_keys
from inference.auth import SESSION_COOKIE, Refused
from inference.daemon_pool import DaemonPool, run_within
from inference.keys import KeyRing
from inference.known_keys import KnownKeys
from tests.inference.serving import until
from tests.inference.small_service import SmallService, application, serving


class Shelf:
    """Documents with etags, as a store has them; counts what is asked, and fails or hangs when told to."""

    def __init__(self, **documents: str) -> None:
        self.documents, self.asked = documents, Counter()
        self.fails, self.unreadable, self.goes_on = False, set(), threading.Event()
        self.goes_on.set()

    def list_etags(self):
        self.asked["list"] += 1
        self._answer()
        return {id_: f"etag of {text}" for id_, text in self.documents.items()}

    def read(self, id_):
        self.asked[id_] += 1
        self._answer()
        if id_ in self.unreadable:
            raise RootError("s3://secret-bucket/keys: denied")
        return self.documents.get(id_)

    def _answer(self):
        self.goes_on.wait(30)
        if self.fails:
            raise RootError("s3://secret-bucket/keys: gone")


@pytest.fixture
def shelf():
    made = Shelf(ada="one", bob="two")
    yield made
    made.goes_on.set()


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """On a busy machine a thread may get no time for a second; what must not wait sets its own time."""
    monkeypatch.setattr(known_keys, "WAIT_S", 20.0)


def know(shelf, fresh_s=0.05, max_age_s=60.0) -> KnownKeys[str]:
    return KnownKeys(shelf.list_etags, shelf.read, fresh_s, max_age_s)


def test_one_listing_answers_for_all_ids_that_nobody_made(shelf):
    known = know(shelf, fresh_s=60)

    async def ask():
        return await asyncio.gather(*(known.find(f"nobody{n}") for n in range(500)))

    assert set(asyncio.run(ask())) == {None}
    assert shelf.asked["list"] <= 3 and not [id_ for id_ in shelf.asked if id_.startswith("nobody")]


def test_what_changed_is_read_again_what_did_not_is_not_and_what_went_is_forgotten(shelf):
    known = know(shelf)
    assert asyncio.run(known.find("ada")) == "one"
    until(lambda: known.peek("bob") == "two")
    shelf.documents["ada"] = "changed"
    until(lambda: known.refresh_soon() or known.peek("ada") == "changed")
    del shelf.documents["bob"]
    until(lambda: known.refresh_soon() or known.peek("bob") is None)
    assert shelf.asked["bob"] == 1 and shelf.asked["ada"] <= 3


def test_a_store_that_hangs_is_waited_for_by_first_looks_only_and_by_them_for_a_moment(shelf, monkeypatch):
    monkeypatch.setattr(known_keys, "WAIT_S", 0.3)
    known = know(shelf)
    asyncio.run(known.find("ada"))
    until(lambda: known.peek("bob"))
    shelf.goes_on.clear()

    answered = []

    async def ask(id_):
        try:
            answered.append((id_, await known.find(id_)))
        except Refused as refused:
            assert "secret-bucket" not in refused.message and refused.headers["Retry-After"]
            answered.append((id_, refused.status))

    async def ask_all():
        await asyncio.gather(*(ask(f"new{n}") for n in range(50)), ask("ada"), ask("bob"))

    asyncio.run(ask_all())
    assert answered[:2] == [("ada", "one"), ("bob", "two")] and {a for _, a in answered[2:]} == {503}


def test_a_store_that_fails_leaves_what_was_known_until_its_time_is_over(shelf):
    known = know(shelf, max_age_s=0.6)
    asyncio.run(known.find("ada"))
    shelf.fails = True
    assert asyncio.run(known.find("ada")) == "one"
    until(lambda: known.peek("ada") is None)
    with pytest.raises(Refused, match="whether this key works cannot be said now"):
        asyncio.run(known.find("ada"))
    shelf.fails = False
    until(lambda: known.refresh_soon() or known.peek("ada") == "one")
    assert known.failures == 0


def test_a_key_that_changed_and_cannot_be_read_is_not_believed_for_long(shelf, monkeypatch):
    monkeypatch.setattr(known_keys, "OVERDUE_S", 0.3)
    known = know(shelf)
    assert asyncio.run(known.find("ada")) == "one"
    until(lambda: known.peek("bob"))
    shelf.unreadable, shelf.documents["ada"] = {"ada"}, "revoked"
    until(lambda: known.refresh_soon() or known.peek("ada") is None)
    assert known.peek("bob") == "two" and known.explain() == "1 changed key cannot be read"
    monkeypatch.setattr(known_keys, "WAIT_S", 1.0)
    with pytest.raises(Refused):
        asyncio.run(known.find("ada"))
    shelf.unreadable = set()
    until(lambda: known.refresh_soon() or known.peek("ada") == "revoked")


def test_who_gives_up_does_not_cancel_for_others(shelf):
    known = know(shelf)
    shelf.goes_on.clear()

    async def ask():
        hasty, patient = asyncio.create_task(known.find("ada")), asyncio.create_task(known.find("ada"))
        await asyncio.sleep(0.1)
        hasty.cancel()
        shelf.goes_on.set()
        return await patient

    assert asyncio.run(ask()) == "one"


def test_a_damaged_key_is_refused_and_no_other(tmp_root):
    ring = KeyRing(open_root(tmp_root, create=True), cache_seconds=0.05)
    good, bad = ring.add("good", ["read"]), ring.add("bad", ["read"])
    ring.storage.put(layout.api_key(bad.partition(".")[0]), b'{"id": "ba')
    assert asyncio.run(ring.identify(good)).name == "good"
    assert asyncio.run(ring.identify(bad)) is None


def test_a_root_that_is_not_mounted_revokes_nobody(tmp_root):
    ring = KeyRing(open_root(tmp_root, create=True), cache_seconds=0.05)
    token = ring.add("camera", ["predict"])
    assert asyncio.run(ring.identify(token))
    Path(tmp_root).rename(tmp_root + " elsewhere")
    until(lambda: ring.known.refresh_soon() or ring.known.failures > 1)
    assert asyncio.run(ring.identify(token))
    Path(tmp_root + " elsewhere").rename(tmp_root)
    until(lambda: ring.known.refresh_soon() or ring.known.failures == 0)


def test_nothing_of_a_page_waits_for_a_store_that_hangs(tmp_root, monkeypatch):
    """Nobody has read the secret of sessions yet; /docs of a browser with a session used to read it on the event loop."""
    monkeypatch.setattr(known_keys, "WAIT_S", 0.5)
    service = SmallService(tmp_root)
    ring, hangs = KeyRing(service.storage), threading.Event()
    for verb in ("read", "list", "exists", "create"):
        monkeypatch.setattr(service.storage, verb, lambda *_: hangs.wait(30))
    cookie = {"Cookie": f"{SESSION_COOKIE}=x.y", "Accept": "text/html"}
    with serving(application(service, ring)) as address, httpx.Client(base_url=address, timeout=10) as client:
        try:
            assert client.get("/docs", headers=cookie).status_code == 200
            assert client.get("/login", headers=cookie).status_code == 503
            assert client.get("/docs", headers=cookie).status_code == 200
        finally:
            hangs.set()


def test_threads_of_a_pool_hold_up_no_exit_and_end_when_idle(monkeypatch):
    monkeypatch.setattr(daemon_pool, "IDLE_S", 0.05)
    pool = DaemonPool(2, "test pool")
    assert [pool.submit(lambda n=n: n * n).result(5) for n in range(9)] == [n * n for n in range(9)]
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result(5)
    ours = [t for t in threading.enumerate() if t.name == "test pool"]
    assert len(ours) <= 2 and all(t.daemon for t in ours)
    until(lambda: not [t for t in threading.enumerate() if t.name == "test pool"])
    assert pool.submit(lambda: "again").result(5) == "again"


def test_a_call_that_has_not_begun_in_time_never_does():
    pool, goes_on, done = DaemonPool(1, "test pool"), threading.Event(), []

    async def ask():
        await run_within(pool, 0.1, done.append, "late")

    first = pool.submit(goes_on.wait, 10)
    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    goes_on.set()
    assert first.result(5) and pool.submit(lambda: list(done)).result(5) == []
