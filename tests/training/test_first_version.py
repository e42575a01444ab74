"""Options of a version that starts from nothing: train and tune have the same ones and make the same of them."""

import pytest

from contract import jsonio
from contract.documents.card import Card, Preprocess
from contract.errors import UsageError
from contract.settings import TrainSettings
from contract.tuning.documents import Search
from tests.training.conftest import NETWORK
from tests.training.tuning.conftest import make_search as made_search
from training import train, tune
from training.first_version import FirstVersion
from training.look import read_levels
from training.tuning.search import list_kept, make_search
from training.tuning.space import name_first, split_config
from training.tuning.summary import _write_parent
from training.tuning.trial import make_job

OF_WEIGHTS = {"weights", "weights_name"}  # weights from outside are no trial's start (docs/decisions/0051-tuning.md)


def list_options(command):
    """name -> (spellings, type, flag) of the options that say of themselves to be a first version's."""
    return {one.name: (one.opts, one.type.to_info_dict(), one.is_flag) for one in command.params
            if (getattr(one, "help", None) or "").startswith("First version:")}


def test_tune_has_every_option_of_train_that_says_what_a_first_version_is():
    of_train, of_tune = list_options(train.command), list_options(tune.command)
    assert of_train.keys() >= {"network", "size", "grey", "levels"} | OF_WEIGHTS
    assert of_tune == {name: option for name, option in of_train.items() if name not in OF_WEIGHTS}


@pytest.mark.parametrize("looks", [{}, {"size": 48}, {"grey": True}, {"levels": [0, 4095]},
                                   {"size": 32, "grey": True, "levels": [256, 65535]}])
def test_a_trial_is_the_job_of_the_same_training(world, looks):
    first, settings = FirstVersion(NETWORK, **looks), world.settings(seed=7)
    search = make_search(world.storage, world.registry, settings, world.made.dataset, None, first)
    trial = make_job(world.storage, search, name_first(search))
    chosen, _ = split_config(name_first(search))
    as_told = settings.model_copy(update={"train": settings.train.model_copy(update=chosen)})
    job = train.plan_job(world.storage, world.registry, as_told, world.made, None, "0", None, first)
    assert (trial.network, trial.preprocess, trial.train.seed) == (job.network, job.preprocess, 7)
    assert {name: getattr(trial.preprocess, name) for name in looks if name != "size"} == {
        name: value for name, value in looks.items() if name != "size"}
    assert trial.preprocess.crop == looks.get("size", 224)


@pytest.mark.parametrize("parent", [None, "1"])
def test_a_card_names_the_decoders_of_its_dataset_or_else_its_parents(world, parent, monkeypatch):
    old, new = "own:read@0123456789ab", "own:read@ba9876543210"
    card = Card(model="digits", version="1", created_at="", network=NETWORK, classes=["0"], weights_sha256="", weights_bytes=0,
                preprocess=Preprocess(decoders=[old]))
    monkeypatch.setattr(world.registry, "card", lambda version: card)

    def list_decoders(decoders):
        made = world.made.model_copy(update={"decoders": decoders})
        return train.plan_job(world.storage, world.registry, world.settings(), made, parent, "9", None).preprocess.decoders

    assert list_decoders({new: 3, old: 1}) == [old, new]
    assert list_decoders({}) == ([old] if parent else [])


@pytest.mark.parametrize("first", [FirstVersion("a", levels=[0, 4095]), FirstVersion("a", 64, True), FirstVersion("a")])
def test_what_was_said_is_printed_as_options_of_train(first):
    search = made_search(networks=["a"], **{"size": None, "grey": False} | first.list_looks())
    tuning = type("Tuning", (), {"search": search})
    written = _write_parent(tuning, type("Trial", (), {"config": {"lr": 0.1}}))
    context = train.command.make_context("train", ["--dataset", "d", *written.split()])
    given = {name: context.params[name] for name in ("network", "size", "grey")}
    assert FirstVersion(**given, levels=read_levels(context.params["levels"])) == first
    assert context.params["parent"] == "none"


def test_a_search_of_an_earlier_release_keeps_its_name_and_one_with_levels_has_another():
    before = {name: value for name, value in made_search().to_dict().items() if name != "levels"}
    assert Search.parse(before, "study.json").id == jsonio.digest(before)[:16]
    assert made_search(levels=[0, 4095]).id not in (made_search().id, made_search(levels=[0, 65535]).id)
    assert "seed" not in list_kept(TrainSettings(), {}) and list_kept(TrainSettings(seed=7), {})["seed"] == 7


def test_levels_that_are_none_are_refused_by_both(world, capsys):
    of = ["--root", world.root, "--model", "digits", "--dataset", world.made.dataset]
    for main in (train.main, tune.main):
        assert main([*of, "--parent", "none", "--levels", "9,1"]) == 2
        assert "--levels '9,1': expected the values of black and of white" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--levels describe a first version; version 1 has its own"):
        train.plan_job(world.storage, world.registry, world.settings(), world.made, "1", "0", None, FirstVersion(levels=[0, 1]))
