"""Recipes of training: the number of ranks changes no row of theirs, and resumed they end in the same weights."""

import pytest
import torch
from pydantic import ValidationError

from contract.settings import TrainSettings
from tests.training import tiny
from tests.training.rank_threads import TINY, Trainings, one_thread
from training.fit.state import State

__all__ = ["one_thread"]
pytestmark = pytest.mark.usefixtures("one_thread")
RECIPES = {"mixup": {"mixup": 0.4}, "cutmix": {"cutmix": 1.0}, "both": {"mixup": 0.2, "cutmix": 1.0},
           "rand": {"augment": "rand"}, "trivial": {"augment": "trivial"}, "unfreeze": {"unfreeze_share": 0.75, "epochs": 4}}


@pytest.mark.parametrize("recipe", RECIPES)
def test_one_two_and_three_ranks_make_the_same_weights_from_the_same_steps(tmp_path, recipe):
    """A step is a whole epoch, so that its rows are the same for every number of ranks; no row depends on another's."""
    trainings, found = Trainings(tmp_path, rows=61), []
    for ranks, batch in ((1, 64), (2, 32), (3, 24)):
        settings = {"batch": batch, "epochs": 3} | RECIPES[recipe]
        loops = trainings.train(f"of-{ranks}", ranks, **settings)
        assert [loop.world.steps for loop in loops] == [1] * ranks
        found.append(trainings.result(f"of-{ranks}", ranks, **settings))
    for weights, facts in found[1:]:
        assert facts["history"][-1]["accuracy"] == found[0][1]["history"][-1]["accuracy"]
        for name, value in weights.items():
            torch.testing.assert_close(value, found[0][0][name], rtol=1e-4, atol=1e-5)


def test_every_recipe_makes_other_weights(tmp_path):
    """So that a recipe which is ignored fails."""
    trainings = Trainings(tmp_path)
    made = {}
    for name, settings in (RECIPES | {"none": {}, "unfreeze": {"unfreeze_share": 0.75}}).items():
        trainings.train(name, 1, **settings)
        made[name] = trainings.result(name, **settings)[0]["0.weight"].sum().item()
    assert len(set(made.values())) == len(made)


@pytest.mark.parametrize("recipe", RECIPES)
def test_killed_and_started_again_a_recipe_ends_in_the_same_weights(tmp_path, recipe):
    trainings, settings = Trainings(tmp_path, network=TINY), RECIPES[recipe] | {"ema": 0.9}
    trainings.train("whole", 1, **settings)
    for saves in (1, 5):
        trainings.train(f"killed-{saves}", 1, dies_after=saves, **settings)
        trainings.train(f"killed-{saves}", 1, **settings)
        found, expected = (trainings.result(name, **settings) for name in (f"killed-{saves}", "whole"))
        assert found[1]["sha256"] == expected[1]["sha256"] and found[1]["history"] == expected[1]["history"]


def test_layers_begin_to_train_one_after_the_other_from_the_last_to_the_first():
    """Four layers with weights besides the head; over 0.8 of 5 epochs one is unfrozen in each. What is frozen does not decay."""
    torch.manual_seed(1)
    settings = TrainSettings(unfreeze_share=0.8, epochs=5, weight_decay=0.5)
    state, changed = State(tiny.build(3), settings, torch.device("cpu")), []
    assert [type(layer).__name__ for layer in state.body] == ["Conv2d", "BatchNorm2d", "Conv2d", "BatchNorm2d"]
    for epoch in range(6):
        state.unfreeze(epoch)
        before = {name: value.clone() for name, value in state.net.state_dict().items()}
        state.flat.zero_()
        state.set_modes(4)
        state.forward(torch.randn(4, 3, 16, 16)).square().sum().backward()
        state.update(4, 0.01)
        after = state.net.state_dict()
        changed.append({name.split(".")[0] for name in after if not torch.equal(after[name], before[name])})
    assert changed == [{"9"}, {"4", "9"}, {"3", "4", "9"}, {"1", "3", "4", "9"}, *[{"0", "1", "3", "4", "9"}] * 2]


def test_running_statistics_of_frozen_layers_are_not_averaged_over_ranks():
    """x * 21 + x * 20 + x * 20, divided by 61, is x in arithmetic and not in floats."""
    torch.manual_seed(1)
    state = State(tiny.build(3), TrainSettings(unfreeze_share=1.0, epochs=4), torch.device("cpu"))
    for epoch, same in ((0, [True, True]), (2, [True, False]), (4, [False, False])):
        state.unfreeze(epoch)
        for buffer in state.buffers:
            buffer.uniform_()
        before = [buffer.clone() for buffer in state.buffers]
        state.flat.zero_()
        parts = []
        for rows in (21, 20, 20):
            state.weigh_buffers(rows)
            parts.append(state.flat.clone())
        state.flat.copy_(sum(parts))
        state.take_buffers(61)
        equal = [torch.equal(a, b) for a, b in zip(before, state.buffers, strict=True)]
        assert [all(equal[:2]), all(equal[2:])] == same
        assert all(torch.allclose(a, b) for a, b in zip(before, state.buffers, strict=True))


def test_freezing_in_two_ways_is_refused():
    with pytest.raises(ValidationError, match="unfreeze_share: expected 0 beside freeze_backbone"):
        TrainSettings(freeze_backbone=True, unfreeze_share=0.5)
