"""Services answer with a format of the live version: what judges, shows and compares the live version means those rows."""

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract import clock
from contract.canary import changes as canaries
from contract.canary.documents import Bounds
from contract.deciding import changes
from contract.policy import GatePolicy
from contract.records import PREDICTION
from contract.registry import Registry
from contract.settings import Settings
from contract.storage import open_storage
from inference.monitoring.figures import Documents
from inference.overview.facts import Facts
from jobs import evaluate
from metrics.significance.paired import Paired
from pipeline import cycle, gate, model, status
from pipeline.canary.labels import count_labels
from pipeline.gates.pictures import judge_pictures
from pipeline.notifying.events import find_events
from pipeline.running.local import InProcessRunner
from pipeline.verifying import command as verify
from pipeline.versions import convert
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows, write_version

FORMAT = "2"


@pytest.fixture
def root(tmp_root):
    """Version 1 is live, version 2 is a format of it, and answered 200 times, 120 of them right."""
    make_root(tmp_root, right=1, n=2, labelled=0)
    registry = Registry(open_storage(tmp_root), MODEL)
    write_version(registry, registry.claim(by="test"), Path(tmp_root))
    changes.accept_format(registry, FORMAT, "1", by="ana", reason="as good")
    return make_root(tmp_root, right=120, n=200, version=FORMAT)


@pytest.fixture
def run(capsys, root):
    def run(main, *options, codes=(0, 3, 4)):
        capsys.readouterr()
        code = main([*options, "--root", root, *(() if main is status.main else ("--model", MODEL)), "--json"])
        said = capsys.readouterr()
        assert code in codes, said
        return json.loads(said.out)

    return run


def test_a_verdict_on_the_format_is_that_of_the_model_everywhere(run, root):
    run(evaluate.main, "--no-report")
    assert run(gate.main)["version"] == FORMAT
    assert run(status.main)["models"][0]["decision"]["verdict"] == "fail"
    storage = open_storage(root)
    assert Facts(storage, None).describe(MODEL)["verdict"]["verdict"] == "fail"
    (figures,) = Documents(storage, None).read()
    assert (figures.judged, figures.verdict) == (FORMAT, "fail")


@pytest.mark.usefixtures("fake_stages")
def test_a_refused_candidate_is_not_trained_again_without_new_labels(run):
    asked = ("--in-process", "--set", "promotion.min_accuracy=0.999")
    assert run(cycle.main, *asked)["candidate"] == "3"
    again = run(cycle.main, *asked)
    assert again["candidate"] is None and again["stages"]["gate"]["retrain"]["further_labels"] == 0


@pytest.mark.usefixtures("fake_stages")
def test_a_candidate_is_held_against_what_answered_beside_it(run, root):
    asked = ("--in-process", "--set", "gates.shadow_labels=100", "--set", "gates.allow_fragile=true")
    assert run(cycle.main, *asked)["status"] == "awaiting shadow"
    predictions, labels = rows(200, 120, 200, version=FORMAT)
    told = {row["prediction_id"]: row["label"] for row in labels}
    for row in predictions:
        row |= {"role": "shadow", "model_version": "3", "predicted_label": told[row["prediction_id"]]}
    put_rows(open_storage(root), PREDICTION, "predictions", predictions, DAY, "s")
    done = run(cycle.main, *asked)
    assert (done["status"], done["published"], done["stages"]["shadow"]["answered"]) == ("published", "3", FORMAT)
    found = run(verify.main, "3", "--in-process")["findings"]
    assert [f["state"] for f in found if f["of"] == f"runs/{MODEL}/2/shadow.json" and "sha256" not in f["said"]] == ["equal"]


def test_labels_of_a_canary_are_held_against_those_of_all_formats(root):
    registry = Registry(open_storage(root), MODEL)
    write_version(registry, registry.claim(by="test"), Path(root))
    canary = canaries.start(registry, "3", [0.5], Bounds(), by="ana", reason="try").record.state.canary
    canary = canary.model_copy(update={"started_at": clock.iso(clock.now() - timedelta(days=9))})
    predictions, _ = rows(50, 50, 0, version=FORMAT)
    for row in predictions:
        row |= {"role": "canary", "model_version": "3"}
    put_rows(registry.storage, PREDICTION, "predictions", predictions, DAY, "c")
    settings = Settings().model_dump(mode="json", exclude={"root", "model"})
    found = count_labels(registry, canary, InProcessRunner(), settings)
    assert found["live"] is not None and found["live"].n == 200


def test_thresholds_are_by_default_of_what_answered_and_hold(run):
    made = run(evaluate.main, "--no-report")["id"]
    accepted = run(model.main, "thresholds", "accept", made, "--by", "ana", "--target", "0.5", codes=(0,))
    assert accepted["change"]["version"] == FORMAT
    assert run(model.main, "thresholds", "show")["hold"] is True


def test_pictures_of_the_live_version_are_those_of_its_formats():
    section = {"reference": {"kind": "dataset", "reason": None}, "version": "1", "days": []}
    evaluation = {"evidence": {"pictures": section}}
    (row,) = judge_pictures(GatePolicy(max_picture_drift=0.1), evaluation, ["2", "1"])
    assert row["reason"] == "too few pictures"
    (row,) = judge_pictures(GatePolicy(max_picture_drift=0.1), evaluation, ["3"])
    assert "it has those of version 1" in row["sentence"]


def test_of_a_retired_model_no_old_verdict_is_told(run, root, monkeypatch):
    run(evaluate.main, "--no-report")
    run(gate.main)
    since = clock.now() - timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda now=clock.now: now() + timedelta(days=60))
    storage = open_storage(root)
    assert {e.kind for e in find_events(storage, MODEL, since, 30.0)} >= {"stale"}
    changes.retire(Registry(storage, MODEL), by="ana", reason="over")
    assert "stale" not in {e.kind for e in find_events(storage, MODEL, since, 30.0)}


def test_of_a_day_that_nobody_judged_another_policy_judges_what_answered(run, tmp_path):
    (tmp_path / "policy.yaml").write_text("min_accuracy: 0.5")
    today = clock.day_of(clock.now())  # the format was let in a moment ago
    (row,) = run(gate.main, "--what-if", str(tmp_path / "policy.yaml"), "--from", today, "--to", today)["days"]
    assert (row["judged"], row["version"], row["said"]["verdict"]) == (False, FORMAT, "fail")


class Assessed:
    """Stands for the process that assesses: both answer alike."""

    def run(self, *_):
        alike = Paired(900, 0, 0, 100).to_dict()
        document = {"dataset": "d", "by_origin": {"audit": alike}, "per_class_by_origin": [], "window": {}, "first": None,
                    "versions": {side: {"latency_ms": 1.0} for side in ("live", "candidate")}}
        return SimpleNamespace(document=document)


@pytest.mark.parametrize(("dataset", "verdict"), [(None, "pass"), ("d", "cannot tell")])
def test_what_was_never_trained_here_forgets_nothing_by_being_converted(root, tmp_path, dataset, verdict):
    """A version from outside has no first dataset; one whose first dataset is gone cannot be told, as for every candidate."""
    registry = Registry(open_storage(root), MODEL)
    parent = registry.claim(by="test")
    write_version(registry, parent, tmp_path, dataset=dataset)
    policy = Settings(gates=GatePolicy(max_forgetting=0.02))
    made = {"version": parent, "parent": parent}
    assert convert.assess(Assessed(), policy, registry, made, "d", 0.005)["verdict"] == verdict
