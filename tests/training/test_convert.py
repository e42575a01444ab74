"""A version converted to OpenVINO: its answers against torch's, int8 against the held-out labels, what the card and hashes say.

Runs for real where openvino and nncf are installed, which the lock does.
"""

import hashlib
import sys

import numpy as np
import pytest
import torch

from contract import layout
from contract.documents.card import Card
from contract.errors import BadWeights, DamagedDocument, EmptyData, GpuUnusable, UsageError
from inference.model.predictor import Predictor, load_predictor
from tests.training.loop_root import digits, png
from training.convert import convert

PICTURES = 60


@pytest.fixture
def trained(world):
    world.train(epochs=8)
    return world


def make(world, number_format, version="1", **more):
    options = {"dataset": None, "pictures": PICTURES, "by": "test"} | more
    return convert(world.registry, version, number_format, **options)


def ask(world, version, pictures):
    predictor = load_predictor(world.registry, version, "cpu")
    return predictor.probabilities(torch.stack([predictor.prepare(png(p)) for p in pictures]))


def test_converted_versions_answer_as_torch_does(trained):
    """Against torch's network of the same weights; int8 besides against the labels of pictures that nobody trained on."""
    pixels, labels = digits()
    unseen, truth = pixels[300:900], np.array(labels[300:900])
    expected = ask(trained, "1", unseen)
    right = {}
    for number_format, tolerance in (("float32", 1e-4), ("bfloat16", 0.05), ("int8", 0.3)):
        card, _ = make(trained, number_format)
        got = ask(trained, card.version, unseen)
        assert np.abs(got - expected).max() < tolerance, number_format
        right[number_format] = (np.array(card.classes)[got.argmax(1)] == truth).mean()
    right["torch"] = (np.array(trained.registry.card("1").classes)[expected.argmax(1)] == truth).mean()
    assert right["torch"] > 0.6  # it learnt something, so that there is something to lose
    assert right["float32"] == right["torch"] and abs(right["int8"] - right["torch"]) < 0.02


def test_answers_do_not_depend_on_batch_or_threads(trained):
    card, _ = make(trained, "int8")
    predictor = load_predictor(trained.registry, card.version, "cpu")
    batch = torch.stack([predictor.prepare(png(p)) for p in digits()[0][:7]])
    whole = predictor.probabilities(batch)
    before = torch.get_num_threads()
    try:
        for threads in (1, before):
            torch.set_num_threads(threads)
            for size in (1, 3):
                np.testing.assert_allclose(predictor.probabilities(batch[:size]), whole[:size], atol=1e-5)
    finally:
        torch.set_num_threads(before)


def test_card_names_what_it_is_and_the_files_are_hashed(trained):
    parent = trained.registry.card("1")
    card, is_new = make(trained, "int8")
    assert is_new and (card.runtime, card.number_format, card.parent) == ("openvino", "int8", "1")
    assert (card.weights_sha256, card.dataset, card.classes) == (parent.weights_sha256, parent.dataset, parent.classes)
    assert card.converted.dataset == parent.dataset and card.converted.pictures == PICTURES
    key = layout.network("digits", card.version, "openvino")
    data = trained.storage.read(key)
    assert hashlib.sha256(data).hexdigest() == card.converted.sha256 and len(data) == card.converted.bytes
    again, is_new = make(trained, "int8")
    assert not is_new and again.version == card.version
    trained.storage.put(key, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BadWeights, match="card says sha256 .* of its network for openvino.*convert the version again"):
        load_predictor(trained.registry, card.version)


def test_the_same_conversion_gives_the_same_bytes(trained):
    first, _ = make(trained, "float32")
    trained.registry.delete(first.version, by="test", reason="made again")
    assert not trained.storage.exists(layout.network("digits", first.version, "openvino"))
    second, is_new = make(trained, "float32")
    assert is_new and second.converted.sha256 == first.converted.sha256


def test_a_candidate_of_a_converted_version_is_computed_as_the_one_it_was_made_of(trained):
    card, _ = make(trained, "bfloat16")
    candidate = trained.train(parent=card.version, epochs=1)
    assert (candidate.runtime, candidate.number_format, candidate.converted) == ("torch", "float32", None)


def test_what_cannot_be_converted_is_said(trained):
    card, _ = make(trained, "float32")
    with pytest.raises(UsageError, match=f"version {card.version} was converted from version 1: convert that one"):
        make(trained, "int8", version=card.version)
    with pytest.raises(GpuUnusable, match="openvino computes on the processor"):
        load_predictor(trained.registry, card.version, "cuda")
    unknown = trained.registry.card("1").model_copy(update={"dataset": None})
    trained.storage.put("models/digits/versions/1/card.json", unknown.to_bytes())
    with pytest.raises(EmptyData, match="names no dataset, and int8 is measured on training pictures"):
        make(trained, "int8")
    free = unknown.model_copy(update={"preprocess": unknown.preprocess.model_copy(update={"crop": None, "resize": 32})})
    trained.storage.put("models/digits/versions/1/card.json", free.to_bytes())
    with pytest.raises(UsageError, match="needs pictures of one size"):
        make(trained, "float32", version="1", pictures=1)


def test_int8_without_a_converted_network_is_no_card(trained):
    card = trained.registry.card("1").to_dict() | {"number_format": "int8"}
    with pytest.raises(DamagedDocument, match="int8: expected the converted network"):
        Card.parse(card, "card.json")
    with pytest.raises(BadWeights, match="names the runtime openvino, and no converted network"):
        Predictor(trained.registry.card("1").model_copy(update={"runtime": "openvino"}), b"", "cpu")


def test_a_network_that_depends_on_what_it_sees_is_not_converted(trained, tmp_path, monkeypatch):
    from safetensors.torch import save

    from tests.inference.model.test_predictor import MOODY
    from tests.inference.published import publish_tiny

    (tmp_path / "moody.py").write_text(MOODY)
    monkeypatch.syspath_prepend(tmp_path)
    weights = save({"scale.weight": torch.ones(3, 3), "scale.bias": torch.zeros(3)})
    publish_tiny(trained.storage, "moody", weights=weights, network="moody:build")
    from contract.registry import Registry

    with pytest.raises(BadWeights, match="computes otherwise in openvino"):
        convert(Registry(trained.storage, "moody"), "1", "float32", None, 1, "test")


@pytest.mark.parametrize(("missing", "extra"), [("openvino", r"trueup\[openvino\]"), ("nncf", r"trueup\[convert\]")])
def test_a_missing_package_is_named_with_how_to_install_it(trained, monkeypatch, missing, extra):
    import importlib.util

    from training import quantise

    find = importlib.util.find_spec
    for module in (quantise, sys.modules["inference.model.openvino_network"]):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(UsageError, match=f"expected the package {missing}.*pip install '{extra}'"):
        make(trained, "int8")
    assert trained.registry.versions() == ["1"]  # nothing was written
