"""The promotion gate: paired, exact, overall and per class."""

import numpy as np
import pytest
from scipy.stats import binom

from contract.policy import GatePolicy
from metrics.judging.promotion import Paired, decide_promotion, judge_assessment, tell_too_few_held_out


def judge(overall, classes=None, **policy):
    return decide_promotion(GatePolicy(**policy), Paired(*overall), {k: Paired(*v) for k, v in (classes or {}).items()})


def test_a_clearly_better_candidate_is_promoted():
    made = judge((100, 5, 60, 20))
    assert made["promote"] and made["overall"]["value"] == pytest.approx(55 / 185)
    assert "185 held-out rows the candidate has 86.5%, the live version 56.8%: a difference of +29.7 points" in made["sentence"]


def test_a_clearly_worse_candidate_is_refused():
    made = judge((100, 60, 5, 20))
    assert (made["verdict"], made["promote"]) == ("fail", False)


def test_without_disagreement_nothing_can_be_told_unless_a_drop_is_allowed():
    assert judge((100, 0, 0, 0))["verdict"] == "cannot tell"
    assert judge((1000, 0, 0, 0), max_drop=0.02)["verdict"] == "pass"


def test_no_rows_cannot_tell():
    made = judge((0, 0, 0, 0))
    assert (made["verdict"], made["overall"]["reason"]) == ("cannot tell", "too few labels")
    assert "holds out no row of a trusted origin (audit or import)" in made["sentence"]


def test_a_class_that_got_worse_blocks_and_undecided_ones_are_listed():
    classes = {"worse": (5, 30, 0, 5), "better": (10, 0, 60, 5), "few": (1, 10, 0, 0), "unsure": (18, 3, 1, 1)}
    made = judge((34, 43, 61, 11), classes)
    assert (made["verdict"], made["failed"], made["undecided"], made["not_judged"]) == (
        "fail", ["worse"], ["unsure"], ["few"])
    assert "worse by more than 10.0 points in 'worse'; undecided: 'unsure'." in made["sentence"]


def test_a_significant_but_small_drop_of_a_class_is_allowed():
    made = judge((9000, 100, 500, 400), {"a": (950, 20, 0, 30)})
    assert (made["verdict"], made["classes"][0]["verdict"]) == ("pass", "pass")


def test_an_equal_candidate_is_seldom_promoted_as_better():
    rng, policy, n = np.random.default_rng(1), GatePolicy(), 300
    told = 0
    for _ in range(1000):
        live, candidate = rng.random((2, n)) < 0.85
        table = Paired(*(int(x.sum()) for x in (live & candidate, live & ~candidate, ~live & candidate,
                                                ~live & ~candidate)))
        told += decide_promotion(policy, table, {})["promote"]
    assert told <= binom.ppf(0.999, 1000, 0.035)


def counts(both, only_live, only_candidate, neither):
    return {"both": both, "only_live": only_live, "only_candidate": only_candidate, "neither": neither}


def assessed(by_origin, newest=None, classes=()):
    """An assessment's document, as far as the gate reads it."""
    return {"dataset": "d", "overall": counts(0, 0, 0, 0), "by_origin": {o: counts(*row) for o, row in by_origin.items()},
            "window": {"from": "2026-11-01", "to": "2026-11-20",
                       "by_origin": {o: counts(*row) for o, row in (newest or {}).items()}},
            "per_class_by_origin": [{"label": label, "origin": o, **counts(*row)} for label, o, row in classes]}


def test_feedback_never_turns_an_audit_that_is_too_small_into_a_pass():
    """99 audited rows say -0.10; feedback is of rows that the live version got wrong."""
    found = assessed({"audit": (70, 15, 5, 9), "feedback": (0, 0, 50, 0)})
    made = judge_assessment(GatePolicy(), found)
    assert (made["verdict"], made["promote"], made["overall"]["reason"]) == ("cannot tell", False, "too few labels")
    assert "expected 100 of one trusted origin (audit or import)" in made["sentence"]
    assert made["rests_on"] == {"origin": "audit", "part": "all", "n": 99, "dataset": "d", "window": None,
                                "held_out": {"audit": 99, "feedback": 50}}
    trusting = judge_assessment(GatePolicy(trusted_origins=["feedback"], min_held_out=50), found)
    assert (trusting["promote"], trusting["rests_on"]["origin"]) == (True, "feedback")


def test_the_newest_part_of_the_holdout_decides_once_it_is_big_enough():
    """Old audits do not refuse a candidate that is better on what is predicted now."""
    old, new = {"audit": (150, 30, 0, 20)}, {"import": (200, 10, 90, 100)}
    made = judge_assessment(GatePolicy(), assessed({**old, **new}, new))
    assert made["promote"] and made["rests_on"] | {"held_out": 0} == {
        "origin": "import", "part": "newest", "n": 400, "dataset": "d", "held_out": 0,
        "window": {"from": "2026-11-01", "to": "2026-11-20"}}
    small = judge_assessment(GatePolicy(), assessed({**old, **new}, {"import": (20, 0, 79, 0)}))
    assert (small["verdict"], small["rests_on"]["origin"], small["rests_on"]["part"]) == ("fail", "audit", "all")


def test_classes_rest_on_trusted_rows_of_all_the_holdout():
    worse, better = (5, 30, 0, 5), (0, 0, 90, 0)
    rows = {"audit": (100, 0, 60, 20)}
    untrusted = assessed(rows, classes=[("a", "feedback", worse), ("a", "audit", (90, 0, 5, 5))])
    assert judge_assessment(GatePolicy(), untrusted)["promote"]
    trusted = assessed(rows, classes=[("a", "import", worse), ("a", "feedback", better)])
    assert judge_assessment(GatePolicy(), trusted)["failed"] == ["a"]


@pytest.mark.parametrize(("floor", "verdict"), [(None, "pass"), (0.80, "pass"), (0.88, "cannot tell"), (0.95, "fail")])
def test_a_candidate_may_have_an_absolute_floor(floor, verdict):
    made = judge_assessment(GatePolicy(), assessed({"audit": (200, 5, 64, 31)}), floor)  # 264 of 300: 0.88
    assert made["verdict"] == verdict
    assert ("its floor is" in made["sentence"]) == (floor is not None)


def test_too_few_held_out_rows_are_told_before_anything_is_trained():
    assert tell_too_few_held_out(GatePolicy(), {"audit": 100, "feedback": 3}) is None
    assert tell_too_few_held_out(GatePolicy(), None) is None
    said = tell_too_few_held_out(GatePolicy(), {"audit": 99, "feedback": 500})
    assert "expected 100 held-out pictures of one trusted origin (audit or import)" in said and "99 of audit" in said


def without(name, rows, origin_counts):
    by_origin = {o: counts(*row) for o, row in origin_counts.items()}
    return {"labeler": name, "rows": rows, "by_origin": by_origin, "window": {"by_origin": by_origin}}


def test_a_pass_that_rests_on_what_one_person_labelled_is_not_published():
    found = assessed({"audit": (150, 10, 60, 30)})  # 50 more right of 250; mallory labelled 70 of them alone
    assert judge_assessment(GatePolicy(), found)["promote"]
    found["without"] = [without("ann", 20, {"audit": (140, 8, 54, 28)}), without("mallory", 70, {"audit": (150, 10, 5, 15)})]
    made = judge_assessment(GatePolicy(), found)
    assert (made["verdict"], made["promote"], made["reason"]) == ("cannot tell", False, "fragile")
    assert [f["name"] for f in made["fragile"]] == ["mallory"] and "rests on labeler mallory" in made["sentence"]
    allowed = judge_assessment(GatePolicy(allow_fragile=True), found)
    assert allowed["promote"] and "rests on labeler mallory" in allowed["sentence"]
    found["without"] = [without("nearly all", 200, {"audit": (40, 10, 0, 0)})]
    assert judge_assessment(GatePolicy(), found)["promote"], "too few rows are left to tell"


def with_error(ece, margin, n=300, origin="audit"):
    found = assessed({"audit": (200, 5, 64, 31)})
    return found | {"versions": {"candidate": {"calibration_by_origin": {origin: {"ece": ece, "margin": margin, "n": n}}}}}


@pytest.mark.parametrize(("ece", "margin", "verdict"), [(0.02, 0.02, "pass"), (0.04, 0.02, "cannot tell"), (0.08, 0.02, "fail")])
def test_a_candidate_may_have_a_largest_calibration_error(ece, margin, verdict):
    made = judge_assessment(GatePolicy(), with_error(ece, margin), max_ece=0.05)
    assert (made["verdict"], made["calibration"]["verdict"], made["promote"]) == (verdict, verdict, verdict == "pass")
    assert f"the bound is 5%: {verdict}." in made["sentence"]
    assert "calibration" not in judge_assessment(GatePolicy(), with_error(ece, margin))


@pytest.mark.parametrize("found", [with_error(0.02, 0.01, n=99), with_error(0.02, 0.01, origin="feedback"),
                                   with_error(None, None, n=0), assessed({"audit": (200, 5, 64, 31)})])
def test_a_calibration_error_of_too_few_rows_cannot_tell(found):
    """Also where an older release assessed, which did not measure it by origin."""
    made = judge_assessment(GatePolicy(), found, max_ece=0.05)
    assert (made["verdict"], made["calibration"]["reason"]) == ("cannot tell", "too few labels")
    assert "Its calibration error is not known" in made["sentence"]
