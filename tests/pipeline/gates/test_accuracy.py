"""The accuracy gate judges what `estimate` shows: one origin, its weights, and why it cannot tell."""

from pathlib import Path

import pytest

from contract.policy import GatePolicy
from pipeline.gates.accuracy import judge_accuracy
from pipeline.gates.decide import decide
from pipeline.gates.tally import RightCount, Tally, tally_of
from tests.figures import cell, day, document
from tests.pipeline.gates.test_decide import evaluation

POLICY = GatePolicy(min_class_recall=None)


def asked(right, n, p, origin="audit"):
    return [cell("a", "a", origin=origin, p=p, n=right), cell("a", "b", origin=origin, p=p, n=n - right)]


def judged(*days, policy=POLICY):
    return decide(policy, document(*days), "e", "1", tally_of(policy, days, {"from": "2026-11-14", "to": "2026-11-20"}, "1"))


def test_gate_and_estimate_agree_where_the_share_asked_differs_from_day_to_day():
    """2% of a normal day, all of a bad one (truth 0.965): pooled, the gate said 0.83 and failed."""
    days = [day([*asked(388, 400, 0.02), cell("a", n=19_600)], "2026-11-14"), day(asked(420, 600, 1.0), "2026-11-15")]
    shown = document(*days)["versions"]["1"]["estimate"]
    gate = judged(*days)["gates"][0]
    assert (gate["value"], gate["low"], gate["high"]) == (shown["value"], shown["low"], shown["high"])
    assert gate["n_effective"] == shown["n_effective"] and gate["origin"] == shown["origin"] == "audit"
    assert abs(gate["value"] - 0.962) < 0.001 and gate["verdict"] == "pass"
    assert gate["level_low"] < gate["low"] < gate["high"] < gate["level_high"]


def test_origins_are_never_added():
    """The first trusted one in the order of rule 4 that has enough labels."""
    tally = Tally(5000, {"audit": RightCount(195, 200), "import": RightCount(10, 400), "feedback": RightCount(0, 900)})
    gate = judge_accuracy(POLICY, tally)
    assert (gate["origin"], gate["right"], gate["n"], gate["verdict"]) == ("audit", 195, 200, "pass")
    few = Tally(5000, {"audit": RightCount(48, 49), "import": RightCount(10, 400)})
    gate = judge_accuracy(POLICY, few)
    assert (gate["origin"], gate["n"], gate["verdict"]) == ("import", 400, "fail")
    assert "over 400 trusted labels (import)" in gate["sentence"]


def test_rows_without_a_probability_stay_out_where_weights_are_unequal():
    rows = [*asked(190, 200, 0.02), *asked(540, 600, 1.0), *asked(0, 300, None)]
    gate = judged(day(rows))["gates"][0]
    assert gate["n"] == 800 and gate["value"] == pytest.approx((190 * 50 + 540) / (200 * 50 + 600))


def test_very_uneven_probabilities_cannot_tell_and_say_so():
    made = judged(day([*asked(1, 3, 0.0002), *asked(300, 900, 0.5)]))
    assert (made["verdict"], made["reasons"], made["retrain"]["fires"]) == ("cannot tell", ["uneven"], False)
    assert "tell as much as 4 drawn alike; expected 100" in made["sentence"]
    assert made["wishes"]["rows"][0]["labels"] >= 97


def test_whose_only_labels_are_corrections_is_told_why_and_the_two_ways_out():
    made = decide(POLICY, evaluation(), "e", "1", Tally(500, {"feedback": RightCount(0, 60)}))
    assert made["reasons"] == ["too few labels"]
    for said in ("It has 60 labels (feedback), and none counts", "people correct what annoys them",
                 "trueup review sample --p 0.05", "gates.trusted_origins: [audit, import, feedback]"):
        assert said in made["sentence"]
    trusting = POLICY.model_copy(update={"trusted_origins": ["audit", "import", "feedback"]})
    assert decide(trusting, evaluation(), "e", "1", Tally(500, {"feedback": RightCount(0, 60)}))["verdict"] == "fail"


def test_a_few_labels_of_a_trusted_origin_say_how_many_are_wanted():
    gate = judge_accuracy(POLICY, Tally(500, {"audit": RightCount(20, 20), "feedback": RightCount(0, 500)}))
    assert gate["sentence"] == "Expected 50 labels or more of one trusted origin (audit or import); there are 20 of audit."


def test_the_readme_tells_the_two_ways_out_too():
    said = " ".join((Path(__file__).parents[3] / "README.md").read_text().split())
    assert "**Only corrections so far?** Then `trueup gate` cannot tell" in said
    assert "`trueup review sample --p 0.05`" in said and "trusted_origins: [audit, import, feedback]" in said
