"""A first version from weights brought along: torchvision's by name, or a file; the head is made new."""

import os
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load
from torchvision.models import SqueezeNet1_1_Weights

from contract.errors import BadWeights, UsageError
from inference.model import network
from tests.training.tiny import build
from training.first_version import FirstVersion
from training.fit import pretrained
from training.train import train

NAME = "IMAGENET1K_V1"


def test_a_name_is_read_from_torchs_cache_and_its_backbone_kept(world, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    state = network.build("squeezenet1_1", 1000).state_dict()
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(state, tmp_path / "hub" / "checkpoints" / os.path.basename(SqueezeNet1_1_Weights.IMAGENET1K_V1.url))
    pretrained.import_weights(world.storage, "start", "squeezenet1_1", 10, seed=1, name=NAME)
    made = load(world.storage.read("start"))
    assert made["classifier.1.weight"].shape[0] == 10
    assert all(torch.equal(made[key], state[key]) for key in state if not key.startswith("classifier.1."))


def test_without_file_and_network_the_error_names_both(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def no_network(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(UsageError, match=r"expected squeezenet1_1-.*\.pth in torch's cache .*no network.*--weights FILE"):
        pretrained.load_named("squeezenet1_1", NAME)
    with pytest.raises(UsageError, match="torchvision has for squeezenet1_1: IMAGENET1K_V1"):
        pretrained.load_named("squeezenet1_1", "V9")


def test_a_file_of_other_classes_is_where_training_starts(world, tmp_path):
    torch.save(build(3).state_dict(), tmp_path / "w.pt")
    first = {"first": FirstVersion("tests.training.tiny:build", 32), "weights": tmp_path / "w.pt"}
    card = train(world.storage, world.registry, world.settings(epochs=1), world.made.dataset, None, **first)
    assert "fine-tuned from weights brought" in card.made_from and card.parent is None
    with pytest.raises(UsageError, match="are for a first version"):
        train(world.storage, world.registry, world.settings(), world.made.dataset, "1", weights=tmp_path / "w.pt")
    torch.save({"0.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(BadWeights, match="expected '0.weight' of shape"):
        train(world.storage, world.registry, world.settings(), world.made.dataset, None, **first)


def test_a_name_that_is_no_networks_takes_no_number(world):
    before = list(world.storage.list("models/"))
    with pytest.raises(UsageError, match="network 'resnet81': expected a torchvision classification network"):
        train(world.storage, world.registry, world.settings(), world.made.dataset, None,
              first=FirstVersion("resnet81"))
    assert list(world.storage.list("models/")) == before
