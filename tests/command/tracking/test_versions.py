"""What MLflow is told of versions, asked back by its own client: one run each, nothing twice, aliases as the history has them."""

import json
from pathlib import Path

import pytest

from command.tracking import versions
from command.tracking.tracking import tell
from command.tracking.versions import begin_version, fail_version, log_assessment, log_version, make_key, mirror_state
from contract.canary import changes as canary
from contract.canary.documents import Bounds
from contract.deciding import changes
from contract.deciding.asking import say_nothing
from contract.registry import Registry
from contract.storage import open_root
from tests.inference.published import publish_tiny

EPOCHS = [{"epoch": n, "loss": 1 / n, "accuracy": 0.5, "rows": 80, "validation": {"loss": 2 / n, "accuracy": 0.4, "rows": 20}}
          for n in (1, 2, 3)]


@pytest.fixture
def registry(tmp_root):
    """Version 1 was brought, 2 and 3 were trained; 3 is live."""
    publish_tiny(tmp_root, weights=b"1")
    for weights in (b"2", b"3"):
        publish_tiny(tmp_root, weights=weights, parent="1", dataset="d", settings={"lr": 0.1, "epochs": 3, "ema": None},
                     metrics={"epochs": EPOCHS})
    return Registry(open_root(tmp_root), "m")


def test_a_trained_version_is_a_run_with_parameters_epochs_and_artifacts(registry, mlflow):
    card = registry.card("2")
    run = log_version(mlflow.store(), registry, card)
    found = mlflow.client.get_run(run)
    assert found.data.params == {"network": card.network, "classes": "3", "parent": "1", "dataset": "d", "runtime": "torch",
                                 "number_format": "float32", "code_version": "", "lr": "0.1", "epochs": "3"}
    assert mlflow.points(found, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert mlflow.points(found, "validation_loss") == [(1, 2.0), (2, 1.0), (3, 2 / 3)]
    assert mlflow.artifacts(found) == ["card.json", "metrics.jsonl"]
    assert json.loads(Path(mlflow.client.download_artifacts(run, "card.json")).read_text()) == card.to_dict()
    lines = Path(mlflow.client.download_artifacts(run, "metrics.jsonl")).read_text().splitlines()
    assert [json.loads(line) for line in lines] == EPOCHS
    assert (found.info.status, found.info.run_name) == ("FINISHED", "m 2")


def test_said_again_after_any_kill_it_is_the_same_run_with_each_epoch_once(registry, mlflow):
    """Killed after each call to MLflow in turn, and begun again: what is there at the end is what one go makes."""
    card, store = registry.card("2"), mlflow.store()
    client, calls = store._client, []

    class Killed(BaseException):
        pass

    class Counted:
        def __init__(self, most):
            self.left = most

        def __getattr__(self, name):
            def call(*args, **kwargs):
                made = getattr(client, name)(*args, **kwargs)
                calls.append(name)
                self.left -= 1
                if self.left == 0:
                    raise Killed
                return made
            return call

    killed = 0
    for most in range(1, 60):
        store._client = Counted(most)
        try:
            begin_version(store, registry, "2", {"lr": 0.1})
            log_version(store, registry, card)
            break
        except Killed:
            killed += 1
    assert killed > 8 and "create_run" in calls and "set_terminated" in calls
    (run,) = mlflow.runs(make_key(registry, "2"))
    assert mlflow.points(run, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert run.info.status == "FINISHED" and mlflow.artifacts(run) == ["card.json", "metrics.jsonl"]


def test_what_rank_0_told_meanwhile_is_not_told_twice(registry, mlflow):
    store = mlflow.store()
    run = begin_version(store, registry, "2", {"lr": 0.1}, run="m/7")
    store.log_epochs(run, EPOCHS[:2])
    assert mlflow.client.get_run(run).info.status == "RUNNING"
    assert log_version(store, registry, registry.card("2")) == run
    assert [step for step, _ in mlflow.points(mlflow.client.get_run(run), "loss")] == [1, 2, 3]
    assert mlflow.client.get_run(run).data.tags["trueup.run"] == "m/7"


def test_an_epoch_that_other_ranks_did_again_is_that_of_the_card_at_the_end(registry, mlflow):
    """A rank was lost after its epoch was told and before the next checkpoint: fewer ranks end it with another loss."""
    store = mlflow.store()
    run = begin_version(store, registry, "2", {})
    store.log_epochs(run, [*EPOCHS[:2], EPOCHS[2] | {"loss": 0.34}])
    for _ in range(2):
        assert log_version(store, registry, registry.card("2")) == run
    assert mlflow.client.get_run(run).data.metrics["loss"] == 1 / 3
    points = mlflow.points(mlflow.client.get_run(run), "loss")
    assert sorted(points) == [(1, 1.0), (2, 0.5), (3, 1 / 3), (3, 0.34)], "and nothing is told twice"


def test_a_training_that_failed_says_so_and_may_still_end_well(registry, mlflow):
    store = mlflow.store()
    assert fail_version(store, registry, "2") is None
    run = begin_version(store, registry, "2", {})
    assert fail_version(store, registry, "2") == run and mlflow.client.get_run(run).info.status == "FAILED"
    log_version(store, registry, registry.card("2"))
    assert mlflow.client.get_run(run).info.status == "FINISHED"


def test_an_assessment_is_in_the_run_of_the_candidate(registry, mlflow):
    run = log_version(mlflow.store(), registry, registry.card("3"))
    for _ in range(2):
        assert log_assessment(mlflow.store(), registry, "3", {"overall": {"difference": {"value": 0.02}}}) == run
    assert mlflow.points(mlflow.client.get_run(run), "assess/difference") == [(0, 0.02)]


def mirror(registry, mlflow):
    told = tell(mlflow.track, lambda store: mirror_state(store, registry))
    assert "error" not in told, told
    return mlflow.aliases("m")


def test_aliases_follow_the_history(registry, mlflow):
    assert mirror(registry, mlflow) == {"live": "3"}
    changes.set_alias(registry, "shadow", "1", by="ana", reason="r")
    started = canary.start(registry, "2", [0.1], Bounds(), by="ana", reason="r").record.state.canary
    assert mirror(registry, mlflow) == mirror(registry, mlflow) == {"live": "3", "shadow": "1", "canary": "2"}
    canary.promote(registry, started, by="ana", reason="r")
    assert mirror(registry, mlflow) == {"live": "2", "shadow": "1"}
    changes.set_alias(registry, "shadow", None, by="ana", reason="r")
    changes.roll_back(registry, by="ana", reason="r", to="3", ask=say_nothing)
    assert mirror(registry, mlflow) == {"live": "3"}
    changes.retire(registry, by="ana", reason="r")
    assert mirror(registry, mlflow) == {}
    registered = mlflow.client.search_model_versions("name = 'm'")
    assert sorted(v.tags["trueup.version"] for v in registered) == ["1", "2", "3"]  # each once
    assert {v.tags["trueup.weights_sha256"] for v in registered} == {registry.card(n).weights_sha256 for n in "123"}


def test_the_candidate_of_a_run_is_told_and_not_registered(registry, mlflow):
    tell(mlflow.track, lambda store: mirror_state(store, registry, "2"))
    assert len(mlflow.runs(make_key(registry, "2"))) == 1 and mlflow.aliases("m") == {"live": "3"}
    assert [v.tags["trueup.version"] for v in mlflow.client.search_model_versions("name = 'm'")] == ["3"]


def test_a_model_of_the_same_name_in_another_root_is_left_alone(registry, mlflow, tmp_path, capsys):
    mirror(registry, mlflow)
    publish_tiny(other := str(tmp_path / "other"), weights=b"x")
    told = tell(mlflow.track, lambda store: mirror_state(store, Registry(open_root(other), "m")))
    assert "not of this root" in told["error"] and "not of this root" in capsys.readouterr().err
    assert mlflow.aliases("m") == {"live": "3"}
    assert versions.find_root_name(open_root(other)) != versions.find_root_name(registry.storage)
