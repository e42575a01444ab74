"""The section `cost` of an evaluation: made when costs are set, from the counts that it names, and checked against cards."""

import json
from datetime import timedelta

import pytest

from command.load_settings import load
from contract import clock, ids
from contract.documents.evaluation import parse
from contract.errors import UsageError
from contract.jsonio import dumps
from contract.records import LABEL, PREDICTION
from contract.storage import open_root
from jobs.count_window import evaluate
from jobs.evaluate import main
from jobs.evaluate_text import write_text
from jobs.evaluation_request import request_of
from jobs.reports.page import render
from pipeline.gate import make_decision
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows


def ask(root, *overrides):
    settings = load(root=root, model=MODEL, overrides=overrides, env={})
    return evaluate(open_root(root), request_of(settings, None, (), "live", None, ()))


@pytest.fixture
def root(tmp_root):
    """Version 1 answered 200 times, of 150 audited answers 120 are right; the wrong ones are spread over a and b."""
    return make_root(tmp_root, 120, 200, 150)


def test_costs_that_are_set_are_shown(root):
    document, _ = ask(root, "gates.costs={a: {b: 10}}", "gates.review_cost=3")
    found = document["evidence"]["cost"]
    one = found["versions"]["1"]
    assert (found["costs"], found["default"], found["review"]) == ([{"label": "a", "predicted": "b", "cost": 10.0}], 1.0, 3.0)
    assert one["origin"] == "audit" and one["labelled"] == 150
    b_for_a = next(p["count"] for p in one["dearest"] if p["label"] == "a")
    assert one["per_1000"]["value"] == pytest.approx(1000 * (10 * b_for_a + 30 - b_for_a) / 150)
    assert "its mistakes cost" in write_text(document, "there")
    assert parse(dumps(document), "it")["evidence"] == document["evidence"]
    page = render(document, None)
    assert "What mistakes cost" in page and "the mistakes that cost most" in page
    assert "from which confidence accepting is cheaper than looking" in page


def test_nothing_is_made_without_costs_and_the_default_on_demand(root):
    assert "evidence" not in ask(root)[0]
    found = ask(root, "evaluate.evidence=[cost]")[0]["evidence"]["cost"]["versions"]["1"]
    assert found["per_1000"]["value"] == pytest.approx(1000 * 30 / 150) and found["thresholds"] == []


def test_a_class_that_no_card_has_is_refused_here_and_by_the_gate(root):
    with pytest.raises(UsageError, match="has no class 'catt': expected one of a, b"):
        ask(root, "gates.costs={catt: {b: 10}}")
    _, key = ask(root)
    settings = load(root=root, model=MODEL, overrides=["gates.costs={catt: {b: 10}}", "gates.max_cost_per_1000=10"], env={})
    with pytest.raises(UsageError, match="has no class 'catt'"):
        make_decision(open_root(root), settings, MODEL, key.rstrip("/").rpartition("/")[2])


def test_section_and_gate_say_the_same(root):
    document, key = ask(root, "gates.costs={a: {b: 10}}")
    settings = load(root=root, model=MODEL, overrides=["gates.costs={a: {b: 10}}", "gates.max_cost_per_1000=100"], env={})
    decision = make_decision(open_root(root), settings, MODEL, key.rstrip("/").rpartition("/")[2])
    gate = next(g for g in decision["gates"] if g["gate"] == "cost")
    figure = document["evidence"]["cost"]["versions"]["1"]["per_1000"]
    assert {name: gate[name] for name in ("value", "low", "high")} == pytest.approx(figure)
    assert gate["verdict"] == "fail" and decision["verdict"] == "fail" and "per 1,000" in decision["sentence"]


def test_without_a_card_a_class_that_no_row_has_is_told(tmp_root, capsys):
    storage = open_root(tmp_root, create=True)
    noon = clock.parse_moment(f"{DAY}T12:00:00Z")
    names = [ids.uuid7(noon + timedelta(seconds=n), entropy=f"{n:010}".encode()) for n in range(40)]
    put_rows(storage, PREDICTION, "predictions", [
        {"prediction_id": i, "predicted_at": noon, "model": MODEL, "model_version": "1", "predicted_label": "a",
         "confidence": 0.9} for i in names], DAY)
    put_rows(storage, LABEL, "labels", [
        {"label_id": f"of {i}", "prediction_id": i, "label": "ab"[n % 4 == 0], "labeler": "ada", "labeled_at": noon}
        for n, i in enumerate(names)], DAY)
    assert main(["--root", tmp_root, "--model", MODEL, "--set", "gates.costs={zebra: {a: 3}}", "--json", "--no-report"]) == 0
    found = json.loads(capsys.readouterr().out)["evidence"]["cost"]
    assert found["unknown"] == ["zebra"] and "No row has the classes zebra" in found["sentence"]
    assert found["versions"]["1"]["per_1000"]["value"] == 250
