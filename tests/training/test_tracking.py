"""A training tells MLflow of itself: epochs while it goes on, the rest at its end; killed and repeated, it is one run."""

import json
import socket
from dataclasses import dataclass

import pytest
import torch

from command.load_settings import load
from command.tracking.versions import log_version, make_key
from contract.documents.manifest import Manifest
from contract.errors import NotFinite
from contract.registry import Registry
from contract.storage import open_root
from tests.command.tracking.mlflows import EXPERIMENT
from tests.pipeline import small_dataset
from tests.training.conftest import NETWORK
from training import assess, assess_text, train, tune
from training.first_version import FirstVersion
from training.fit import epoch_reporter
from training.fit.checkpoint import FINAL, Checkpoint, Checkpoints
from training.fit.job import Job
from training.fit.metrics_log import MetricsLog

FIRST = ("--parent", "none", "--network", NETWORK, "--size", "32")
EXACT = {"value": 0.9}
HISTORY = [{"epoch": n, "loss": 1 / n, "accuracy": 0.5, "rows": 80, "validation": None} for n in (1, 2)]


class Killed(BaseException):
    """What no command catches."""


@dataclass
class Small:
    """A root with a dataset that nobody reads: what makes a real one takes seconds (tests/training/conftest.py)."""

    root: str
    made: Manifest

    @property
    def registry(self):
        return Registry(open_root(self.root), "digits")


@pytest.fixture
def small(tmp_root, monkeypatch):
    """Ranks that log two epochs as the loop does, and end well."""

    def launch(job, storage, *_):
        log = MetricsLog(None, 0, job.track)
        for entry in HISTORY:
            log.log_epoch(entry)
        log.close()
        Checkpoints(storage, job.folder, job.digest()).save(
            Checkpoint(2, 0, {"w": torch.zeros(1)}, {"history": HISTORY, "ranks": job.ranks, "all_ranks": [job.ranks]}), FINAL)

    monkeypatch.setattr(train.launch, "launch", launch)
    monkeypatch.setattr(epoch_reporter, "CLOSE_S", 300)
    return Small(tmp_root, small_dataset.put(open_root(tmp_root, create=True), "d1", "digits"))


def run(main, small, capsys, address, *arguments):
    """A command with --json and tracking; its exit code and document."""
    sets = {"train.launcher": "process", "train.threads": 1, "train.epochs": 2, "train.batch": 16, "track.mlflow": address,
            "track.experiment": EXPERIMENT, "track.seconds": 300}
    code = main(["--root", small.root, "--model", "digits", *arguments, "--json",
                 *(part for key, value in sets.items() for part in ("--set", f"{key}={value}"))])
    return code, json.loads(capsys.readouterr().out)


def first(small, capsys, address, *more):
    return run(train.main, small, capsys, address, "--dataset", small.made.dataset, *FIRST, *more)


def look_before_the_end(monkeypatch, mlflow):
    """What MLflow has of the training when the driver tells the rest: (status, losses)."""
    seen = []

    def look(store, registry, card):
        (meanwhile,) = mlflow.runs()
        seen.append((meanwhile.info.status, mlflow.points(meanwhile, "loss")))
        return log_version(store, registry, card)

    monkeypatch.setattr(train, "log_version", look)
    return seen


def check_one_run(world, mlflow, code, made, seen):
    (found,) = mlflow.runs(make_key(world.registry, made["version"]))
    losses = [(e["epoch"], e["loss"]) for e in world.registry.card(made["version"]).metrics["epochs"]]
    assert code == 0 and made["tracking"] == {"mlflow": mlflow.address, "run": found.info.run_id}
    assert seen == [("RUNNING", losses)] and mlflow.points(found, "loss") == losses and len(losses) == 2
    assert found.info.status == "FINISHED" and mlflow.artifacts(found) == ["card.json", "metrics.jsonl"]
    assert (found.data.params["lr"], found.data.params["ranks"], found.data.params["epochs"]) == ("0.001", "1", "2")


def test_a_training_is_a_run_whose_epochs_come_while_it_goes_on(small, mlflow, capsys, monkeypatch):
    seen = look_before_the_end(monkeypatch, mlflow)
    check_one_run(small, mlflow, *first(small, capsys, mlflow.address), seen)


def test_so_it_is_of_the_loop_itself(world, mlflow, capsys, monkeypatch):
    monkeypatch.setattr(epoch_reporter, "CLOSE_S", 300)
    seen = look_before_the_end(monkeypatch, mlflow)
    check_one_run(world, mlflow, *first(world, capsys, mlflow.address), seen)


def test_killed_before_its_card_and_repeated_it_is_one_run(small, mlflow, capsys, monkeypatch):
    def die(*_):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(train, "_write", die)
        first(small, capsys, mlflow.address, "--run", "digits/1")
    capsys.readouterr()
    (before,) = mlflow.runs()
    assert before.info.status == "RUNNING" and before.data.tags["trueup.run"] == "digits/1"
    for _ in range(2):  # the second finds the version that is there
        code, made = first(small, capsys, mlflow.address, "--run", "digits/1")
        (found,) = mlflow.runs()
        assert code == 0 and found.info.run_id == before.info.run_id == made["tracking"]["run"]
        assert [step for step, _ in mlflow.points(found, "loss")] == [1, 2] and found.info.status == "FINISHED"


def test_one_that_fails_says_so(small, mlflow, capsys, monkeypatch):
    def fail(*_):
        raise NotFinite("no finite loss")

    monkeypatch.setattr(train.launch, "launch", fail)
    code, made = first(small, capsys, mlflow.address)
    assert code == 1 and made["error"]["code"] == "NotFinite"
    assert [found.info.status for found in mlflow.runs()] == ["FAILED"]


def test_where_no_server_is_training_goes_on_and_says_so(small, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, made = first(small, capsys, address)
    assert code == 0 and "error" in made["tracking"] and small.registry.card(made["version"]).metrics["epochs"]


def test_a_reporter_whose_server_is_lost_says_so_once_and_holds_nobody_up(mlflow, capsys, monkeypatch):
    monkeypatch.setattr(epoch_reporter, "CLOSE_S", 300)
    reporter = epoch_reporter.EpochReporter({"mlflow": mlflow.address, "experiment": EXPERIMENT, "run": "none of ours"})
    for n in (1, 2):
        reporter.report({"epoch": n, "loss": 1.0, "validation": None})
    reporter.close()
    assert capsys.readouterr().err.count("track: epochs are told when training is over") == 1


def test_where_it_is_told_does_not_change_what_is_trained(small):
    settings = load(root=small.root, model="digits", env={})
    job = train.plan_job(open_root(small.root), small.registry, settings, small.made, None, "1", None, FirstVersion(NETWORK, 32))
    there = job.model_copy(update={"track": {"mlflow": "https://x", "experiment": "e", "run": "r"}})
    assert there.digest() == job.digest() and Job.parse(there.to_dict(), "job") == there


def test_an_assessment_adds_its_figures_to_the_run_of_the_candidate(small, mlflow, capsys, monkeypatch):
    version = first(small, capsys, mlflow.address)[1]["version"]
    side = {"version": version, "latency_ms": 3.5, "calibration_error": None, "weights_bytes": 1}
    found = {"rows": 40, "dataset": "d", "versions": {"live": side, "candidate": side}, "disagreement": {"n": 40, "differ": 6},
             "overall": {"live": EXACT, "candidate": EXACT, "difference": {"value": 0.0}, "mcnemar": {"two_sided": 1.0}},
             "trial": {"images": 5}, "leakage": {"unknown_training_set": []}}
    monkeypatch.setattr(assess, "assess", lambda *_: found)
    monkeypatch.setattr(assess, "judge", lambda *_: {})
    monkeypatch.setattr(assess, "write_text", lambda _: "")
    code, made = run(assess.main, small, capsys, mlflow.address, "--candidate", version, "--live", "9")
    (told,) = mlflow.runs()
    assert code == 0 and made["tracking"]["run"] == told.info.run_id
    figures = {k: v for k, v in told.data.metrics.items() if k.startswith("assess/")}
    assert figures == {"assess/rows": 40, "assess/difference": 0, "assess/p": 1, "assess/differ": 6, "assess/live_accuracy": 0.9,
                       "assess/candidate_accuracy": 0.9, "assess/live_latency_ms": 3.5, "assess/candidate_latency_ms": 3.5}


def test_of_a_search_the_candidate_is_told_and_no_trial(world, mlflow, capsys, monkeypatch):
    world.train(epochs=1)
    monkeypatch.setattr(assess, "assess", lambda *_: {"overall": {"difference": {"value": 0.25}}})
    monkeypatch.setattr(assess, "judge", lambda *_: {})
    monkeypatch.setattr(assess_text, "write_text", lambda _: "")
    code, made = run(tune.main, world, capsys, mlflow.address, "--dataset", world.made.dataset, "--parent", "1", "--trials", "2",
                     "--epochs", "1", "--sampler", "random", "--train", "--set", "tune.pruner=none")
    (told,) = mlflow.runs()
    assert code == 0 and made["tracking"] == {"mlflow": mlflow.address, "run": told.info.run_id}
    assert (told.data.tags["trueup.version"], told.info.status) == ("2", "FINISHED")
    assert len(mlflow.points(told, "loss")) == 2 and told.data.metrics["assess/difference"] == 0.25
