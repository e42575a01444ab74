"""The head grows: known rows bit for bit, known logits within 1e-5."""

import pytest
import torch

from contract.errors import BadWeights
from inference.model import network
from training.fit import grow_head

OLD, NEW = ["a", "c"], ["a", "b", "c", "d"]


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "tests.training.tiny:build"])
def test_known_rows_stay_bit_for_bit_and_new_ones_are_added(name):
    torch.manual_seed(0)
    parent = network.build(name, 2).eval()
    child = grow_head.grow(name, parent.state_dict(), OLD, NEW, seed=1)
    before, after = network.find_head(parent)[1], network.find_head(child)[1]
    assert torch.equal(after.weight[[0, 2]], before.weight) and torch.equal(after.bias[[0, 2]], before.bias)
    assert len(after.weight) == 4
    assert grow_head.check(parent, child, OLD, NEW, (64, 64)) <= grow_head.KNOWN_LOGITS


def test_a_class_is_never_taken_out():
    state = network.build("tests.training.tiny:build", 2).state_dict()
    with pytest.raises(BadWeights, match="it lacks c"):
        grow_head.grow("tests.training.tiny:build", state, OLD, ["a", "b"], seed=1)
