"""Networks by name: built, filled with weights, their heads found; what does not fit is refused."""

import pytest
import torch
from safetensors.torch import save
from torch import nn

from contract.documents.card import Card, Preprocess
from contract.errors import BadWeights, UsageError
from inference.model import network

SMALL = ["squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5", "mobilenet_v3_small"]
OWN = "tests.inference.own_network:build"


def card(name: str, classes: int = 3) -> Card:
    return Card(model="m", version="1", created_at="", network=name, classes=[str(n) for n in range(classes)],
                preprocess=Preprocess(), weights_sha256="", weights_bytes=0)


@pytest.mark.parametrize("name", [*SMALL, OWN])
def test_weights_come_back_bit_for_bit_in_eval_mode(name):
    torch.manual_seed(1)
    made = network.build(name, 3).eval()
    read = network.load(card(name), save(made.state_dict()))
    x = torch.randn(2, 3, 64, 64)
    assert not read.training and torch.equal(made(x), read(x)) and read(x).shape == (2, 3)
    assert not any(t.is_meta for t in [*read.parameters(), *read.buffers()])


def can_be_filled(name: str) -> None:
    """Built without memory: its head is found, and its state is all that it holds."""
    with torch.device("meta"):
        made = network.build(name, 7)
    assert len(network.find_head(made)[1].weight) == 7, name
    held = {key for key, _ in [*made.named_parameters(), *made.named_buffers()]}
    assert held == set(made.state_dict()), f"{name} holds tensors outside its state"
    network.build_from_state(name, 7, made.state_dict())


def test_small_networks_of_many_families_can_be_filled():
    for name in (*SMALL, "alexnet", "efficientnet_b0", "mobilenet_v2", "resnet18", "vgg11_bn", "vit_b_32"):
        can_be_filled(name)


@pytest.mark.slow("networks")
def test_every_torchvision_network_can_be_filled():
    names = [name for name in network.list_networks() if not name.startswith("regnet")]  # those need memory; see below
    assert len(names) == 65
    for name in names:
        can_be_filled(name)


@pytest.mark.parametrize(("name", "where"), [
    ("resnet18", "fc"), ("squeezenet1_1", "classifier.1"), ("mobilenet_v3_small", "classifier.3"),
    ("vit_b_16", "heads.head"), ("swin_t", "head"), ("densenet121", "classifier"), ("googlenet", "fc"),
    ("convnext_tiny", "classifier.2"), ("inception_v3", "fc"), ("maxvit_t", "classifier.5")])
def test_heads_by_name(name, where):
    with torch.device("meta"):
        assert network.find_head(network.build(name, 5))[0] == where


def test_regnet_and_networks_of_others():
    made = network.build("regnet_y_400mf", 4)
    assert network.find_head(made)[0] == "fc" and network.find_head(network.build(OWN, 4))[0] == "2"
    assert network.build_from_state("regnet_y_400mf", 4, made.state_dict())(torch.zeros(1, 3, 32, 32)).shape == (1, 4)


@pytest.mark.parametrize(("name", "message"), [
    ("resnet19", "expected a torchvision classification network"),
    ("no.such:build", "expected the module no.such in the setting `allow_modules`"),
    ("tests.no.such:build", "to be importable"), ("tests.inference:", "expected package.module:function"),
    ("tests.inference.own_network:nothing", "to be importable"),
    ("tests.inference.own_network:wrong", "to return a torch.nn.Module, got int")])
def test_unknown_networks_are_named(name, message):
    with pytest.raises(UsageError, match=message):
        network.build(name, 2)


def test_weights_that_do_not_fit_are_refused():
    data = save(network.build("squeezenet1_1", 3).state_dict())
    with pytest.raises(BadWeights, match="size mismatch for classifier.1.weight"):
        network.load(card("squeezenet1_1", 4), data)
    with pytest.raises(BadWeights, match="Missing key"):
        network.load(card("mnasnet0_5"), data)
    with pytest.raises(BadWeights, match="expected safetensors"):
        network.load(card("squeezenet1_1"), data[:100])
    with pytest.raises(UsageError, match="expected a Linear or Conv2d"):
        network.find_head(nn.Sequential(nn.ReLU()))


def test_published_auxiliary_heads_are_left_out():
    from torchvision import models

    with torch.device("meta"):
        published = models.googlenet(weights=None, aux_logits=True, init_weights=False, num_classes=5).state_dict()
    network.build_from_state("googlenet", 5, network.drop_auxiliary_heads(published))
    with pytest.raises(BadWeights, match="aux1"):
        network.build_from_state("googlenet", 5, published)
