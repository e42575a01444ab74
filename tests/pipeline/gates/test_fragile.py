"""A verdict that one person decides cannot tell; one that many share stands."""

from dataclasses import replace

import pytest
from scipy.stats import binom

from contract.documents.decision import Decision
from contract.policy import GatePolicy
from metrics.selection.origin_sums import Sums
from pipeline.gates.decide import decide
from pipeline.gates.fragile import Without
from pipeline.gates.tally import RightCount, Tally
from tests.pipeline.gates.test_decide import AS_OF, audit, evaluation


def person(name, right, n, kind="labeler", **more):
    """Somebody whose votes were `right` of `n`: without them, so many fewer."""
    change = {key: {label: RightCount(-share.right, -share.n) for label, share in of.items()} for key, of in more.items()}
    return Without(kind, name, n, 0.1, Tally(origins={"audit": RightCount(-right, -n)}, weights={}, **change))


def judge(tally, *people, overrides=(), **policy):
    chosen = GatePolicy(**{"min_class_recall": None, **policy})
    people = [Without(p.kind, p.name, p.votes, p.share, sums_too(p.change)) for p in people]
    made = decide(chosen, evaluation(), "e", "1", tally, overrides, without=people)
    Decision.parse(made | {"decided_at": AS_OF}, "here")
    return made


def sums_too(change):
    return replace(change, weights={o: Sums(share.n, share.right) for o, share in change.origins.items()})


def test_a_fail_without_whom_p_is_above_a_twentieth_cannot_tell_and_names_them():
    made = judge(audit(790, 1000), person("mallory", 0, 150), person("ann", 80, 85))
    gate = made["gates"][0]
    assert (made["verdict"], made["exit_code"], made["reasons"]) == ("cannot tell", 4, ["fragile"])
    assert (gate["verdict_of_the_gate"], [f["name"] for f in gate["fragile"]]) == ("fail", ["mallory"])
    assert "Fragile: this fail rests on labeler mallory" in made["sentence"] and "more audit labels" not in made["sentence"]
    assert (made["retrain"]["fires"], made["retrain"]["wanted"], made["wishes"]["rows"]) == (False, False, [])
    assert made["retrain"]["reason"] == "one person decides that the accuracy gate fails"


def test_a_fail_that_many_share_stands():
    made = judge(audit(790, 1000), *(person(f"p{n}", 79, 100) for n in range(10)))
    assert made["verdict"] == "fail" and made["retrain"]["fires"] and made["gates"][0].get("fragile") is None


@pytest.mark.parametrize("right", range(700, 790, 6))
def test_the_bound_of_a_flip_is_a_twentieth_not_the_level_of_the_year(right):
    """Of 1,000 rows at 0.85, somebody has 120, of which so many less than all are right."""
    theirs = max(850 - right, 0)
    made = judge(audit(right + theirs, 1000), person("x", theirs, 120))
    p = binom.cdf(right, 880, 0.9)
    assert (made["reasons"] == ["fragile"]) == (p > 0.05)


def test_a_pass_that_lies_below_the_bound_without_somebody_cannot_tell():
    made = judge(audit(930, 1000), person("flatterer", 400, 400))
    # Without them 530 of 600 are right, and the bound is 0.9.
    assert made["reasons"] == ["fragile"] and "this pass rests on labeler flatterer" in made["sentence"]
    assert made["gates"][0]["verdict_of_the_gate"] == "pass"
    assert judge(audit(930, 1000), person("ann", 370, 400))["verdict"] == "pass"


def test_who_leaves_too_few_labels_flips_nothing():
    assert judge(audit(790, 1000), person("all but 40", 751, 960))["verdict"] == "fail"
    assert judge(audit(790, 1000), person("everybody", 790, 1000))["verdict"] == "fail"


def test_the_policy_may_allow_it_and_an_override_passes_it():
    made = judge(audit(790, 1000), person("mallory", 0, 150, kind="client"), allow_fragile=True)
    assert made["verdict"] == "fail" and made["retrain"]["fires"]
    assert "rests on client mallory" in made["sentence"] and made["gates"][0]["fragile"][0]["kind"] == "client"
    override = {"gate": "accuracy", "by": "ana", "reason": "seen", "at": "2026-11-18T00:00:00.000000Z",
                "until": "2026-11-21T00:00:00.000000Z"}
    made = judge(audit(790, 1000), person("mallory", 0, 150), overrides=[override])
    assert (made["verdict"], made["gates"][0]["verdict_of_the_gate"]) == ("pass", "fail")


def test_a_window_is_judged_without_the_votes_in_it():
    whole = Tally(predictions=5000, origins={"audit": RightCount(1860, 2000)},
                  windows={7: audit(360, 500), 28: audit(1860, 2000)})
    old = person("early", 100, 100)  # none of theirs lie in the newest week
    late = person("late", 0, 110)
    late = replace(late, change=replace(late.change, windows={7: sums_too(late.change), 28: sums_too(late.change)}))
    both = judge(whole, old, late, window_days=[7, 28])
    by = {gate["days"]: gate for gate in both["gates"] if "days" in gate}
    assert [f["name"] for f in by[7]["fragile"]] == ["late"] and by[28]["verdict"] == "pass"


def test_a_class_fails_fragilely_when_no_failing_class_does_without_them():
    recall = {"a": RightCount(40, 100), "b": RightCount(95, 100), "c": RightCount(50, 100)}
    tally = audit(930, 1000, recall=recall)
    one = person("x", 0, 50, recall={"a": RightCount(0, 50)})
    assert judge(tally, one, min_class_recall=0.7)["verdict"] == "fail"  # c fails without them too
    both = person("x", 0, 90, recall={"a": RightCount(0, 50), "c": RightCount(0, 40)})
    made = judge(tally, both, min_class_recall=0.7)
    recall_gate = next(g for g in made["gates"] if g["gate"] == "class_recall")
    assert recall_gate["reason"] == "fragile" and recall_gate["fragile"][0]["label"] in ("a", "c")
