"""The promotion gate: paired, exact, overall and per class."""

import numpy as np
import pytest
from scipy.stats import binom

from contract.policy import GatePolicy
from pipeline.gates.promotion import Paired, of_assessment, promotion


def judge(overall, classes=None, **policy):
    return promotion(GatePolicy(**policy), Paired(*overall), {k: Paired(*v) for k, v in (classes or {}).items()})


def test_a_clearly_better_candidate_is_promoted():
    made = judge((100, 5, 60, 20))
    assert made["promote"] and made["overall"]["value"] == pytest.approx(55 / 185)
    assert "185 held-out rows the candidate has 0.865, the live version 0.568: a difference of +0.297" in made["sentence"]


def test_a_clearly_worse_candidate_is_refused():
    made = judge((100, 60, 5, 20))
    assert (made["verdict"], made["promote"]) == ("fail", False)


def test_without_disagreement_nothing_can_be_told_unless_a_drop_is_allowed():
    assert judge((100, 0, 0, 0))["verdict"] == "cannot tell"
    assert judge((1000, 0, 0, 0), max_drop=0.02)["verdict"] == "pass"


def test_no_rows_cannot_tell():
    assert judge((0, 0, 0, 0))["overall"]["reason"] == "no rows"


def test_a_class_that_got_worse_blocks_and_undecided_ones_are_listed():
    classes = {"worse": (5, 30, 0, 5), "better": (10, 0, 60, 5), "few": (1, 10, 0, 0), "unsure": (18, 3, 1, 1)}
    made = judge((34, 43, 61, 11), classes)
    assert (made["verdict"], made["failed"], made["undecided"], made["not_judged"]) == (
        "fail", ["worse"], ["unsure"], ["few"])
    assert "worse by more than 0.1 in 'worse'; undecided: 'unsure'." in made["sentence"]


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
        told += promotion(policy, table, {})["promote"]
    assert told <= binom.ppf(0.999, 1000, 0.035)


def counts(both, only_live, only_candidate, neither):
    return {"both": both, "only_live": only_live, "only_candidate": only_candidate, "neither": neither}


@pytest.mark.parametrize(("decides", "verdict"), [("overall", "pass"), ("audit", "fail"), (None, "pass")])
def test_audited_rows_decide_where_the_assessment_says_so(decides, verdict):
    found = {"overall": counts(200, 5, 60, 35), "by_origin": {"audit": counts(60, 40, 2, 20), "feedback": counts(9, 0, 50, 9)},
             "per_class": [{"label": "a", **counts(100, 2, 30, 17)}]} | ({"decides": decides} if decides else {})
    made = of_assessment(GatePolicy(), found)
    assert (made["verdict"], made["rests_on"]) == (verdict, decides or "overall")
    assert made["overall"]["n"] == sum(found["by_origin"]["audit"].values() if decides == "audit" else found["overall"].values())
