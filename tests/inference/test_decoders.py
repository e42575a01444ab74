"""A stuck decoder is replaced, and holds up neither the others nor the end of the service."""

import asyncio
import threading
import time

import pytest

from inference.decoders import Decoders
from tests.inference import bombs
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, until


def test_calls_run_and_what_they_raise_is_the_callers():
    begun = []
    pool = Decoders(2, lambda: begun.append(1))
    assert [pool.submit(pow, n, 2).result(5) for n in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result(5)
    with pytest.raises(SystemExit):
        pool.submit(lambda: exit(1)).result(5)
    assert pool.submit(pow, 2, 2).result(5) == 4 and len(begun) == 2
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(pow, 2, 2)


def test_a_stuck_call_is_given_up_and_the_next_one_answered():
    stuck = threading.Event()
    pool = Decoders(1, lambda: None, stuck_seconds=0.05)
    lost = pool.submit(stuck.wait)
    time.sleep(0.1)
    assert pool.submit(pow, 3, 2).result(5) == 9 and not lost.done()
    stuck.set()
    assert lost.result(5) is True
    assert pool.submit(pow, 4, 2).result(5) == 16


def test_an_end_waits_for_no_call_and_cancels_what_is_queued():
    stuck = threading.Event()
    pool = Decoders(1, lambda: None)
    running = pool.submit(stuck.wait)
    until(running.running)
    queued = pool.submit(pow, 2, 2)
    began = time.monotonic()
    pool.shutdown(wait=False, cancel_futures=True)
    assert time.monotonic() - began < 1 and queued.cancelled()
    stuck.set()


def test_bombs_stop_no_prediction(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "outbox") as client:
        for _ in range(2):
            answer = client.post("/v1/predictions", content=bombs.many_scans(3000, 1000, 1000), headers=IMAGE)
            assert answer.status_code == 422 and answer.json()["error"]["code"] == "bad_image", answer.text
            assert "expected at most 100 scans in a jpeg" in answer.json()["error"]["message"]
        assert client.post("/v1/predictions", content=picture(), headers=IMAGE).status_code == 200


def test_a_service_stops_while_a_decoder_is_stuck(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    stuck = threading.Event()
    with serving(tmp_root, tmp_path / "outbox", "serve.deadline_seconds=0.5") as client:
        pool = client.service._decoders
        calls = [pool.submit(stuck.wait) for _ in range(8)]
        answer = client.post("/v1/predictions", content=picture(), headers=IMAGE)
        assert answer.status_code == 504
        began = time.monotonic()
        asyncio.run(asyncio.wait_for(asyncio.to_thread(pool.shutdown, wait=False, cancel_futures=True), 5))
    assert time.monotonic() - began < 20 and not all(call.done() for call in calls)
    stuck.set()
