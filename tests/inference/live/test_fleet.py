"""Models come and go while the service runs, and those that nobody asks leave memory to the others."""

import threading

import pytest

from command.load_settings import load
from contract.deciding import changes
from contract.registry import Registry
from contract.storage import open_root
from inference.live.fleet import Fleet
from inference.live.model import LiveModel
from inference.serve import _choose_models
from inference.telemetry import Metrics
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until

EVERY = "serve.models=all"


def ask(client, model):
    return client.post(f"/v1/predictions?model={model}", content=picture(), headers=IMAGE)


def served(client):
    return {m["model"]: (m["model_version"], m["loaded"]) for m in client.get("/v1/models").json()["models"]}


def registry(root, model):
    return Registry(open_root(root), model)


def test_what_is_published_is_served_without_a_restart_and_let_go_when_it_is_retired(tmp_root, tmp_path):
    publish_tiny(tmp_root, "m")
    with serving(tmp_root, tmp_path / "o", EVERY) as client:
        assert ask(client, "late").status_code == 404
        publish_tiny(tmp_root, "late", seed=2)
        until(lambda: "late" in served(client) and served(client)["late"][0])
        answer = ask(client, "late")
        assert answer.status_code == 200 and answer.json()["model"] == "late"
        publish_tiny(tmp_root, "late", seed=3)
        until(lambda: served(client)["late"] == ("2", True))  # it is followed as the others are
        changes.retire(registry(tmp_root, "late"), by="ana", reason="replaced")
        until(lambda: "late" not in served(client))
        assert ask(client, "late").status_code == 404 and ask(client, "m").status_code == 200
        assert "This service does not answer for it" in client.get("/models?model=late").text
        assert 'trueup_live_version{model="late"}' not in client.get("/metrics").text
        registry(tmp_root, "late").promote("1", by="ana", reason="back", expected_live=None)
        until(lambda: served(client).get("late") == ("1", True))
        assert client.get("/health/ready").status_code == 200


def test_a_model_that_is_retired_alone_says_so(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "o") as client:
        changes.retire(registry(tmp_root, "m"), by="ana", reason="replaced")
        until(lambda: client.get("/health/ready").status_code == 503)
        refused = ask(client, "m")
        assert refused.status_code == 503 and "was retired" in refused.json()["error"]["message"]
        registry(tmp_root, "m").promote("1", by="ana", reason="back", expected_live=None)
        until(lambda: client.get("/health/ready").status_code == 200)
        assert ask(client, "m").status_code == 200


def test_the_model_that_was_asked_longest_ago_sleeps_and_wakes_when_it_is_asked(tmp_root, tmp_path):
    for n, model in enumerate(("m", "b", "c")):
        publish_tiny(tmp_root, model, seed=n)
    each = registry(tmp_root, "m").card("1").weights_bytes
    with serving(tmp_root, tmp_path / "o", f"serve.loaded_bytes={2 * each}", models=("m", "b", "c")) as client:
        assert {model: version for model, (version, _) in served(client).items()} == dict.fromkeys(("m", "b", "c"), "1")
        for order in (("m", "b"), ("c", "m"), ("b", "c")):
            for model in order:
                assert ask(client, model).status_code == 200
            assert {model for model, (_, loaded) in served(client).items() if loaded} == set(order)
        assert "answers here, once it is loaded again" in client.get("/models?model=m").text
        assert "Version 1 answers here ·" in client.get("/models?model=c").text
        publish_tiny(tmp_root, "m", seed=7)  # the one that sleeps now: it is loaded, tried, and may sleep again
        until(lambda: served(client)["m"][0] == "2")
        assert ask(client, "m").json()["model_version"] == "2"
        assert client.get("/health/ready").status_code == 200
        assert sum(loaded for _, loaded in served(client).values()) <= 2
    assert len(table_rows(tmp_root, "predictions")) == 7


def test_many_callers_of_models_that_take_turns_in_memory_are_all_answered(tmp_root, tmp_path):
    """Room for one network alone: each request may have to load its own, and none fails."""
    for n, model in enumerate(("m", "b", "c")):
        publish_tiny(tmp_root, model, seed=n)
    codes = []
    with serving(tmp_root, tmp_path / "o", "serve.loaded_bytes=1", models=("m", "b", "c")) as client:
        threads = [threading.Thread(target=lambda m=m: codes.extend((m, ask(client, m).json().get("model")) for _ in range(5)))
                   for m in ("m", "b", "c", "m", "b", "c")]
        [t.start() for t in threads]
        [t.join() for t in threads]
    assert len(codes) == 30 and all(asked == answered for asked, answered in codes)


def test_weights_that_are_gone_when_a_model_wakes_refuse_the_request_alone(tmp_root, tmp_path):
    for n, model in enumerate(("m", "b")):
        publish_tiny(tmp_root, model, seed=n)
    storage = open_root(tmp_root)
    with serving(tmp_root, tmp_path / "o", "serve.loaded_bytes=1", models=("m", "b")) as client:
        ask(client, "b")
        weights = storage.read(key := "models/m/versions/1/weights.safetensors")
        storage.delete(key)
        assert ask(client, "m").json()["error"]["code"] == "not_ready" and ask(client, "b").status_code == 200
        storage.put(key, weights)
        assert ask(client, "m").status_code == 200


def test_one_model_stays_however_large_it_is(tmp_root):
    publish_tiny(tmp_root)
    fleet = Fleet(open_root(tmp_root), ["m"], lambda name: LiveModel(open_root(tmp_root), name, 4, Metrics()), 1, most_bytes=1)
    fleet.load()
    assert fleet.models["m"].predictor is not None


@pytest.mark.parametrize("sets", [EVERY, "serve.models=[m]"])
def test_settings_name_the_models_where_the_command_line_does_not(tmp_root, sets):
    publish_tiny(tmp_root)
    assert _choose_models(load(root=tmp_root, overrides=[sets], env={}), ()) == ["m"]
    assert _choose_models(load(root=tmp_root, overrides=[sets], env={}), ("b",)) == ["b"]
