"""Settings: file < environment < options, checked, frozen, each value with its origin."""

import json
from itertools import product

import pytest
from pydantic import ValidationError

from command.explain_settings import list_names
from command.load_settings import load, with_options
from contract.errors import UsageError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "trueup.yaml"
    path.write_text("model: digits\ntrain: {epochs: 3, lr: 0.1}\ngates:\n  min_accuracy: 0.8\n")
    return str(path)


def test_the_file_is_overridden_by_the_environment_and_that_by_options(file):
    env = {"TRUEUP_TRAIN_EPOCHS": "4", "TRUEUP_MODEL": "cats", "TRUEUP_TRAIN_BATCH": "8"}
    found = load(path=file, env=env, overrides=["train.epochs=5", "gates.trusted_origins=[audit, review]"], root="/data")
    assert (found.train.epochs, found.train.lr, found.train.batch, found.model) == (5, 0.1, 8, "cats")
    assert found.gates.trusted_origins == ["audit", "review"]
    assert found.origins == {"model": "environment", "train.epochs": "option", "train.lr": file, "root": "option",
                             "gates.min_accuracy": file, "train.batch": "environment", "gates.trusted_origins": "option"}


def test_without_a_file_the_defaults_hold():
    found = load(env={})
    assert (found.gates.min_accuracy, found.cycle.takeover_seconds, found.origins) == (0.9, 60.0, {})


def test_trueup_yaml_is_read_where_the_command_runs(tmp_path, monkeypatch):
    (tmp_path / "trueup.yaml").write_text("model: here")
    monkeypatch.chdir(tmp_path)
    assert load(env={}).model == "here"


@pytest.mark.parametrize(("overrides", "message"), [
    (["train.epochs=0"], r"setting 'train.epochs' \(from option\): expected at least 1, got 0"),
    (["train.epoch=3"], r"'train.epoch' \(from option\): there is no such setting. Did you mean 'train.epochs'\?"),
    (["trian.epochs=3"], r"'trian' \(from option\): there is no such setting. Did you mean 'train'\?"),
    (["epochs=3"], r"'epochs' .*Did you mean 'train.epochs'\?"),
    (["xyzzy=3"], "'xyzzy' .*there is no such setting. `trueup config`"),
    (["gates.min_accuracy=1.5"], "less than 1, got 1.5. `trueup config` lists all settings"),
    (["train.epochs"], "expected KEY=VALUE"),
    (["train.epochs=many"], "expected a whole number, got 'many'"),
    (["train.epochs=1.5"], "expected a whole number, got 1.5"),
    (["train.lr=fast"], "expected a number, got 'fast'"),
    (["serve.store_images=perhaps"], "expected true or false, got 'perhaps'"),
    (["train.device=gpu"], "'train.device' .*expected auto, cpu or cuda, got 'gpu'"),
    (["train.device=cudaa"], r"expected auto, cpu or cuda, got 'cudaa'. Did you mean 'cuda'\?"),
    (["serve.cors_origins=x"], r"expected a list such as \[a, b\], got 'x'"),
    (["evaluate.roles={x: y}"], "roles: x = 'y': expected another word"),
    (["train=3"], "'train' .*expected `name: value` lines"),
])
def test_a_wrong_setting_is_named_with_what_was_expected(overrides, message):
    with pytest.raises(UsageError, match=message):
        load(env={}, overrides=overrides)


def test_a_typing_mistake_is_found_in_the_file_and_in_the_environment(tmp_path):
    (tmp_path / "x.yaml").write_text("train: {epoch: 3}")
    with pytest.raises(UsageError, match=r"'train.epoch' \(from .*x.yaml\): there .* Did you mean 'train.epochs'"):
        load(path=str(tmp_path / "x.yaml"), env={})
    with pytest.raises(UsageError, match="variable TRUEUP_TRAIN_EPOCH: there .* Did you mean 'TRUEUP_TRAIN_EPOCHS'"):
        load(env={"TRUEUP_TRAIN_EPOCH": "3"})
    with pytest.raises(UsageError, match="variable TRUEUP_MODLE: there is no such setting. Did you mean 'TRUEUP_MODEL'"):
        load(env={"TRUEUP_MODLE": "digits"})
    assert load(env={"TRUEUP_PEERS": "2", "TRUEUP_CLOCK_FILE": "x", "_TRUEUP_COMPLETE": "bash_source"}).origins == {}


def test_every_message_names_what_was_expected_in_our_words():
    """Whatever the type of a setting: nothing of pydantic's is passed on."""
    refused = 0
    for name, value in product(list_names(), ("{a: {b: [1]}}", "xyzzy")):
        try:
            load(env={}, overrides=[f"{name}={value}"])
        except UsageError as error:
            refused += 1
            assert "something else" not in str(error) and "nput should" not in str(error), name
    assert refused > 100


def test_a_file_that_is_not_there_or_no_yaml_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        load(path=str(tmp_path / "none.yaml"), env={})
    for content, message in (("a: [", "is no YAML"), ("- a\n", "expected `name: value` lines, got list")):
        (tmp_path / "x.yaml").write_text(content)
        with pytest.raises(UsageError, match=message):
            load(path=str(tmp_path / "x.yaml"), env={})


def test_settings_that_were_read_no_longer_change():
    with pytest.raises(ValidationError, match="frozen"):
        load(env={}).train.epochs = 7


def test_options_of_a_command_go_over_the_rest(file):
    found = with_options(load(path=file, env={}), model="cats", train__epochs=9, train__batch=None)
    assert (found.model, found.train.epochs, found.train.batch) == ("cats", 9, 32)
    assert (found.origins["train.epochs"], found.origins["train.lr"]) == ("option", file)
    with pytest.raises(UsageError, match="'train.epochs' .*got 0"):
        with_options(found, train__epochs=0)


def test_a_root_or_a_model_that_is_needed_is_asked_for():
    with pytest.raises(UsageError, match="Name one with --root or TRUEUP_ROOT"):
        load(env={}).need_root()
    with pytest.raises(UsageError, match="Name one with --model"):
        load(env={}).need_model()


def test_saved_settings_are_read_back_as_they_were(tmp_path, file):
    found = load(path=file, env={}, overrides=["evaluate.slices={camera: attributes.camera}"])
    (tmp_path / "saved.yaml").write_text(json.dumps(found.model_dump(mode="json")))
    assert load(path=str(tmp_path / "saved.yaml"), env={}).model_dump() == found.model_dump()
