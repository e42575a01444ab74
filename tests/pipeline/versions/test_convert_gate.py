"""A conversion is asked what a candidate of the cycle is asked: its own floor, its calibration error, what was forgotten."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.policy import GatePolicy
from contract.registry import Registry
from contract.storage import open_storage
from metrics.judging.promotion import judge_assessment
from metrics.significance.paired import Paired
from pipeline import model
from pipeline.running import stages
from pipeline.versions import convert
from tests.pipeline.roots import MODEL, make_root, write_version

ALIKE = Paired(900, 0, 0, 100)  # both are right on 900 of 1,000 rows
MARGIN = 0.005


@pytest.fixture
def registry(tmp_root):
    """Version 1 is live; version 2 has the same weights, and knows a dataset, so that something can be forgotten."""
    make_root(tmp_root, right=9, n=10)
    registry = Registry(open_storage(tmp_root), MODEL)
    for parent in ("1", "2"):
        write_version(registry, registry.claim(by="test"), Path(tmp_root), dataset="d", parent=parent)
    return registry


@pytest.fixture
def assessed(monkeypatch):
    """What the process that assesses answers; the conversion of version 2 was made before: version 3."""
    document = {
        "dataset": "d", "by_origin": {"audit": ALIKE.to_dict()}, "per_class_by_origin": [], "window": {},
        "first": {"dataset": "d", "by_origin": {"audit": Paired(800, 100, 0, 100).to_dict()}},
        "versions": {side: {"latency_ms": 1.0, "calibration_by_origin": {"audit": {"ece": 0.1, "margin": 0.01, "n": 1000}}}
                     for side in ("live", "candidate")}}
    made = {"model": MODEL, "version": "3", "parent": "2", "card": {"made_from": "version 2 converted"}}

    class Runner:
        def run(self, stage, *_):
            return SimpleNamespace(document=made if stage is stages.CONVERT else document)

    monkeypatch.setattr(convert, "ProcessRunner", Runner)
    return document


@pytest.fixture
def run(registry, capsys):
    def run(*settings, code, json_too=("--json",)):
        capsys.readouterr()
        argv = ["convert", "2", "--number-format", "int8", "--by", "ana", "--root", registry.storage.root, "--model", MODEL,
                "--margin", str(MARGIN), *(part for text in settings for part in ("--set", text)), *json_too]
        assert model.main(argv) == code
        said = capsys.readouterr().out
        return json.loads(said)["assessed"] if json_too else said

    return run


def decide(document, **asked):
    """What the promotion gate says of it in the cycle, with the margin for its largest drop."""
    return judge_assessment(GatePolicy(max_drop=MARGIN), document, **asked)


def test_what_holds_every_bound_is_let_in(run, registry, assessed):
    before = registry.newest().seq
    found = run("promotion.min_accuracy=0.85", "promotion.max_ece=0.15", code=0)
    assert found["verdict"] == "pass" and registry.newest().seq == before + 1 and registry.newest().state.formats == {"3": "2"}
    assert found["floor"]["bound"] == 0.85 and found["calibration"]["bound"] == 0.15


@pytest.mark.parametrize(("setting", "asked", "verdict", "code"), [
    ("promotion.min_accuracy=0.95", {"floor": 0.95}, "fail", 3), ("promotion.min_accuracy=0.9", {"floor": 0.9}, "cannot tell", 4),
    ("promotion.max_ece=0.05", {"max_ece": 0.05}, "fail", 3), ("promotion.max_ece=0.1", {"max_ece": 0.1}, "cannot tell", 4)])
def test_what_a_candidate_would_be_refused_for_refuses_a_conversion(run, registry, assessed, setting, asked, verdict, code):
    before = registry.newest().seq
    found, expected = run(setting, code=code), decide(assessed, **asked)
    assert found["verdict"] == expected["verdict"] == verdict and found["sentence"] == expected["sentence"]
    assert registry.newest().seq == before and not registry.newest().state.formats
    text = run(setting, code=code, json_too=())
    name = setting.partition("=")[0]
    expected_end = f"refused by {name}: no service takes it" if code == 3 else f"cannot be told whether it holds {name}"
    assert expected_end in text and "not as good as" not in text
    assert decide(assessed)["verdict"] == "pass", "the paired test alone would have let it in"


def test_what_was_forgotten_refuses_it_too(run, registry, assessed):
    found = run("gates.max_forgetting=0.02", code=3)
    assert found["forgetting"]["verdict"] == "fail" and not registry.newest().state.formats
    assert "refused by gates.max_forgetting" in run("gates.max_forgetting=0.02", code=3, json_too=())


def test_a_drop_and_a_bound_are_both_named(run, assessed):
    assessed["by_origin"]["audit"] = Paired(700, 200, 0, 100).to_dict()
    said = run("promotion.min_accuracy=0.9", code=3, json_too=())
    assert "not as good as version 2, and refused by promotion.min_accuracy: no service takes it by itself" in said
    assert "its floor is 90%: fail" in said
    assert "not as good as version 2: no service takes it by itself" in run(code=3, json_too=())


def test_what_the_first_dataset_cannot_tell_more_pictures_do_not_cure(run, registry, assessed):
    """It is made, and may be gone: no picture that is held out from now on enters it."""
    assessed["first"] = {"dataset": "d", "reason": "a held-out row was trained on", "by_origin": {}}
    said = run("gates.max_forgetting=0.02", code=4, json_too=())
    assert "cannot be told whether it holds gates.max_forgetting: do not ask it (--set gates.max_forgetting=null)" in said
    assert "hold out more" not in said and not registry.newest().state.formats
    assert run("gates.max_forgetting=null", code=0)["verdict"] == "pass"


def test_all_that_cannot_be_told_is_named(run, assessed):
    assessed["by_origin"]["audit"] = Paired(45, 0, 0, 5).to_dict()
    said = run("promotion.min_accuracy=0.9", code=4, json_too=())
    assert ("cannot be told whether it is as good as version 2, nor whether it holds promotion.min_accuracy: hold out more "
            "pictures, or allow a larger --margin") in said
