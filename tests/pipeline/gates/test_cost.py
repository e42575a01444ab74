"""The gate of what mistakes cost: its interval against the bound, over the origin that the accuracy gate judges."""

import numpy as np
import pytest

from contract.documents.decision import Gate
from contract.policy import GatePolicy
from contract.texts.gates import write_gate
from metrics.intervals import wilson
from pipeline.gates.labels_needed import list_wishes
from pipeline.gates.optional import judge_cost
from pipeline.gates.tally import tally_of
from tests.figures import cell, day

WINDOW = {"from": "2026-11-19", "to": "2026-11-20"}


def judge(cells, **policy):
    made = GatePolicy(**policy)
    return judge_cost(made, tally_of(made, [day(cells)], WINDOW, "1", ["a", "b"]))


def audit(right, wrong, **others):
    return [cell("a", "a", origin="audit", n=right, **others), cell("a", "b", origin="audit", n=wrong, **others)]


@pytest.mark.parametrize(("wrong", "verdict"), [(10, "pass"), (95, "cannot tell"), (300, "fail")])
def test_it_compares_the_interval_with_the_bound(wrong, verdict):
    gate = judge(audit(1000 - wrong, wrong), max_cost_per_1000=500, costs={"b": {"a": 5}})
    low, high = wilson(wrong, 1000)
    assert gate["value"] == pytest.approx(5 * wrong) and gate["verdict"] == verdict and gate["origin"] == "audit"
    assert gate["low"] == pytest.approx(5000 * float(low)) and gate["high"] >= 5000 * float(high) - 1e-9
    assert "What its mistakes cost, over 1,000 trusted labels (audit), is" in gate["sentence"]
    Gate.parse({k: v for k, v in gate.items() if k != "n" or v is not None}, "it")


def test_without_a_bound_nothing_is_judged_or_counted():
    assert judge(audit(900, 100), costs={"b": {"a": 5}}) is None
    policy = GatePolicy(costs={"b": {"a": 5}})
    assert tally_of(policy, [day(audit(900, 100))], WINDOW, "1").costs == {}


def test_labels_that_are_not_trusted_or_too_few_cannot_tell():
    for cells in ([cell("a", "b", origin="feedback", n=900)], audit(20, 10)):
        gate = judge(cells, max_cost_per_1000=10)
        assert (gate["verdict"], gate["reason"]) == ("cannot tell", "too few labels")
        assert "to say what its mistakes cost" in gate["sentence"]


def test_weights_count_as_in_the_accuracy_gate():
    cells = audit(800, 100, p=1.0) + audit(300, 0, p=0.25)
    gate = judge(cells, max_cost_per_1000=500)
    assert gate["value"] == pytest.approx(1000 * 100 / (900 + 4 * 300)) and gate["verdict"] == "pass"


def test_the_labels_that_are_asked_for_decide_in_four_of_five_runs():
    rng, policy = np.random.default_rng(1), {"max_cost_per_1000": 500, "costs": {"b": {"a": 5}}}
    gate = judge(audit(910, 90), **policy)
    made = GatePolicy(**policy)
    [wish] = list_wishes(made, tally_of(made, [day(audit(910, 90))], WINDOW, "1", ["a", "b"]), [gate])["rows"]
    assert gate["verdict"] == "cannot tell" and wish["gate"] == "cost" and wish["blocks"]
    n = 1000 + wish["labels"]
    wrong = 90 + rng.binomial(wish["labels"], 0.09, 400)
    assert 0.75 <= np.mean(5 * wilson(wrong, n)[1] < 0.5) <= 0.97


def test_a_gate_is_written_in_its_unit():
    gate = judge(audit(900, 100), max_cost_per_1000=50)
    assert write_gate(gate) == ("100 per 1,000", "82.9 to 120 per 1,000", "50.0 per 1,000")
