import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save

from contract.card import Card, Preprocess
from contract.errors import BadImage, NotFinite, UsageError
from inference import network
from inference.predictor import Predictor
from tests.inference.pictures import picture
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
    predictor().trial(3)
    with pytest.raises(NotFinite, match="expected finite probabilities"):
        predictor(preprocess=Preprocess(resize=36, crop=32, std=[0.0, 1.0, 1.0])).trial()
    with pytest.raises(BadImage, match="truncated"):
        predictor().prepare(picture()[:-100])


def test_bfloat16_is_close_and_other_runtimes_are_named():
    weights = tiny_weights(3, 1)
    full, half = predictor(weights), predictor(weights, number_format="bfloat16")
    batch = torch.stack([full.prepare(picture(n)) for n in range(4)])
    np.testing.assert_allclose(half.probabilities(batch), full.probabilities(batch), atol=0.2)
    with pytest.raises(UsageError, match="names the runtime 'abacus'"):
        predictor(runtime="abacus")
