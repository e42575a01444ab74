"""Of a live version and its formats the fastest answers, where the setting says so; what is slower than float32 is said."""

import logging
import shutil

import numpy as np
import pytest
import torch

from contract.canary import changes as canaries
from contract.canary.documents import Bounds
from contract.deciding import changes
from contract.deciding.formats import list_formats
from contract.deciding.thresholds import accept_thresholds
from contract.documents.history import State, ThresholdsOf
from contract.registry import Registry
from contract.storage import open_root
from inference.live.model import LiveModel
from inference.model import speed
from inference.telemetry import Metrics
from tests.inference.live import looks
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import serving
from training.convert import convert


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("formats") / "root"
    publish_tiny(str(root))
    assert convert(Registry(open_root(str(root)), "m"), "1", "float32", None, 1, "test")[0].version == "2"
    return root


@pytest.fixture
def registry(made_once, tmp_path):
    """Version 1 of torch, live, and 2, the same in OpenVINO; nobody has let it in."""
    shutil.copytree(made_once, tmp_path / "root")
    return Registry(open_root(str(tmp_path / "root")), "m")


def let_in(registry, version="2"):
    return changes.accept_format(registry, version, "1", by="ana", reason="as good")


def follow(registry, formats="fastest"):
    live = LiveModel(registry.storage, "m", 4, Metrics(), "cpu", formats, 2)
    looks.follow(live)
    return live


def takes(monkeypatch, **milliseconds):
    """Batches take so long: v1, v2, and `plain`, the network in float32 beside one that is timed at its load."""
    def measure(predictors, batch):
        plain = len({p.card.version for p in predictors}) < len(predictors)
        return [milliseconds["plain" if plain and n else f"v{p.card.version}"] for n, p in enumerate(predictors)]

    monkeypatch.setattr(speed, "measure_milliseconds", measure)


def test_the_fastest_assessed_format_answers_as_the_live_version_would(registry, monkeypatch):
    takes(monkeypatch, v1=10.0, v2=5.0, plain=10.0)
    live = follow(registry)
    assert live.version == "1"  # nobody let the other in
    let_in(registry)
    live.follow_live()
    assert live.version == "2" and follow(registry, "own").version == "1"
    own = follow(registry, "own").predictor
    batch = torch.stack([own.prepare(picture(n)) for n in range(3)])
    np.testing.assert_allclose(live.predictor.probabilities(batch), own.probabilities(batch), atol=1e-4)
    before = live.predictor
    live.follow_live()
    assert live.predictor is before  # nothing moved, so nothing is loaded again
    registry.delete("2", by="ana", reason="no more")
    live.follow_live()
    assert live.version == "1"


def test_a_canary_gets_its_share_of_what_a_format_answers(registry, monkeypatch):
    let_in(registry)
    convert(registry, "1", "bfloat16", None, 1, "test")
    canaries.start(registry, "3", [0.5], Bounds(), by="ana", reason="try")
    takes(monkeypatch, v1=10.0, v2=5.0, v3=5.0, plain=10.0)
    live = follow(registry)
    assert live.version == "2" and live.beside.predictors["canary"].card.version == "3"
    chosen = [live.choose_canary(f"{n}", live.predictor) for n in range(200)]
    assert 60 < sum(one is not None for one in chosen) < 140
    registry.promote("3", by="ana", reason="better", expected_live="1")
    monkeypatch.setattr(live, "_take_over", lambda *arguments: RuntimeError("refused"))
    live.follow_live()
    assert live.version == "2" and not any(live.choose_canary(f"{n}", live.predictor) for n in range(200))


def test_a_format_that_gains_nothing_is_not_taken(registry, monkeypatch):
    let_in(registry)
    takes(monkeypatch, v1=10.0, v2=9.8, plain=10.0)
    assert follow(registry).version == "1"


def test_of_a_promoted_format_the_version_it_was_made_of_may_answer(registry, monkeypatch):
    let_in(registry)
    registry.promote("2", by="ana", reason="faster", expected_live="1")
    takes(monkeypatch, v1=5.0, v2=10.0, plain=10.0)
    assert follow(registry).version == "1" and follow(registry, "own").version == "2"


def test_a_format_that_cannot_be_loaded_leaves_the_live_version_answering(registry, monkeypatch, caplog):
    let_in(registry)
    registry.storage.put("models/m/versions/2/network.openvino", b"no network")
    takes(monkeypatch, v1=10.0, v2=5.0, plain=10.0)
    with caplog.at_level(logging.WARNING):
        live = follow(registry)
    assert live.version == "1" and live.refused is None
    assert any("network for openvino" in str(record.fields) for record in caplog.records)


def test_a_version_slower_than_float32_is_said_in_log_and_readiness(registry, monkeypatch, caplog):
    registry.promote("2", by="ana", reason="tried", expected_live="1")
    takes(monkeypatch, v2=40.0, plain=10.0)
    with caplog.at_level(logging.WARNING):
        live = follow(registry, "own")
    assert any(record.message == "slower than float32" for record in caplog.records)
    assert "4 pictures in 40 ms on this machine, its network in float32 in 10 ms" in live.explain_slowness()
    assert live.describe_format() == {"runtime": "openvino", "number_format": "float32", "speed": {
        "batch": 4, "ms": 40.0, "float32_ms": 10.0, "slower_than_float32": True}}
    takes(monkeypatch, v2=10.3, plain=10.0)  # within chance
    assert follow(registry, "own").explain_slowness() is None


def test_thresholds_of_a_format_are_stale_on_the_page_of_versions_only_while_it_may_not_answer(registry, tmp_path):
    of = ThresholdsOf(version="2", evaluation="20261101T000000Z-1", first="2026-11-01", last="2026-11-02")
    accept_thresholds(registry, {"0": 0.5}, of, by="ana", reason="test")
    with serving(registry.storage.root, tmp_path / "outbox") as client:
        assert "these thresholds are of version 2" in client.get("/models?model=m").text
        let_in(registry)
        page = client.get("/models?model=m").text
        assert "Accepted unseen" in page and "Stale" not in page
        changes.retire(registry, by="ana", reason="over")
        assert "version None" not in client.get("/models?model=m").text


def test_timing_is_of_real_batches(registry):
    live = follow(registry, "own")
    assert live.predictor.speed is None  # plain float32 is its own measure
    registry.promote("2", by="ana", reason="tried", expected_live="1")
    live.follow_live()
    measured = live.predictor.speed
    assert measured.batch == 4 and 0 < measured.milliseconds < 5000 and 0 < measured.float32_milliseconds < 5000


def test_formats_are_of_the_live_version_alone_and_vouched_for():
    state = State(live="1", formats={"2": "1", "3": "1", "5": "4"}, cards={"1": "a", "2": "b", "3": "c", "5": "d"})
    assert list_formats(state) == ["2", "3"]
    assert list_formats(state.model_copy(update={"live": "3"})) == ["1", "2"]
    assert list_formats(state.model_copy(update={"live": "4"})) == ["5"]
    assert list_formats(state.model_copy(update={"deleted": ["2"]})) == ["3"]
    assert list_formats(state.model_copy(update={"cards": {"1": "a", "3": "c"}})) == ["3"]
    assert list_formats(state.model_copy(update={"live": "5"})) == []  # no record vouches for the card of 4
