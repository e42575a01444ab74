"""A rollback asks each version in a real service process; what does not answer is passed over."""

import json

import pytest

from contract.registry import Registry
from contract.storage import open_storage
from pipeline import model
from tests.inference.published import publish_tiny
from training import trial


@pytest.mark.slow("networks")
def test_a_real_version_that_does_not_answer_is_passed_over(tmp_root, capfd):
    publish_tiny(tmp_root)
    publish_tiny(tmp_root, preprocess={"std": [0.0, 0.0, 0.0]})
    publish_tiny(tmp_root, seed=3)
    assert model.main(["rollback", "--root", tmp_root, "--model", "m", "--json"]) == 0
    made = json.loads(capfd.readouterr().out)
    assert made["state"]["live"] == "1" and "expected finite probabilities" in made["passed_over"]["2"]


def test_a_trial_of_a_version_that_is_not_there_says_so(tmp_root, capsys):
    publish_tiny(tmp_root)
    arguments = ["--root", tmp_root, "--model", "m", "--json", "--version"]
    assert trial.main([*arguments, "2"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "NoSuchVersion"
    storage = open_storage(tmp_root)
    storage.put("models/m/versions/1/weights.safetensors", b"other bytes")
    assert trial.main([*arguments, "1"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "BadWeights"
    assert Registry(storage, "m").live() == "1"
