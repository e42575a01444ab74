"""`trueup model canary`: the verbs, and a driver that carries a canary to its end by what replicas wrote."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract import clock, layout
from contract.canary import changes
from contract.canary.documents import ReplicaCounts, StepCounts
from contract.deciding.changes import accept_format
from contract.records import LABEL, PREDICTION
from contract.registry import Registry
from contract.storage import open_storage
from pipeline import answering, model, status
from pipeline.running.local import InProcessRunner
from pipeline.versions import canary as verbs
from tests.inference.serving import REPOSITORY, until
from tests.pipeline.roots import MODEL, make_root, put_rows, rows, write_version

QUICK = ("--set", "canary.seconds=0", "--set", "canary.answers=50", "--set", "canary.steps=[0.1, 0.5]", "--set",
         "canary.look_seconds=0.05")


@pytest.fixture
def registry(tmp_root):
    """Version 1 of two is live."""
    make_root(tmp_root, right=180, n=200)
    registry = Registry(open_storage(tmp_root), MODEL)
    write_version(registry, registry.claim(by="test"), Path(tmp_root))
    return registry


@pytest.fixture(autouse=True)
def silent(monkeypatch):
    """Version -> why it does not answer; all others do."""
    made = {}
    monkeypatch.setattr(answering, "find_silence", lambda settings, registry, version: made.get(version))
    monkeypatch.setattr(verbs, "ProcessRunner", InProcessRunner)  # evaluations in this process: milliseconds
    return made


@pytest.fixture
def canary(tmp_root, capsys, registry):
    """Runs `trueup model canary …` and returns its document."""

    def run(*arguments, code=0):
        capsys.readouterr()
        found = model.main(["canary", arguments[0], *QUICK, *arguments[1:], "--root", tmp_root, "--model", MODEL, "--json"])
        said = capsys.readouterr()
        assert found == code, said
        return json.loads(said.out)

    return run


def count(registry, replica="a", stopped=None, **steps):
    """What a replica writes: `_0={"answers": 5}` for the first step."""
    now = changes.find_canary(registry)
    document = ReplicaCounts(model=MODEL, salt=now.salt, version=now.version, replica=replica, at=clock.iso(clock.now()),
                             steps={int(k[1:]): StepCounts(**v) for k, v in steps.items()}, stopped=stopped)
    registry.storage.put(layout.canary_counts(MODEL, now.salt, replica), document.to_bytes())


def kinds(registry):
    return [r.change["kind"] for r in registry.history()][1:]


def test_start_status_step_withdraw(canary, registry, capsys):
    assert canary("status") == {"canary": None}
    assert canary("start", "2", "--by", "ana")["state"]["canary"]["expected"] is None
    count(registry, _0={"answers": 20, "errors": 1})
    said = canary("status")
    assert (said["share"], said["counts"]["0"]["answers"], said["decision"]) == (0.1, 20, "go on")
    assert "20 of 50 answers" in said["reasons"]
    assert model.main(["canary", "status", "--root", registry.storage.root, "--model", MODEL]) == 0
    assert "disagreement is not watched" in capsys.readouterr().out
    assert status.main(["--root", registry.storage.root]) == 0
    assert "digits: canary: version 2 answers 10% of the predictions in place of version 1" in capsys.readouterr().out
    assert canary("step", "--reason", "enough")["state"]["canary"]["step"] == 1
    assert "last step" in canary("step", "--reason", "enough", code=2)["error"]["message"]
    canary("withdraw", "--reason", "enough")
    assert "no canary" in canary("withdraw", "--reason", "again", code=2)["error"]["message"]
    assert kinds(registry) == ["canary started", "canary step", "canary withdrawn"]


def test_one_that_does_not_answer_is_not_started(canary, silent, registry):
    silent["2"] = "it is silent"
    assert "it is silent" in canary("start", "2", code=1)["error"]["message"]
    assert kinds(registry) == []


@pytest.mark.parametrize("wrong", ["0.5", "5/0", "7/5", "a/b", "-1/5"])
def test_differs_are_two_numbers(canary, wrong):
    assert "two numbers such as" in canary("start", "2", "--differs", wrong, code=2)["error"]["message"]


def test_a_driver_takes_each_step_and_makes_it_live(canary, registry):
    assert canary("run", code=4)["status"] == "none"
    canary("start", "2", "--differs", "20/40")
    assert canary("run", "--once")["decision"] == "go on"
    good = {"answers": 50, "compared": 50, "differ": 25}
    count(registry, _0=good)
    assert canary("run", "--once")["status"] == "canary"
    assert changes.find_canary(registry).step == 1
    count(registry, _0=good, _1=good)
    ended = canary("run")
    assert (ended["status"], ended["version"], registry.live()) == ("promoted", "2", "2")
    assert kinds(registry) == ["canary started", "canary step", "canary promoted"]
    assert canary("run") == ended  # started again after its end, it tells the same


def test_what_a_person_approves_waits_after_the_last_step(canary, registry):
    canary("start", "2", "--set", "canary.steps=[0.1]", "--set", "cycle.approval=manual")
    count(registry, _0={"answers": 50})
    assert "canary promote" in canary("run", "--once", "--set", "cycle.approval=manual")["sentence"]
    canary("promote", "--reason", "approved")
    assert registry.live() == "2"


@pytest.mark.parametrize("bad", [{"_0": {"answers": 40, "errors": 20}}, {"_0": {"answers": 40, "compared": 40, "slower": 38}},
                                 {"_0": {"answers": 60, "compared": 60, "differ": 45}}, {"stopped": "errors: 9 of 9"}])
def test_a_driver_withdraws_and_says_why(canary, registry, bad):
    canary("start", "2", "--differs", "4/40")
    count(registry, **bad)
    ended = canary("run", code=3)
    assert ended["status"] == "withdrawn" and "withdrawn by" in ended["sentence"] and registry.live() == "1"
    assert canary("run", code=3) == ended


def label_canary(registry, right, n, live="1"):
    """Rows of role canary of today, all labelled by an audit; and live ones, nine of ten right."""
    today = clock.day_of(clock.now())
    for role, version, good, many in (("canary", "2", right, n), ("live", live, 90, 100)):
        predictions, labels = rows(many, good, many, day=today, version=version)
        there = [p | {"role": role, "prediction_id": f"{role}{p['prediction_id']}", "predicted_at": clock.now()}
                 for p in predictions]
        put_rows(registry.storage, PREDICTION, "predictions", there, today, writer=role)
        put_rows(registry.storage, LABEL, "labels", [row | {"prediction_id": f"{role}{row['prediction_id']}",
                                                            "label_id": f"{role}{row['label_id']}",
                                                            "labeled_at": clock.now()} for row in labels],
                 today, writer=role)


@pytest.mark.parametrize(("right", "code", "status"), [(70, 3, "withdrawn"), (185, 0, "canary")])
def test_labels_of_its_own_rows_decide(canary, registry, right, code, status):
    canary("start", "2", "--set", "canary.labels=30")
    label_canary(registry, right, 200)
    count(registry, _0={"answers": 200})
    ended = canary("run", "--once", code=code)
    assert ended["status"] == status
    if code:
        assert "70 of 200 right, of the live version's 90 of 100" in ended["sentence"]
    else:
        assert changes.find_canary(registry).step == 1


def test_the_live_versions_labels_are_those_of_its_format_where_that_answers(canary, registry, tmp_root):
    write_version(registry, registry.claim(by="test"), Path(tmp_root))
    accept_format(registry, "3", "1", by="test", reason="as good")
    canary("start", "2", "--set", "canary.labels=30")
    label_canary(registry, 70, 200, live="3")
    count(registry, _0={"answers": 200})
    assert "70 of 200 right, of the live version's 90 of 100" in canary("run", "--once", code=3)["sentence"]


def test_a_damaged_count_stops_the_driver_and_is_named(canary, registry):
    canary("start", "2")
    count(registry, _0={"answers": 50})
    registry.storage.put(layout.canary_counts(MODEL, changes.find_canary(registry).salt, "b"), b"{")
    assert "b.json" in canary("run", "--once", code=1)["error"]["message"]


@pytest.mark.slow("kills")
def test_a_driver_that_is_killed_and_two_at_once_do_no_harm(canary, registry, tmp_root):
    canary("start", "2", "--differs", "20/40")
    command = [sys.executable, "-m", "pipeline.model", "canary", "run", "--root", tmp_root, "--model", MODEL, "--json", *QUICK]
    drivers = [subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL) for _ in range(3)]
    time.sleep(1.5)
    drivers[0].send_signal(signal.SIGKILL)
    drivers[0].communicate(timeout=60)
    good = {"answers": 50, "compared": 50, "differ": 25}
    count(registry, _0=good)
    until(lambda: changes.find_canary(registry).step == 1, 60)
    count(registry, _0=good, _1=good)
    ends = [json.loads(d.communicate(timeout=60)[0])["status"] for d in drivers[1:]]
    assert ends == ["promoted", "promoted"] and kinds(registry) == ["canary started", "canary step", "canary promoted"]
