"""`trueup gate` on real evaluations: reads the counts, writes one decision."""

import json

import pytest

from contract import layout
from contract.deciding.changes import retire
from contract.records import LABEL
from contract.registry import Registry
from contract.storage import open_storage, read_json
from jobs import evaluate
from pipeline import gate
from pipeline.attempts import list_attempts
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows


@pytest.fixture
def trueup(tmp_root, capsys):
    """Evaluates, then gates; the decision."""

    def run(*options, code, again=False):
        if not again:
            assert evaluate.main(["--root", tmp_root, "--model", MODEL, "--from", DAY, "--to", DAY, "--json"]) == 0
        capsys.readouterr()
        assert gate.main(["--root", tmp_root, "--model", MODEL, "--json", *options]) == code
        return json.loads(capsys.readouterr().out)

    return run


def test_the_decision_rests_on_the_counts_and_lies_beside_the_evaluation(tmp_root, trueup):
    make_root(tmp_root, right=120, n=200)
    made = trueup(code=3)
    assert (made["verdict"], made["gates"][0]["right"], made["gates"][0]["n"]) == ("fail", 120, 200)
    storage = open_storage(tmp_root)
    assert read_json(storage, layout.evaluation(MODEL, made["evaluation"]) + "decision.json") == made


def test_only_rows_of_the_live_version_count(tmp_root, trueup):
    make_root(tmp_root, right=199, n=200)
    make_root(tmp_root, right=10, n=200, version="0")
    assert trueup(code=0)["gates"][0]["n"] == 200


def test_the_same_decision_again_keeps_the_first(tmp_root, trueup):
    make_root(tmp_root, right=199, n=200)
    assert trueup(code=0) == trueup(code=0, again=True)


def test_another_decision_on_the_same_evaluation_is_refused_but_can_be_looked_at(tmp_root, trueup):
    make_root(tmp_root, right=199, n=200)
    trueup(code=0)
    other = ("--set", "gates.min_accuracy=0.999")
    assert "made under another policy or history" in trueup(*other, code=1, again=True)["error"]["message"]
    assert trueup(*other, "--dry-run", code=4, again=True)["verdict"] == "cannot tell"


def test_an_empty_window_is_no_data(tmp_root, trueup):
    make_root(tmp_root, right=199, n=200, day="2026-10-01")
    assert trueup(code=4)["reasons"] == ["no data"]


def test_a_window_without_labels_cannot_tell(tmp_root, trueup):
    make_root(tmp_root, right=0, n=200, labelled=0)
    made = trueup(code=4)
    assert made["reasons"] == ["labels still arriving"] and made["gates"][0]["n"] == 0


def test_a_label_whose_prediction_is_missing_is_counted_as_orphan_and_judges_nothing(tmp_root, trueup):
    make_root(tmp_root, right=199, n=200)
    _, labels = rows(260, 0, 260)
    put_rows(open_storage(tmp_root), LABEL, "labels", labels[200:], writer="late")
    made = trueup(code=0)
    evaluation = read_json(open_storage(tmp_root), layout.evaluation(MODEL, made["evaluation"]) + "evaluation.json")
    assert (evaluation["rows"]["orphan"], evaluation["rows"]["vote"], made["gates"][0]["n"]) == (60, 200, 200)


def test_a_quarantined_file_never_passes(tmp_root, trueup):
    make_root(tmp_root, right=199, n=200)
    open_storage(tmp_root).put(f"predictions/dt={DAY}/broken.parquet", b"PAR1 no parquet")
    assert evaluate.main(["--root", tmp_root, "--model", MODEL, "--from", DAY, "--to", DAY, "--quarantine"]) == 0
    assert trueup(code=4, again=True)["reasons"] == ["partial evaluation"]


def test_a_model_of_no_registry_is_judged_when_it_has_one_version(tmp_root, trueup):
    make_root(tmp_root, right=199, n=200)
    for key in [e.key for e in open_storage(tmp_root).list("models/")]:
        open_storage(tmp_root).delete(key)
    assert trueup(code=0)["version"] == "1"
    make_root(tmp_root, right=199, n=200, version="2")
    for key in [e.key for e in open_storage(tmp_root).list("models/")]:
        open_storage(tmp_root).delete(key)
    assert "2 versions of it (1, 2). Name one: --version" in trueup(code=2)["error"]["message"]
    assert trueup("--version", "2", code=0, again=True)["version"] == "2"


def test_of_a_retired_model_a_version_is_to_be_named(tmp_root, trueup):
    make_root(tmp_root, right=199, n=200)
    make_root(tmp_root, right=199, n=200, version="2")
    retire(Registry(open_storage(tmp_root), MODEL), by="ana", reason="over")
    said = trueup(code=2)["error"]["message"]
    assert "no version of model 'digits' is live" in said and "2 versions of it (1, 2). Name one: --version" in said


def test_what_is_not_there_is_named(tmp_root, trueup):
    make_root(tmp_root, right=199, n=200)
    assert "expected an evaluation of model 'digits', found none" in trueup(code=1, again=True)["error"]["message"]
    assert "has no evaluation 'x'; the newest are: none" in trueup("--evaluation", "x", code=1, again=True)["error"]["message"]


def test_for_people_it_is_a_table_and_a_sentence(tmp_root, trueup, capsys):
    make_root(tmp_root, right=120, n=200)
    trueup(code=3)
    assert gate.main(["--root", tmp_root, "--model", MODEL]) == 3
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("accuracy") and "60% (53 to 67%)" in said[1]
    assert said[-1].startswith("fail: Version 1 does not hold. "
                               "Accuracy is 60% (53 to 67%) over 200 trusted labels (audit), below the bound of 90%.")


def test_retrainings_are_the_claims_of_runs(tmp_root):
    make_root(tmp_root, right=120, n=200)
    registry = Registry(open_storage(tmp_root), MODEL)
    registry.claim(by="train", run="digits/1")
    registry.claim(by="somebody")
    assert len(list_attempts(registry.storage, MODEL)) == 1
