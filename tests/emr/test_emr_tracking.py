"""MLflow hears from whoever asked what the nodes of a cluster could not tell it."""

from dataclasses import replace

import pytest

from contract.registry import Registry
from contract.sections.tracking import TrackFields
from contract.storage import open_root
from emr import needs
from emr.tracking import find_candidate, tell_of_stage
from tests.emr.test_emr_cli import EMR, account, told  # noqa: F401
from tests.pipeline.roots import MODEL, make_root

ASSESSMENT = {"versions": {"candidate": {"version": "3"}}, "overall": {"difference": {"value": 0.1}}}


def test_a_training_by_hand_whose_nodes_told_nothing_is_told_by_whoever_asked(account, s3_root, capsys, monkeypatch):  # noqa: F811
    """What is said to MLflow then: tests/command/tracking."""
    asked = []
    monkeypatch.setattr("emr.tracking.tell", lambda track, work: {"mlflow": track.mlflow, "run": work("the store")})
    monkeypatch.setattr("emr.tracking.log_assessment", lambda store, of, *what: asked.append((store, of.model, *what)))
    monkeypatch.setitem(needs.NEEDS, "train", replace(needs.NEEDS["train"], module="tests.fakes.fake_train", sets=()))
    options = ["--root", make_root(s3_root, right=1, n=2), "--model", MODEL, "--set", "track.mlflow=https://x", *EMR]
    made = told(capsys, "run", "--stage", "train", *options, "--", "--dataset", "d1", "--parent", "1")
    assert (made["version"], made["tracking"]) == ("2", {"mlflow": "https://x", "run": None})
    assert asked == [("the store", MODEL, "2", None)]


@pytest.mark.parametrize(("stage", "document", "expected"), [
    ("train", {"version": "2"}, ("2", None)), ("assess", ASSESSMENT, ("3", ASSESSMENT)),
    ("tune", {"candidate": "4", "assessment": ASSESSMENT}, ("4", ASSESSMENT)), ("tune", {"candidate": None}, (None, None)),
    ("evaluate", {"version": "2"}, (None, None)), ("assess", {"error": {"code": "EmptyData"}}, (None, None))])
def test_the_candidate_is_found_in_each_answer(stage, document, expected):
    assert find_candidate(stage, document) == expected


def test_what_the_nodes_told_is_not_told_again(tmp_root, monkeypatch):
    registry = Registry(open_root(make_root(tmp_root, right=1, n=2)), MODEL)
    monkeypatch.setattr("emr.tracking.tell", lambda *_: pytest.fail("nothing is left to tell"))
    said = {"mlflow": "https://x", "run": "r"}
    assert tell_of_stage(TrackFields(mlflow="https://x"), registry, "train", {"version": "1", "tracking": said}) == said
    assert tell_of_stage(TrackFields(), registry, "evaluate", {}) is None


def test_a_database_that_nodes_had_on_their_own_disks_is_not_the_one_of_whoever_asks(tmp_root, monkeypatch):
    registry = Registry(open_root(make_root(tmp_root, right=1, n=2)), MODEL)
    monkeypatch.setattr("emr.tracking.tell", lambda track, work: {"mlflow": track.mlflow, "run": "here"})
    address = "sqlite:////tmp/mlflow.db"
    told = tell_of_stage(TrackFields(mlflow=address), registry, "train",
                         {"version": "1", "tracking": {"mlflow": address, "run": "there"}})
    assert told == {"mlflow": address, "run": "here"}
