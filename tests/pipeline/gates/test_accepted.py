"""The gate on what is accepted unseen: computed again by scipy from the rows, over days that did not choose the thresholds."""

import numpy as np
import pytest
from scipy import stats

from contract.accepting.thresholds import Thresholds
from contract.policy import GatePolicy
from pipeline.gates.accepted import judge_accepted
from pipeline.gates.decide import decide
from pipeline.gates.tally import tally_of
from tests.figures import cell, day, document

CHOSE, LATER, LAST = "2026-11-14", "2026-11-15", "2026-11-16"
HELD = Thresholds("1", {"a": 0.9, "b": 0.8}, "e", "2026-11-13", CHOSE)
WINDOW = {"from": CHOSE, "to": LAST}


def rows(predicted, k, right, wrong, *, p=0.5, origin="audit", unlabelled=0):
    """Cells of bin k: labels that agree, labels that do not, none."""
    other, at = "b" if predicted == "a" else "a", (k + 0.5) / 20
    made = [cell(predicted, predicted, at, origin, p, n=right), cell(predicted, other, at, origin, p, n=wrong),
            cell(predicted, confidence=at, n=unlabelled)]
    return [row for row in made if row["n"]]


def judged(days, thresholds=HELD, **policy):
    made = GatePolicy(**{"min_accepted_accuracy": 0.98, "min_class_recall": None, "min_accuracy": None, **policy})
    [gate] = judge_accepted(made, tally_of(made, days, WINDOW, "1", (), thresholds))
    return gate


def wilson(right, n):
    found = stats.binomtest(right, n).proportion_ci(0.95, "wilson")
    return found.low, found.high


@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_exact_test_of_the_accepted_rows_of_the_other_days(seed):
    rng, accepted, days = np.random.default_rng(seed), [0, 0], []
    for name in (CHOSE, LATER, LAST):
        cells = []
        for predicted, least in (("a", 18), ("b", 16)):
            for k in (10, 15, 16, 17, 18, 19):
                right, wrong = int(rng.integers(0, 120)), int(rng.integers(0, 4))
                cells += rows(predicted, k, right, wrong, unlabelled=int(rng.integers(0, 50)))
                if name != CHOSE and k >= least:
                    accepted = [accepted[0] + right, accepted[1] + right + wrong]
        days.append(day(cells, name))
    gate, (right, n) = judged(days), accepted
    low, high = wilson(right, n)
    p = stats.binom.cdf(right, n, 0.98)
    assert (gate["right"], gate["n"], gate["origin"]) == (right, n, "audit")
    assert (gate["value"], gate["low"], gate["high"]) == pytest.approx((right / n, low, high))
    assert gate["p"] == pytest.approx(p) and gate["level"] == pytest.approx(0.05 / 365)
    assert gate["verdict"] == ("fail" if p <= 0.05 / 365 else "pass" if low >= 0.98 else "cannot tell")


def test_all_three_verdicts_come_about():
    for right, wrong, verdict in ((900, 4, "pass"), (900, 60, "fail"), (900, 16, "cannot tell")):
        gate = judged([day(rows("a", 19, right, wrong), LATER)])
        assert gate["verdict"] == verdict, gate["sentence"]
        assert f"{right + wrong:,} trusted labels, audit" in gate["sentence"] and "98%" in gate["sentence"]


def test_rows_of_the_days_that_chose_say_nothing():
    gate = judged([day(rows("a", 19, 900, 0), CHOSE)])
    assert (gate["verdict"], gate["reason"], gate["n"]) == ("cannot tell", "too few labels", 0)
    assert "All days of the window chose the thresholds (e)" in gate["sentence"]
    gate = judged([day(rows("a", 19, 900, 0), CHOSE), day(rows("a", 19, 20, 9), LATER)])
    assert (gate["verdict"], gate["n"]) == ("cannot tell", 29) and "there are 29" in gate["sentence"]


def test_without_thresholds_of_the_version_nothing_is_judged():
    days = [day(rows("a", 19, 900, 0), LATER)]
    for held in (None, Thresholds("2", {"a": 0.5})):
        assert judged(days, held)["verdict"] == "not judged"
    policy = GatePolicy(min_accepted_accuracy=0.98, max_age_days=None)
    made = decide(policy, document(*days), "e", "1", tally_of(policy, days, WINDOW, "1", (), None))
    assert made["verdict"] == "pass", "what accepts nothing stands in nobody's way"


def test_only_trusted_origins_with_their_weights_count():
    uneven = [*rows("a", 19, 400, 2, p=0.05), *rows("a", 18, 600, 30, p=1.0), *rows("b", 17, 0, 300, origin="feedback")]
    gate = judged([day(uneven, LATER)])
    weight = np.array([20.0] * 402 + [1.0] * 630)
    value = np.array([1.0] * 400 + [0.0] * 2 + [1.0] * 600 + [0.0] * 30)
    share = np.average(value, weights=weight)
    variance = np.sum(weight**2 * (value - share) ** 2) / weight.sum() ** 2
    size = share * (1 - share) / variance
    assert gate["weighted"] and gate["n"] == 1032 and gate["value"] == pytest.approx(share)
    assert gate["size"] == pytest.approx(size)
    assert gate["p"] == pytest.approx(stats.beta.cdf(1 - 0.98, size * (1 - share), size * share + 1))


def test_a_fail_fails_the_decision_and_starts_no_retraining():
    policy = GatePolicy(min_accepted_accuracy=0.98, min_class_recall=None, min_accuracy=0.5, max_age_days=None)
    days = [day(rows("a", 19, 900, 60), LATER)]
    made = decide(policy, document(*days), "e", "1", tally_of(policy, days, WINDOW, "1", (), HELD))
    assert (made["verdict"], made["exit_code"], made["retrain"]["fires"]) == ("fail", 3, False)
    assert "accepted unseen" in made["sentence"]
    override = [{"gate": "accepted_accuracy", "by": "ana", "reason": "known", "at": "2026-11-16T00:00:00.000000Z",
                 "until": "2099-01-01T00:00:00.000000Z"}]
    made = decide(policy, document(*days), "e", "1", tally_of(policy, days, WINDOW, "1", (), HELD), override)
    assert made["verdict"] == "pass" and "Overridden: accepted accuracy by ana" in made["sentence"]


def test_what_would_decide_asks_about_others_too():
    """Half of the labels are of accepted answers, so twice as many predictions are to be asked."""
    policy = GatePolicy(min_accepted_accuracy=0.98, min_class_recall=None, min_accuracy=None)
    days = [day([*rows("a", 19, 895, 10), *rows("a", 5, 800, 105)], LATER)]
    made = decide(policy, document(*days), "e", "1", tally_of(policy, days, WINDOW, "1", (), HELD))
    [wish] = [row for row in made["wishes"]["rows"] if row["gate"] == "accepted_accuracy"]
    assert wish["labels"] > 0 and wish["items"] == pytest.approx(2 * wish["labels"], rel=0.2)
