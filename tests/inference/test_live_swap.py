"""Versions change under load: every answer is wholly one version's, and a bad version is refused with its reason."""

import threading
import time

import numpy as np
import pytest
import torch

from contract.registry import Registry
from contract.storage import open_root
from inference.model.predictor import Predictor
from inference.model.strip_metadata import strip_metadata
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny, tiny_weights
from tests.inference.serving import IMAGE, serving, table_rows, until


@pytest.fixture
def swapping(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "outbox") as client:
        yield client


class Load:
    """Requests all the time, from two callers; keeps every answer with the number of its picture."""

    def __init__(self, client) -> None:
        self.client, self.answers, self.failed, self._stop = client, [], [], threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(2)]

    def _ask(self, n: int) -> None:
        while not self._stop.is_set():
            n += 2
            answer = self.client.post("/v1/predictions", content=picture(n % 10), headers=IMAGE)
            (self.answers if answer.status_code == 200 else self.failed).append((n % 10, answer.json()))

    def __enter__(self):
        self.began = time.monotonic()
        [t.start() for t in self.threads]
        return self

    def __exit__(self, *_):
        self._stop.set()
        [t.join() for t in self.threads]
        self.rate = len(self.answers) / (time.monotonic() - self.began)

    def versions(self) -> set[str]:
        return {a["model_version"] for _, a in self.answers}


def test_versions_are_swapped_under_load_and_every_answer_is_wholly_one_versions(swapping, tmp_root):
    client = swapping
    registry = Registry(open_root(tmp_root), "m")
    with Load(client) as load:
        until(lambda: "1" in load.versions())
        publish_tiny(tmp_root, classes=("a", "b", "c", "new"), seed=2)
        until(lambda: "2" in load.versions())
        registry.promote("1", by="test", reason="rollback", expected_live="2", kind="rollback")
        until(lambda: load.answers[-1][1]["model_version"] == "1")
    assert load.failed == [] and load.versions() == {"1", "2"} and load.rate > 5
    predictors = {v: Predictor(registry.card(v), registry.weights(v)) for v in ("1", "2")}
    stripped = {n: strip_metadata(picture(n))[0] for n in range(10)}
    for n, answer in load.answers[::7]:
        predictor = predictors[answer["model_version"]]
        expected = predictor.probabilities(torch.stack([predictor.prepare(stripped[n])]))[0]
        labels = [p["label"] for p in answer["predictions"]]
        order = [predictor.card.classes.index(label) for label in labels]
        # This random network magnifies the last bit of a batch's sums; the two versions differ by tenths.
        np.testing.assert_allclose([p["probability"] for p in answer["predictions"]], expected[order], atol=1e-4)
    until(lambda: len(table_rows(tmp_root, "predictions")) == len(load.answers))
    weights = {r["model_version"]: r["weights_sha256"] for r in table_rows(tmp_root, "predictions")}
    assert weights == {v: registry.card(v).weights_sha256 for v in ("1", "2")}


def not_finite() -> bytes:
    from safetensors.torch import load, save

    state = load(tiny_weights(3, 5))
    return save({key: torch.full_like(t, float("nan")) if t.is_floating_point() else t for key, t in state.items()})


@pytest.mark.parametrize(("bad", "reason"), [
    ({"weights": b"no safetensors at all"}, "BadWeights: m version 2: expected safetensors"),
    ({"weights": tiny_weights(2, 1)}, "BadWeights: weights do not fit"),
    ({"network": "no_such_network"}, "UsageError: network 'no_such_network'"),
    ({"runtime": "abacus"}, "UsageError: m version 2: its card names the runtime 'abacus'"),
    ({"weights": not_finite()}, "NotFinite: m version 2: expected finite probabilities"),
], ids=["garbage", "shape", "network", "runtime", "nan"])
def test_a_bad_version_is_refused_for_good_and_the_next_good_one_is_taken(live, tmp_root, bad, reason):
    before = live.predictor
    publish_tiny(tmp_root, **bad)
    live.follow_live()
    assert live.predictor is before and live.refused.reason.startswith(reason) and live.refused.for_good
    refusal = live.refused
    live.follow_live()
    assert live.refused is refusal  # not loaded again
    publish_tiny(tmp_root, seed=3)
    live.follow_live()
    assert live.version == "3" and live.refused is None


def test_weights_changed_after_publishing_are_refused(live, tmp_root):
    version = publish_tiny(tmp_root, seed=4)
    live._registry.storage.put(f"models/m/versions/{version}/weights.safetensors", tiny_weights(3, 5))
    live.follow_live()
    assert live.version == "1" and "the weights have" in live.refused.reason


def test_a_store_out_of_reach_leaves_the_version_and_is_asked_again(live, tmp_root, monkeypatch):
    publish_tiny(tmp_root, seed=2)
    with monkeypatch.context() as patch:
        patch.setattr(live._registry, "newest", lambda: (_ for _ in ()).throw(OSError("gone")))
        live.follow_live()
    assert live.version == "1" and live.unreachable == "OSError: gone"
    live.follow_live()
    assert live.version == "2" and live.unreachable is None


def test_the_service_says_why_it_refused_and_keeps_answering(swapping, tmp_root):
    client = swapping
    publish_tiny(tmp_root, weights=b"garbage")
    until(lambda: client.get("/health/ready").json()["models"]["m"]["refused"])
    assert client.get("/health/ready").status_code == 200
    assert client.post("/v1/predictions", content=picture(), headers=IMAGE).json()["model_version"] == "1"
    assert 'trueup_swaps_total{model="m",outcome="refused"} 1.0' in client.get("/metrics").text
