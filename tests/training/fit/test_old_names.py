"""Names that torchvision's files had before: translated as torchvision translates them, and nothing else is."""

import pytest
import torch

from inference.model import network
from tests.training.torchvision_files import handed_out
from training.fit import old_names


def skeleton(name):
    return network.build_empty(name, 3)


@pytest.mark.parametrize("name", ["densenet121", "vit_b_16", "resnet18"])
def test_old_names_and_missing_counters_become_those_of_today(name):
    expected = skeleton(name).state_dict()
    old = handed_out(name, skeleton(name))
    assert name == "resnet18" or old.keys() - expected.keys()
    found = old_names.translate(name, old, expected)
    assert found.keys() == expected.keys()
    counters = [tensor for key, tensor in found.items() if key.endswith("num_batches_tracked")]
    assert all(tensor.dtype == torch.int64 and tensor.item() == 0 for tensor in counters)
    assert old_names.translate(name, found, expected).keys() == expected.keys()


def test_auxiliary_heads_are_left_out_with_a_word(capsys):
    from torchvision import models

    with torch.device("meta"):
        state = models.googlenet(weights=None, aux_logits=True, init_weights=False, num_classes=3).state_dict()
    expected = skeleton("googlenet").state_dict()
    assert old_names.translate("googlenet", state, expected).keys() == expected.keys()
    assert "left out: aux1, aux2 (" in capsys.readouterr().err


def test_a_network_of_ones_own_keeps_its_names():
    state = {"aux1.weight": torch.ones(1), "encoder_layer_0.mlp.linear_1.weight": torch.ones(1)}
    assert old_names.translate("mine:build", state, state) == state


def test_the_name_of_what_held_the_network_is_taken_away_where_all_have_it():
    expected = {"fc.weight": torch.ones(1), "bn.num_batches_tracked": torch.tensor(0)}
    found = old_names.translate("mine:build", {"net.fc.weight": torch.ones(1)}, expected)
    assert found.keys() == expected.keys()
    kept = {"net.fc.weight": torch.ones(1), "loss.weight": torch.ones(1)}
    assert old_names.translate("mine:build", kept, {"fc.weight": torch.ones(1)}) == kept


def test_a_transformer_for_larger_pictures_is_built_as_its_weights_say():
    small = skeleton("vit_b_16").state_dict()
    large = {**small, "encoder.pos_embedding": torch.empty(1, 1 + 24 * 24, 768, device="meta")}
    assert network.build_empty("vit_b_16", 3, like=small).image_size == 224
    made = network.build_empty("vit_b_16", 3, like=large)
    assert made.image_size == 384 and made.state_dict()["encoder.pos_embedding"].shape[1] == 577
