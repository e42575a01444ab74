"""Whatever a version does, the service goes on: with the version that answered, or with the newest that does."""

import importlib
import sys

import pytest

from contract.errors import UsageError
from contract.registry import Registry
from contract.storage import open_root
from inference.live.follower import Follower
from inference.live.model import LiveModel
from inference.model import network
from inference.telemetry import Metrics
from tests.inference import exits
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny, tiny_weights
from tests.inference.serving import IMAGE, serving, until

HERE = "tests.inference.exits"


def weights() -> bytes:
    """What fits the networks of `exits`."""
    from safetensors.torch import save

    return save(exits.Ends(3, RuntimeError).state_dict())


def publish_ending(root: str, how: str, model: str = "m") -> str:
    return publish_tiny(root, model, weights=weights(), network=f"{HERE}:{how}")


@pytest.mark.parametrize(("how", "reason"), [
    ("build_exit", "SystemExit: usage: train.py"), ("build_deep", "RecursionError"), ("build_mute", "Mute"),
    ("build_systemexit", "SystemExit: the end"), ("build_interrupt", "KeyboardInterrupt: the end"),
    ("build_generatorexit", "GeneratorExit: the end"), ("build_stop", "StopIteration: the end"),
])
def test_a_version_may_raise_anything_and_the_next_good_one_is_taken(live, tmp_root, how, reason):
    before = live.predictor
    publish_ending(tmp_root, how)
    live.follow_live()
    assert live.predictor is before and live.refused.version == "2" and reason in live.refused.reason
    publish_tiny(tmp_root, seed=3)
    live.follow_live()
    assert live.version == "3" and live.refused is None


def test_a_module_that_reads_arguments_when_imported_is_an_error_of_the_network(tmp_path, monkeypatch):
    (tmp_path / "reads_arguments.py").write_text("import argparse\nargparse.ArgumentParser().parse_args(['--no-such'])\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[reads_arguments]")
    importlib.invalidate_caches()
    with pytest.raises(UsageError, match="its code ended with SystemExit: 2. A module that is imported must not read arguments"):
        network.build("reads_arguments:build", 3)
    assert "reads_arguments" not in sys.modules


def test_a_model_that_hangs_or_fails_holds_up_no_other(tmp_root, monkeypatch):
    for model in ("a", "b", "c"):
        publish_tiny(tmp_root, model)
    models = [LiveModel(open_root(tmp_root), model, 4, Metrics()) for model in ("a", "b", "c")]
    for live in models:
        live.follow_live()

    failed = []

    def fail():
        failed.append(True)
        raise SystemExit("whatever")

    monkeypatch.setattr(models[1], "follow_live", fail)
    publish_ending(tmp_root, "build_hanging", "a")
    publish_tiny(tmp_root, "c", seed=2)
    follower = Follower(0.05)
    monkeypatch.setattr("inference.live.follower.STOP_S", 0.2)
    exits.HANGS.clear()
    try:
        for model in models:
            follower.add(model)
        until(lambda: models[2].version == "2")
        publish_tiny(tmp_root, "c", seed=3)
        until(lambda: models[2].version == "3")
        assert models[0].version == "1" and len(failed) > 1  # it is asked again
        follower.stop()
    finally:
        exits.HANGS.set()


@pytest.mark.parametrize("how", ["build_late_exit", "build_late_stop"])
def test_a_network_that_exits_at_a_picture_costs_that_answer_alone(tmp_root, tmp_path, how):
    publish_ending(tmp_root, how)
    with serving(tmp_root, tmp_path / "outbox", "serve.max_batch=4") as client:
        for _ in range(4):  # as many as there are lanes, and more
            answer = client.post("/v1/predictions", content=picture(), headers=IMAGE)
            assert answer.status_code == 500 and answer.json()["error"]["code"] == "version_failed", answer.text
        publish_tiny(tmp_root, seed=2)
        until(lambda: client.get("/health/ready").json()["models"]["m"]["version"] == "2")
        assert client.post("/v1/predictions", content=picture(), headers=IMAGE).status_code == 200


DAMAGE = {
    "garbage": lambda root: publish_tiny(root, weights=b"garbage"),
    "shape": lambda root: publish_tiny(root, weights=tiny_weights(2, 1)),
    "exit": lambda root: publish_ending(root, "build_exit"),
    "weights gone": lambda root: open_root(root).delete(f"models/m/versions/{publish_tiny(root)}/weights.safetensors"),
    "card damaged": lambda root: open_root(root).put(f"models/m/versions/{publish_tiny(root)}/card.json", b"{"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_after_a_restart_the_newest_version_that_answers_is_served(tmp_root, tmp_path, damage):
    publish_tiny(tmp_root)
    publish_tiny(tmp_root, seed=2)
    publish_tiny(tmp_root, weights=b"also garbage")
    DAMAGE[damage](tmp_root)
    with serving(tmp_root, tmp_path / "outbox") as client:
        ready = client.get("/health/ready")
        told = ready.json()["models"]["m"]
        assert ready.status_code == 200 and told["version"] == "2" and told["refused"]["version"] == "4", told
        assert told["refused"]["reason"]
        answer = client.post("/v1/predictions", content=picture(), headers=IMAGE).json()
        assert answer["model_version"] == "2"
        publish_tiny(tmp_root, seed=5)
        taken = {"version": "5", "refused": None, "store": None}.items()
        until(lambda: client.get("/health/ready").json()["models"]["m"].items() >= taken)


def test_after_a_rollback_the_version_rolled_back_to_comes_first_and_deleted_ones_never(tmp_root):
    registry = Registry(open_root(tmp_root, create=True), "m")
    for seed in (1, 2, 3):
        publish_tiny(tmp_root, seed=seed)
    registry.promote("1", by="test", reason="test", expected_live="3", kind="rollback")
    registry.delete("3", by="test", reason="test")
    publish_tiny(tmp_root, weights=b"garbage")
    live = LiveModel(open_root(tmp_root), "m", 4, Metrics())
    live.follow_live()
    assert live.version == "1" and live.refused.version == "4"
    assert list(live._list_earlier(registry.newest())) == ["1", "2"]


def test_a_store_out_of_reach_at_the_start_takes_no_older_version(tmp_root, monkeypatch):
    publish_tiny(tmp_root)
    publish_tiny(tmp_root, seed=2)
    live = LiveModel(open_root(tmp_root), "m", 4, Metrics())
    with monkeypatch.context() as patch:
        patch.setattr(live._registry, "load", lambda version: (_ for _ in ()).throw(OSError("gone")))
        live.follow_live()
    assert live.version is None and live.refused.reason == "OSError: gone"
    live.follow_live()
    assert live.version == "2" and live.refused is None


def test_a_model_of_which_no_version_answers_is_not_ready(tmp_root, tmp_path):
    publish_tiny(tmp_root, weights=b"garbage")
    with serving(tmp_root, tmp_path / "outbox") as client:
        assert client.get("/health/ready").status_code == 503
        publish_tiny(tmp_root)
        until(lambda: client.get("/health/ready").status_code == 200)
