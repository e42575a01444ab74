"""A machine whose clock is not the store's: seen, said, and not ready beyond a minute."""

import time

import pytest

from contract import clock
from contract.errors import RootError
from contract.storage import open_root
from inference.clock_skew import ClockSkew
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, until


@pytest.mark.parametrize("kind", ["tmp_root", "s3_root"])
def test_a_store_tells_its_time_and_keeps_no_trace_of_it(request, kind):
    storage = open_root(request.getfixturevalue(kind), create=True)
    before = [e.key for e in storage.list()]
    assert abs(storage.now() - time.time()) < 3
    assert [e.key for e in storage.list()] == before


def test_a_clock_that_is_wrong_by_more_than_a_minute_is_not_ready(tmp_root, tmp_path, monkeypatch):
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "outbox") as client:
        watch = client.service.clock_skew
        until(lambda: watch.seconds_ahead is not None)
        assert client.get("/health/ready").status_code == 200 and abs(watch.seconds_ahead) < 3
        for ahead, status in ((75, 503), (-75, 503), (50, 200)):
            with monkeypatch.context() as patch:
                patch.setattr(clock, "machine", lambda ahead=ahead: time.time() + ahead)
                watch.check()
            assert (answer := client.get("/health/ready")).status_code == status
            said = " ".join(answer.json()["reasons"])
            assert status == 200 or ("s ahead of the store" if ahead > 0 else "s behind the store") in said
        assert client.post("/v1/predictions", content=picture(), headers=IMAGE).status_code == 200


def test_the_shifted_clock_of_a_demo_is_no_wrong_clock(tmp_root, tmp_path, monkeypatch):
    (tmp_path / "clock").write_text("-300000")
    monkeypatch.setenv("TRUEUP_CLOCK_FILE", str(tmp_path / "clock"))
    watch = ClockSkew(open_root(tmp_root, create=True))
    watch.check()
    assert watch.explain() is None and abs(watch.seconds_ahead) < 3


def test_a_store_out_of_reach_leaves_what_was_known(monkeypatch, tmp_root):
    watch = ClockSkew(storage := open_root(tmp_root, create=True))
    monkeypatch.setattr(storage, "now", lambda: (_ for _ in ()).throw(RootError("gone")))
    watch.check()
    assert watch.seconds_ahead is None and watch.explain() is None
