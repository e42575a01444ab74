"""A predictor's rows are probabilities that do not depend on their batch, in every runtime and number format."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import save

from contract.documents.card import Card, Preprocess
from contract.errors import BadImage, BadWeights, NotFinite, UsageError
from inference.model import network
from inference.model.predictor import Predictor
from tests.inference.made_pictures import picture
from tests.inference.published import NETWORK, PREPROCESS, tiny_weights


def predictor(weights: bytes | None = None, **fields) -> Predictor:
    weights = weights or tiny_weights(3, 1)
    card = Card(**{"model": "m", "version": "1", "created_at": "", "network": NETWORK, "classes": ["a", "b", "c"],
                   "preprocess": PREPROCESS, "weights_sha256": hashlib.sha256(weights).hexdigest(),
                   "weights_bytes": len(weights)} | fields)
    return Predictor(card, weights, device="cpu")


def test_rows_are_probabilities_and_do_not_depend_on_their_batch():
    torch.manual_seed(1)
    made = predictor(save(network.build("resnet18", 3).state_dict()), network="resnet18")
    batch = torch.stack([made.prepare(picture(n)) for n in range(9)])
    whole = made.probabilities(batch)
    assert whole.dtype == np.float32 and whole.shape == (9, 3)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-6)
    for size in (1, 2, 5):
        np.testing.assert_allclose(made.probabilities(batch[:size]), whole[:size], atol=1e-6)


def test_top_is_best_first_with_ties_in_class_order():
    made = predictor()
    assert made.top(np.array([0.25, 0.5, 0.25], np.float32), 2) == [("b", 0.5), ("a", 0.25)]
    assert [label for label, _ in made.top(np.array([0.2, 0.4, 0.4], np.float32), 99)] == ["b", "c", "a"]


def test_the_trial_goes_from_bytes_to_labels():
    predictor().run_trial(3)
    with pytest.raises(NotFinite, match="expected finite probabilities"):
        predictor(preprocess=Preprocess(resize=36, crop=32, std=[0.0, 1.0, 1.0])).run_trial()
    with pytest.raises(BadImage, match="truncated"):
        predictor().prepare(picture()[:-100])


def test_bfloat16_is_close_and_other_runtimes_are_named():
    weights = tiny_weights(3, 1)
    full, half = predictor(weights), predictor(weights, number_format="bfloat16")
    batch = torch.stack([full.prepare(picture(n)) for n in range(4)])
    np.testing.assert_allclose(half.probabilities(batch), full.probabilities(batch), atol=0.2)
    with pytest.raises(UsageError, match="names the runtime 'abacus'"):
        predictor(runtime="abacus")


@pytest.mark.parametrize(("name", "side_by_side"), [("tests.inference.own_network:build", False), (NETWORK, True)])
def test_only_known_networks_compute_for_two_threads_at_once(name, side_by_side):
    """A network of the user's own may keep something from call to call."""
    made = predictor(save(network.build(name, 3).state_dict()), network=name)
    meet = threading.Barrier(2, timeout=5 if side_by_side else 0.5)
    forward, met = made.network.forward, []

    def waits(x):
        try:
            meet.wait()
            met.append(True)
        except threading.BrokenBarrierError:
            met.append(False)
        return forward(x)

    made.network.forward = waits
    batch = torch.stack([made.prepare(picture())])
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(made.probabilities, [batch, batch])
    np.testing.assert_array_equal(first, second)
    assert met == [side_by_side] * 2


def test_torchscript_answers_as_torch_does():
    slow, quick = (predictor(tiny_weights(3, 1), runtime=r) for r in ("torch", "torchscript"))
    batch = torch.stack([slow.prepare(picture(n)) for n in range(5)])
    for size in (1, 2, 5):
        np.testing.assert_allclose(quick.probabilities(batch[:size]), slow.probabilities(batch[:size]), atol=1e-4)
    quick.run_trial(16)


def test_torchscript_refuses_what_tracing_would_change_or_cannot_know(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="needs pictures of one size"):
        predictor(runtime="torchscript", preprocess=Preprocess(resize=36, crop=None))
    with pytest.raises(UsageError, match="torchscript computes in float32"):
        predictor(runtime="torchscript", number_format="bfloat16")
    (tmp_path / "moody.py").write_text(MOODY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[moody]")
    moody = {"network": "moody:build", "weights": save({"scale.weight": torch.ones(3, 3), "scale.bias": torch.zeros(3)})}
    assert predictor(**moody).probabilities(torch.ones(1, 3, 32, 32)).shape == (1, 3)
    with pytest.raises(BadWeights, match="computes otherwise in torchscript"):
        predictor(**moody, runtime="torchscript")


MOODY = """
import torch
from torch import nn

class Moody(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(3, 3)
    def forward(self, x):
        mean = self.scale(x.mean(dim=(2, 3)))
        return mean if x.abs().sum() < 1 else -mean  # what tracing with zeros does not see

def build(classes):
    return Moody()
"""
