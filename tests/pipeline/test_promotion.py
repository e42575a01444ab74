"""The promotion gate: paired, exact, overall and per class."""

import numpy as np
import pytest
from scipy.stats import binom

from contract.policy import GatePolicy
from pipeline.promotion import Paired, promotion


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
