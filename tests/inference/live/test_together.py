"""Canary, shadow, formats, sleep and retirement at once: each was made by itself, and here they meet."""

import gc
import os
import signal
import threading
import weakref
from contextlib import suppress
from time import sleep

import numpy as np
import pytest
from PIL import Image

from contract import clock, ids
from contract.canary import changes as canaries
from contract.canary.documents import Bounds
from contract.deciding import changes
from contract.registry import Registry
from contract.samples import is_asked
from contract.storage import open_root
from inference.live import beside
from inference.live.fleet import Fleet
from inference.live.model import LiveModel
from inference.model import speed
from inference.model.predictor import Predictor
from inference.telemetry import Metrics
from tests.inference.canary.test_canary_over_http import own_weights
from tests.inference.live.looks import follow
from tests.inference.made_pictures import encode, picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, until
from tests.inference.shadow.conftest import prompt  # noqa: F401


def registry(root, model="m"):
    return Registry(open_root(root), model)


def publish(root, model="m", versions=2):
    """Version 1 is live again after the others."""
    for seed in range(1, versions + 1):
        publish_tiny(root, model, seed=seed)
    made = registry(root, model)
    made.promote("1", by="test", reason="test", expected_live=str(versions))
    return made


def name_shadow(made, version="2"):
    return changes.set_alias(made, "shadow", version, by="ana", reason="to compare")


def begin_canary(made, version, **bounds):
    return canaries.start(made, version, [0.5, 0.9], Bounds(**bounds), by="ana", reason="to try").record.state.canary


def ask(client, model="m", n=0, **headers):
    return client.post(f"/v1/predictions?model={model}", content=picture(n), headers=IMAGE | headers)


def test_a_canary_answers_its_share_where_a_format_of_the_live_version_answers(tmp_root, tmp_path, monkeypatch):
    made = publish(tmp_root)
    publish_tiny(tmp_root, seed=1, runtime="torchscript")
    made.promote("1", by="test", reason="test", expected_live="3")
    changes.accept_format(made, "3", "1", by="ana", reason="as good")
    monkeypatch.setattr(speed, "measure_milliseconds", lambda predictors, batch: [20.0 - int(p.card.version) for p in predictors])
    begin_canary(made, "2")
    with serving(tmp_root, tmp_path / "o", "serve.formats=fastest", "serve.device=cpu") as client:
        until(lambda: (client.service.models["m"].canary.describe() or {}).get("loaded"))
        assert client.service.models["m"].version == "3"
        assert {ask(client, n=n).json()["model_version"] for n in range(20)} == {"2", "3"}


def test_what_computes_beside_a_model_counts_as_memory_whether_the_model_sleeps_or_not(tmp_root):
    each = name_shadow(publish(tmp_root)) and registry(tmp_root).card("1").weights_bytes
    for model in "bc":
        publish_tiny(tmp_root, model)
    storage = open_root(tmp_root)
    fleet = Fleet(storage, ["m", "b", "c"], lambda name: LiveModel(storage, name, 4, Metrics()), 1, most_bytes=2 * each)
    fleet.load()
    fleet.make_room()
    assert sum(live.count_bytes() for live in fleet.models.values()) <= 2 * each
    assert fleet.models["c"].predictor is not None


def test_a_network_that_wakes_too_late_is_no_picture_that_could_not_be_redacted(tmp_root, tmp_path, monkeypatch):
    for model in "mb":
        publish_tiny(tmp_root, model)
    sets = ("serve.loaded_bytes=1", "serve.deadline_seconds=0.3", "serve.redact=tests.inference.redaction.hooks:blank")
    with serving(tmp_root, tmp_path / "o", *sets, models=("m", "b")) as client:
        until(lambda: client.service.models["m"].predictor is None)
        slow, wake = threading.Event(), LiveModel.wake
        monkeypatch.setattr(LiveModel, "wake", lambda live: slow.wait(5) and wake(live))
        refused = ask(client, "m")
        slow.set()
        assert (refused.status_code, refused.json()["error"]["code"]) == (504, "deadline")
        assert "trueup_redactions_failed_total 0.0" in client.get("/metrics").text


def test_callers_of_a_model_that_wakes_slowly_hold_up_no_other_request(tmp_root, tmp_path, monkeypatch):
    for model in "mb":
        publish_tiny(tmp_root, model)
    with serving(tmp_root, tmp_path / "o", "serve.loaded_bytes=1", models=("m", "b")) as client:
        until(lambda: client.service.models["m"].predictor is None)
        slow, wakes, wake = threading.Event(), [], LiveModel.wake
        monkeypatch.setattr(LiveModel, "wake", lambda live: wakes.append(live) or slow.wait(20) and wake(live))
        codes = []
        callers = [threading.Thread(target=lambda: codes.append(ask(client, "m").status_code)) for _ in range(40)]
        [c.start() for c in callers]
        until(lambda: wakes)
        until(lambda: client.service.places.taken >= 40)
        began = clock.monotonic()
        many = [{"prediction_id": ids.uuid7(), "label": "a"} for _ in range(2_000)]
        assert client.post("/v1/labels", json={"labels": many}, timeout=10).status_code == 201
        assert clock.monotonic() - began < 10
        slow.set()
        [c.join() for c in callers]
        assert codes == [200] * 40


def test_a_canary_is_tried_as_it_will_compute(tmp_root, monkeypatch):
    """For all cores and for its part of them: what OpenVINO plans at the first request takes longer than a canary may."""
    made, seen, warm_up = publish(tmp_root), [], Predictor.warm_up

    def note(self, max_batch, lanes=1):
        seen.append((self.card.version, lanes))
        warm_up(self, max_batch, lanes)

    monkeypatch.setattr(Predictor, "warm_up", note)
    begin_canary(made, "2")
    follow(LiveModel(made.storage, "m", 4, Metrics(), lanes=2))
    assert seen == [("1", 2), ("2", 2)]


def test_beside_a_model_that_is_retired_nothing_computes(tmp_root):
    made = publish(tmp_root)
    name_shadow(made)
    live = LiveModel(made.storage, "m", 4, Metrics())
    follow(live)
    assert live.beside.predictors.keys() == {beside.SHADOW}
    changes.retire(made, by="ana", reason="replaced")
    follow(live)
    assert not live.beside.predictors and live.count_bytes() == 0
    made.promote("1", by="ana", reason="back", expected_live=None)
    follow(live)
    assert live.beside.predictors.keys() == {beside.SHADOW}


@pytest.mark.slow("process")
def test_a_model_taken_up_late_has_shadow_and_canary_and_leaves_nothing_when_it_is_retired(tmp_root, tmp_path):
    publish_tiny(tmp_root, "m")
    with serving(tmp_root, tmp_path / "o", "serve.models=all") as client:
        made = publish(tmp_root, "late", versions=3)
        name_shadow(made)
        begin_canary(made, "3", deadline_seconds=5)
        until(lambda: (client.service.shadows.get("late") and client.service.shadows["late"]._process), 60)
        ready = client.get("/health/ready").json()["models"]["late"]
        assert (ready["shadow"]["version"], ready["canary"]["version"]) == ("2", "3")
        until(lambda: client.service.models["late"].canary.describe()["loaded"])
        assert {ask(client, "late", n).json()["model_version"] for n in range(20)} == {"1", "3"}
        pid, gone = client.service.shadows["late"]._process.pid, weakref.ref(client.service.models["late"])
        lane = weakref.ref(client.service._canaries["late"]._lane)
        changes.retire(made, by="ana", reason="replaced")
        until(lambda: "late" not in client.service.models)
        until(lambda: not os.path.exists(f"/proc/{pid}"))
        until(lambda: gc.collect() * 0 == 0 and gone() is None and lane() is None)
        figures = client.get("/metrics").text
        assert 'trueup_canary_share{model="late"}' not in figures and 'trueup_canary_share{model="m"} 0.0' in figures
        made.promote("1", by="ana", reason="back", expected_live=None)
        until(lambda: "late" in client.service.models and client.service.models["late"].predictor)
        until(lambda: client.service.shadows["late"]._process, 60)  # the alias still names it


@pytest.mark.slow("process")
def test_a_shadow_whose_process_stands_still_keeps_no_service_from_ending(tmp_root, tmp_path):
    """Its socket holds less than one large picture, and what is sent to it waits for its reader."""
    name_shadow(publish(tmp_root))
    data = encode(Image.fromarray(np.random.default_rng(1).integers(0, 256, (800, 800, 3), dtype=np.uint8)), "PNG")
    with serving(tmp_root, tmp_path / "o") as client:
        shadow = client.service.shadows["m"]
        until(lambda: shadow._process is not None, 60)
        pid = shadow._process.pid
        os.kill(pid, signal.SIGSTOP)
        assert client.post("/v1/predictions", content=data, headers={"Content-Type": "image/png"}).status_code == 200
        until(lambda: len(shadow.waiting) == 0)
        began = clock.monotonic()
    try:
        assert clock.monotonic() - began < 20 and not os.path.exists(f"/proc/{pid}")
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_formats_that_cannot_be_timed_leave_the_live_version_answering(tmp_root, monkeypatch):
    made = publish(tmp_root, versions=1)
    publish_tiny(tmp_root, seed=1, runtime="torchscript")
    made.promote("1", by="test", reason="test", expected_live="2")
    changes.accept_format(made, "2", "1", by="ana", reason="as good")

    def fail(predictors, batch):
        raise RuntimeError("no memory for a batch of all")

    monkeypatch.setattr(speed, "measure_milliseconds", fail)
    live = LiveModel(made.storage, "m", 4, Metrics(), "cpu", "fastest")
    follow(live)
    assert (live.version, live.refused) == ("1", None)


def test_a_bad_model_published_late_takes_no_service_out_that_answers_for_others(tmp_root, tmp_path):
    publish_tiny(tmp_root, "m")
    with serving(tmp_root, tmp_path / "o", "serve.models=all") as client:
        publish_tiny(tmp_root, "late", network="nobody_has.this_module:build")
        until(lambda: "late" in client.service.models and client.service.models["late"].refused)
        ready = client.get("/health/ready")
        assert ready.status_code == 200, ready.json()["reasons"]
        assert ready.json()["models"]["late"]["refused"]["version"] == "1"
        assert ask(client, "late").status_code == 503 and ask(client, "m").status_code == 200


@pytest.mark.slow("process")
def test_a_canary_that_hangs_after_a_slow_wake_leaves_the_live_version_time_and_is_not_blamed(tmp_root, tmp_path, monkeypatch):
    made = publish(tmp_root, versions=1)
    hangs = publish_tiny(tmp_root, network="tests.inference.canary.own_networks:build_hangs", weights=own_weights())
    made.promote("1", by="test", reason="test", expected_live=hangs)
    canary = begin_canary(made, hangs, deadline_seconds=2.5)
    mine = (i for i in iter(ids.uuid7, None) if is_asked(canary.salt, i, canary.share))
    with serving(tmp_root, tmp_path / "o", "serve.deadline_seconds=5") as client:
        live = client.service.models["m"]
        until(lambda: (live.canary.describe() or {}).get("loaded"))
        predictor = live.predictor
        monkeypatch.setattr(LiveModel, "wake", lambda live: sleep(3.5) or predictor)
        live.sleep()
        for errors in (0, 1):  # the second time the whole deadline is there
            answer = ask(client, **{"X-Prediction-Id": next(mine)})
            assert (answer.status_code, answer.json().get("model_version")) == (200, "1"), answer.text
            assert live.canary.describe()["errors"] == errors
            live.predictor = predictor


def test_a_network_whose_code_ends_the_process_when_it_wakes_refuses_its_request_alone(tmp_root, tmp_path, monkeypatch):
    for model in "mb":
        publish_tiny(tmp_root, model)

    def leave(live):
        raise SystemExit(3)

    with serving(tmp_root, tmp_path / "o", models=("m", "b")) as client:
        monkeypatch.setattr(LiveModel, "wake", leave)
        client.service.models["m"].sleep()
        assert [ask(client, "m").json()["error"]["code"] for _ in range(2)] == ["not_ready"] * 2
        assert ask(client, "b").status_code == 200
