"""A candidate that has to hold as a shadow: it waits, is published, refused or approved by a later run, whatever is killed."""

import json

import pytest

from contract.deciding import changes
from contract.records import PREDICTION
from contract.registry import Registry
from contract.runs import Runs
from contract.storage import open_storage
from pipeline import cycle, model, shadowing
from pipeline.verifying import command as verify
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows
from tests.pipeline.test_cycle import turn

pytestmark = pytest.mark.usefixtures("fake_stages")
ASKED = ("--set", "gates.shadow_labels=100", "--set", "gates.allow_fragile=true")


@pytest.fixture
def root(tmp_root):
    """Version 1 is live, and right about 120 of 200."""
    return make_root(tmp_root, right=120, n=200)


def answer_as_shadow(root, right, n=200, version="2"):
    """The candidate's rows: right about the first `right` of the `n` first predictions."""
    predictions, labels = rows(200, 120, 200)
    told = {row["prediction_id"]: row["label"] for row in labels}
    for i, row in enumerate(predictions):
        label = told[row["prediction_id"]]
        row |= {"role": "shadow", "model_version": version, "predicted_label": label if i < right else "ab".replace(label, "")}
    put_rows(open_storage(root), PREDICTION, "predictions", predictions[:n], DAY, f"s{n}")


def state(root):
    return Registry(open_storage(root), MODEL).newest().state


def test_a_candidate_waits_then_holds_and_is_published(capsys, root):
    made = turn(capsys, root, *ASKED, code=4)
    assert (made["status"], made["candidate"], made["published"]) == ("awaiting shadow", "2", None)
    assert (state(root).live, state(root).aliases) == ("1", {"shadow": "2"})
    answer_as_shadow(root, right=60, n=60)
    again = turn(capsys, root, *ASKED, code=4)
    assert (again["status"], again["candidate"]) == ("awaiting shadow", None)
    assert "On 60 labelled predictions of the shadow of origin audit" in again["sentence"] and "expected 100" in again["sentence"]
    answer_as_shadow(root, right=190)
    done = turn(capsys, root, *ASKED)
    assert (done["status"], done["published"], state(root).live) == ("published", "2", "2")
    # 60 rows lie there twice and count once; right about 190 of 200, of which the live version has 120
    found = done["stages"]["shadow"]
    assert (found["overall"]["n"], found["verdict"], found["rows"]) == (200, "pass", 200)
    assert found["overall"]["candidate"] == 0.95 and found["overall"]["live"] == 0.6
    record = Registry(open_storage(root), MODEL).history()[-1]
    assert record.change["run"] == "digits/3"
    assert {f"runs/{MODEL}/3/shadow.json", f"runs/{MODEL}/1/promotion.json"} <= record.change["rests_on"].keys()
    verify.main(["2", "--root", root, "--model", MODEL, "--in-process", "--json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert not [f for f in found if f["state"] in ("differs", "missing") and f["of"].startswith("runs/")]
    of = [f"runs/{MODEL}/3/shadow.json", f"runs/{MODEL}/1/promotion.json"]
    again = {f["of"]: f["state"] for f in found if f["of"] in of and "sha256" not in f["said"]}
    assert again == dict.fromkeys(of, "equal")


def test_a_candidate_that_does_not_hold_is_refused(capsys, root):
    turn(capsys, root, *ASKED, code=4)
    answer_as_shadow(root, right=80)
    made = turn(capsys, root, *ASKED, code=3)
    assert (made["status"], state(root).live, state(root).aliases) == ("refused", "1", {})
    assert "Version 2 is not published" in made["sentence"]


def test_a_person_approves_what_held(capsys, root):
    manual = (*ASKED, "--set", "cycle.approval=manual")
    turn(capsys, root, *manual, code=4)
    assert model.main(["approve", "2", "--root", root, "--model", MODEL, "--untried"]) != 0
    assert "ended as 'awaiting shadow'" in capsys.readouterr().err
    answer_as_shadow(root, right=190)
    assert turn(capsys, root, *manual)["status"] == "awaiting approval"
    assert model.main(["approve", "2", "--root", root, "--model", MODEL, "--untried"]) == 0
    record = Registry(open_storage(root), MODEL).history()[-1]
    assert (record.state.live, record.change["run"]) == ("2", "digits/2") and "of the shadow" in record.change["reason"]
    assert f"runs/{MODEL}/2/shadow.json" in record.change["rests_on"]


def test_who_takes_the_name_away_ends_the_waiting(capsys, root):
    turn(capsys, root, *ASKED, code=4)
    changes.set_alias(Registry(open_storage(root), MODEL), "shadow", None, by="ana", reason="no")
    made = turn(capsys, root, "--set", "gates.min_new_labels=0", *ASKED, code=4)
    assert made["candidate"] == "3" and state(root).aliases == {"shadow": "3"}


@pytest.mark.slow("kills")
@pytest.mark.parametrize("killed", ["name_candidate", "look_at", "end_shadow", "finish"])
def test_a_killed_run_goes_on_where_it_was(capsys, root, monkeypatch, killed):
    class Killed(BaseException):
        pass

    def die_once(where, name):
        real, died = getattr(where, name), []

        def work(*arguments, **options):
            found = real(*arguments, **options)
            if not died:
                died.append(True)
                raise Killed
            return found

        monkeypatch.setattr(where, name, work)

    def drive(code):
        return turn(capsys, root, "--set", "cycle.takeover_seconds=0", *ASKED, code=code)

    if killed == "name_candidate":
        die_once(shadowing, killed)
        with pytest.raises(Killed):
            drive(4)
    assert drive(4)["status"] == "awaiting shadow"
    answer_as_shadow(root, right=80)
    if killed != "name_candidate":
        die_once(cycle.Run if killed == "finish" else shadowing, killed)
        with pytest.raises(Killed):
            drive(3)
    if killed == "finish":  # its end was written: nothing is left to do
        assert Runs(open_storage(root), MODEL).newest().end().status == "refused"
    else:
        assert drive(3)["run"] == "digits/2"
    assert state(root).aliases == {} and Registry(open_storage(root), MODEL).versions() == ["1", "2"]
    kinds = [r.change["kind"] for r in Registry(open_storage(root), MODEL).history()]
    assert kinds == ["promote", "alias", "alias"]


def test_the_command_decides_from_an_evaluation(capsys, root):
    def ask(code, *options):
        assert model.main(["shadow", "--root", root, "--model", MODEL, "--json", *ASKED, *options]) == code
        return capsys.readouterr().out

    assert "no version of 'digits' is named shadow" in ask(2)
    turn(capsys, root, *ASKED, code=4)
    assert '"too few labels"' in ask(4)
    answer_as_shadow(root, right=190)
    turn(capsys, root, "--set", "gates.shadow_labels=1000", code=4)
    assert '"verdict":"pass"' in ask(0).replace(" ", "") and '"verdict":"fail"' not in ask(0, "2").replace(" ", "")
    assert '"verdict":"cannottell"' in ask(4, "--set", "gates.shadow_labels=300").replace(" ", "")
