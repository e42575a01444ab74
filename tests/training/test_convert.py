"""A version converted to OpenVINO: its answers against torch's, int8 against the held-out labels, what the card and hashes say.

Runs for real where openvino and nncf are installed, which the lock does.
"""

import hashlib
import shutil
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import pytest
import torch

from contract import layout
from contract.documents.card import Card
from contract.errors import BadWeights, DamagedDocument, EmptyData, GpuUnusable, UsageError
from contract.registry import Registry
from contract.storage import open_root
from inference.model.predictor import Predictor, load_predictor
from tests.training.digits_by_hand import MODEL, TRAIN, make_root
from tests.training.loop_root import digits, png
from training.convert import convert
from training.train import find_own_form

PICTURES = 60


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("convert") / "root"
    make_root(str(root))
    return root


@pytest.fixture
def registry(made_once, tmp_path):
    """The registry of a root that a test may change: version 1 is torch's, in float32."""
    shutil.copytree(made_once, tmp_path / "root")
    return Registry(open_root(str(tmp_path / "root")), MODEL)


def make(registry, number_format, version="1", **more):
    options = {"dataset": None, "pictures": PICTURES, "by": "test"} | more
    return convert(registry, version, number_format, **options)


def put(registry, version, **fields):
    """Version 1 under another number, with some fields of its card changed."""
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(registry.weights("1"))
        registry.write_version(registry.card("1").model_copy(update={"version": version} | fields), Path(file.name))


def ask(registry, version, pictures):
    predictor = load_predictor(registry, version, "cpu")
    return predictor.probabilities(torch.stack([predictor.prepare(png(p)) for p in pictures]))


def test_converted_versions_answer_as_torch_does(registry):
    """Against torch's network of the same weights; int8 besides against the labels of pictures that nobody trained on."""
    pixels, labels = digits()
    unseen, truth = pixels[TRAIN:], np.array(labels[TRAIN:])
    expected = ask(registry, "1", unseen)
    right = {}
    for number_format, most, mean in (("float32", 1e-4, 1e-5), ("bfloat16", 0.1, 1e-2), ("int8", 1.0, 2e-2)):
        card, _ = make(registry, number_format)
        got = ask(registry, card.version, unseen)
        differs = np.abs(got - expected)
        assert differs.max() < most and differs.mean() < mean, number_format
        right[number_format] = (np.array(card.classes)[got.argmax(1)] == truth).mean()
    right["torch"] = (np.array(registry.card("1").classes)[expected.argmax(1)] == truth).mean()
    assert right["torch"] > 0.8  # it learnt something, so that there is something to lose
    assert right["float32"] == right["torch"] and abs(right["int8"] - right["torch"]) < 0.03


def test_answers_do_not_depend_on_batch_or_threads(registry):
    card, _ = make(registry, "int8")
    predictor = load_predictor(registry, card.version, "cpu")
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


def test_card_names_what_it_is_and_the_files_are_hashed(registry):
    parent = registry.card("1")
    card, is_new = make(registry, "int8")
    assert is_new and (card.runtime, card.number_format, card.parent) == ("openvino", "int8", "1")
    assert (card.weights_sha256, card.dataset, card.classes) == (parent.weights_sha256, parent.dataset, parent.classes)
    assert card.converted.dataset == parent.dataset and card.converted.pictures == PICTURES
    key = layout.network(MODEL, card.version, "openvino")
    data = registry.storage.read(key)
    assert hashlib.sha256(data).hexdigest() == card.converted.sha256 and len(data) == card.converted.bytes
    again, is_new = make(registry, "int8")
    assert not is_new and again.version == card.version
    registry.storage.put(key, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BadWeights, match="card says sha256 .* of its network for openvino.*convert the version again"):
        load_predictor(registry, card.version)


def test_deleting_takes_the_converted_network_along_and_it_can_be_made_again(registry):
    first, _ = make(registry, "float32")
    registry.delete(first.version, by="test", reason="made again")
    assert not registry.storage.exists(layout.network(MODEL, first.version, "openvino"))
    second, is_new = make(registry, "float32")
    assert is_new and second.version != first.version


def test_a_candidate_of_a_converted_version_is_computed_as_the_one_it_was_made_of(registry):
    card, _ = make(registry, "bfloat16")
    assert find_own_form(registry, card.version) == registry.card("1") == find_own_form(registry, "1")


def test_what_cannot_be_converted_is_said(registry):
    card, _ = make(registry, "float32")
    with pytest.raises(UsageError, match=f"version {card.version} was converted from version 1: convert that one"):
        make(registry, "int8", version=card.version)
    with pytest.raises(GpuUnusable, match="openvino computes on the processor"):
        load_predictor(registry, card.version, "cuda")
    put(registry, "8", dataset=None)
    with pytest.raises(EmptyData, match="names no dataset, and int8 is measured on training pictures"):
        make(registry, "int8", version="8")
    put(registry, "9", preprocess=registry.card("1").preprocess.model_copy(update={"crop": None}))
    with pytest.raises(UsageError, match="needs pictures of one size"):
        make(registry, "float32", version="9")


def test_int8_without_a_converted_network_is_no_card(registry):
    card = registry.card("1").to_dict() | {"number_format": "int8"}
    with pytest.raises(DamagedDocument, match="int8: expected the converted network"):
        Card.parse(card, "card.json")
    with pytest.raises(BadWeights, match="names the runtime openvino, and no converted network"):
        Predictor(registry.card("1").model_copy(update={"runtime": "openvino"}), b"", "cpu")


def test_a_network_that_depends_on_what_it_sees_is_not_converted(registry, tmp_path, monkeypatch):
    from safetensors.torch import save

    from tests.inference.model.test_predictor import MOODY
    from tests.inference.published import publish_tiny

    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[moody]")
    (tmp_path / "moody.py").write_text(MOODY)
    monkeypatch.syspath_prepend(tmp_path)
    weights = save({"scale.weight": torch.ones(3, 3), "scale.bias": torch.zeros(3)})
    publish_tiny(registry.storage, "moody", weights=weights, network="moody:build")
    with pytest.raises(BadWeights, match="computes otherwise in openvino"):
        convert(Registry(registry.storage, "moody"), "1", "float32", None, 1, "test")


@pytest.mark.parametrize(("missing", "extra"), [("openvino", r"trueup\[openvino\]"), ("nncf", r"trueup\[convert\]")])
def test_a_missing_package_is_named_with_how_to_install_it(registry, monkeypatch, missing, extra):
    import importlib.util

    from training import quantise

    find = importlib.util.find_spec
    for module in (quantise, sys.modules["inference.model.openvino_network"]):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(UsageError, match=f"expected the package {missing}.*pip install '{extra}'"):
        make(registry, "int8")
    assert registry.versions() == ["1"]  # nothing was written
