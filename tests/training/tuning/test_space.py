"""Spaces: what is refused before a trial starts, what a grid covers, what is drawn from."""

import itertools

import pytest

from command.load_settings import load
from contract.errors import UsageError
from contract.sections.training import TrainFields
from contract.sections.tune import NOT_SEARCHED, TuneFields
from tests.training.tuning.conftest import make_search
from training.tuning.space import check_freezing, count_trials, list_distributions, list_grid, make_space, name_first


@pytest.mark.parametrize(("space", "said"), [
    ("{nonsense: [1]}", "there is none of this name"), ("{lr: []}", "expected a list of choices or a range"),
    ("{lr: 0.1}", "expected a list of choices or a range"), ("{lr: [0.1, -1]}", "-1 is no value of train.lr"),
    ("{lr: [0.1, 0.1]}", "expected each choice once"), ("{lr: {low: 1, high: 0.1}}", "low < high"),
    ("{weight_decay: {low: 0, high: 0.1, log: true}}", "a low above 0"), ("{lr: {low: 1}}", "expected a range"),
    ("{lr: {low: 0.1, high: 1, step: 2}}", "expected a range"),
    ("{augment: {low: 0, high: 1}}", "Input should be a valid string"),
    ("{freeze_backbone: {low: 0, high: 1}}", "no numbers"), ("{label_smoothing: {low: 0, high: 1}}", "is no value"),
    ("{seed: [1, 2]}", "says where or how long"), ("{epochs: [1, 2]}", "says where or how long"),
    ("{calibrate: [none, vector]}", "what comes after. Set train.calibrate"), ("{min_ranks: [1, 2]}", "Set train.min_ranks"),
    ("{class_weights: [none, heavy]}", "is no value of train.class_weights"), ("{batch: [1.5]}", "is no value"),
    ("5", "")])
def test_bad_spaces_are_errors_of_the_settings(space, said):
    with pytest.raises(UsageError, match=r"tune\.space") as caught:
        load(env={}, overrides=[f"tune.space={space}"])
    assert said in str(caught.value)


@pytest.mark.parametrize(("space", "said"), [
    ({"augment": ["light", "heavy"]}, "expected one of none, crop"), ({"precision": ["float32", "float8"]}, "float8"),
    ({"lr": [0.1]}, "nothing to search for"), ({}, "nothing to search for")])
def test_values_that_training_would_refuse_are_refused_before(space, said):
    with pytest.raises(UsageError, match=said):
        make_space(TuneFields(space=space), ["resnet18"])


@pytest.mark.parametrize(("space", "settings"), [
    ({"freeze_backbone": [False, True]}, {"unfreeze_share": 0.5}), ({"unfreeze_share": [0.0, 0.5]}, {"freeze_backbone": True}),
    ({"freeze_backbone": [False, True], "unfreeze_share": {"low": 0.0, "high": 0.5, "log": False}}, {})])
def test_a_trial_that_would_freeze_in_two_ways_is_refused_before_the_first(space, settings):
    """Training refuses it, so the search would end at that trial whenever it is begun."""
    with pytest.raises(UsageError, match=r"unfreeze_share: 0\.5.*Leave freeze_backbone out of tune\.space"):
        check_freezing(make_search(space=space, settings=settings))
    check_freezing(make_search(space=space, settings={}) if settings else make_search(space={"freeze_backbone": [True, False]}))


def test_values_are_of_the_type_of_their_setting():
    fields = load(env={}, overrides=["tune.space={batch: ['8', 16], ema: [null, 0.9], lr: {low: 1e-4, high: 1}}"]
                  ).tune
    assert fields.space["batch"] == [8, 16] and fields.space["ema"] == [None, 0.9]
    assert (fields.space["lr"].low, fields.space["lr"].high, fields.space["lr"].log) == (1e-4, 1.0, False)


def test_every_name_that_is_not_searched_is_a_setting():
    assert set(NOT_SEARCHED) < set(TrainFields.model_fields)


def test_settings_survive_a_second_reading():
    settings = load(env={}, overrides=["tune.space={lr: {low: 0.001, high: 0.1, log: true}}"])
    assert TuneFields(**settings.tune.model_dump()) == TuneFields(**dict(settings.tune))


def test_the_grid_is_every_combination_once():
    search = make_search(sampler="grid", space={"augment": ["none", "photo"], "batch": {"low": 8, "high": 16, "log": False},
                                                "lr": {"low": 1e-4, "high": 1e-2, "log": True}})
    grid = list_grid(search)
    expected = set(itertools.product(["none", "photo"], [8, 12, 16], [1e-4, 1e-3, 1e-2]))
    found = [(one["augment"], one["batch"], float(f"{one['lr']:.12g}")) for one in grid]
    assert len(found) == len(set(found)) == 18 and set(found) == expected
    assert list_grid(search) == grid != list_grid(make_search(**{**search.to_dict(), "seed": 2}))
    assert count_trials(search, 100) == 18 and count_trials(search, 5) == 5
    inside = list_distributions(search)
    assert all(inside[name]._contains(inside[name].to_internal_repr(value)) for one in grid for name, value in one.items())


def test_a_grid_that_nobody_can_lay_out_is_refused():
    many = make_search(sampler="grid", points=100, space={name: {"low": 0.0, "high": 0.5, "log": False} for name in (
        "lr", "label_smoothing", "weight_decay")})
    with pytest.raises(UsageError, match="1,000,000"):
        name_first(many)
    name_first(make_search(**{**many.to_dict(), "sampler": "tpe"}))


def test_random_weights_are_not_frozen():
    assert set(make_space(TuneFields(), ["resnet18"])) - set(make_space(TuneFields(), ["resnet18"], first=True)) == {
        "freeze_backbone"}
    with pytest.raises(UsageError, match="nothing to search for"):
        make_space(TuneFields(space={"freeze_backbone": [False, True]}), ["resnet18"], first=True)


def test_several_networks_are_a_part_of_the_space():
    space = make_space(TuneFields(space={"lr": [0.1]}), ["resnet18", "resnet34"])
    assert space == {"lr": [0.1], "network": ["resnet18", "resnet34"]}
    assert {one["network"] for one in list_grid(make_search(sampler="grid", space=space))} == {"resnet18", "resnet34"}
