import numpy as np
import pytest

from metrics.per_class import f1_scores
from tests.figures import cell, day, document


def version(*cells, **options):
    return document(day(cells), **options)["versions"]["1"]


def test_estimate_is_the_audits_and_accuracy_that_of_all_labels():
    found = version(cell("a", "a", origin="audit", n=9), cell("a", "b", origin="audit"),
                    cell("a", "b", origin="feedback", n=10))
    assert (found["accuracy"]["value"], found["estimate"]["value"]) == (0.45, 0.9)
    assert (found["estimate"]["origin"], found["estimate"]["n_effective"]) == ("audit", 10)
    assert {o: r["labelled"] for o, r in found["by_origin"].items()} == {"audit": 10, "feedback": 10}


@pytest.mark.parametrize("origins, best", [(("feedback", "import"), "import"), (("feedback",), "feedback"),
                                           (("import", "review"), "review")])
def test_without_an_audit_the_highest_class_is_named(origins, best):
    assert version(*(cell("a", "a", origin=o) for o in origins))["estimate"]["origin"] == best


def test_known_and_different_weights_are_used():
    found = version(cell("a", "a", origin="audit", p=0.5, n=30), cell("b", "a", origin="audit", p=0.125, n=10))
    estimate = found["estimate"]
    assert estimate["weighted"] and estimate["value"] == pytest.approx(60 / 140)
    assert estimate["n_effective"] == pytest.approx(140**2 / (30 * 4 + 10 * 64))
    assert estimate["low"] < 60 / 140 < estimate["high"]


def test_equal_weights_change_nothing_and_none_known_is_said():
    equal = version(cell("a", "a", origin="audit", p=0.3, n=7), cell("b", "a", origin="audit", p=0.3, n=3))
    assert not equal["estimate"]["weighted"] and equal["estimate"]["n_effective"] == 10
    none = version(cell("a", "a", origin="audit", n=7), cell("b", "a", origin="audit", n=3))
    assert none["by_origin"]["audit"]["weighted"]["reason"] == "no row has a known selection probability"
    assert none["estimate"]["value"] == 0.7 and not none["estimate"]["weighted"]


def test_rows_without_a_known_weight_stay_out_of_the_weighted_sums():
    """Rule 4. Labels that a gate's wishes brought were not drawn: one such row must not undo the weights of all others."""
    found = version(cell("a", "a", origin="audit", p=0.5, n=30), cell("b", "a", origin="audit", p=0.125, n=10),
                    cell("b", "a", origin="audit", n=5))
    estimate = found["estimate"]
    assert estimate["weighted"] and estimate["value"] == pytest.approx(60 / 140)
    assert estimate["n_effective"] == pytest.approx(140**2 / (30 * 4 + 10 * 64))
    assert estimate["rests_on"].endswith("; left out: 5 of 45 without a known selection probability")
    assert found["by_origin"]["audit"]["labelled"] == 45 and found["accuracy"]["value"] == pytest.approx(30 / 45)


def test_the_weighted_estimate_covers_the_truth_where_biased_feedback_does_not():
    rng, truth = np.random.default_rng(4), 0.84
    weighted = plain = 0
    for _ in range(150):
        n = {(right, sure): int(rng.binomial(3000 * share, p)) for right, sure, share, p in
             [(1, 1, .5, .05), (0, 1, .08, .05), (1, 0, .34, .2), (0, 0, .08, .2)]}
        audit = [cell("a" if sure else "b", ("a" if sure else "b") if right else "c", origin="audit",
                      p=.05 if sure else .2, n=k) for (right, sure), k in n.items() if k]
        found = version(*audit, cell("a", "c", origin="feedback", n=400), cell("a", "a", origin="feedback", n=100))
        weighted += found["estimate"]["low"] <= truth <= found["estimate"]["high"]
        plain += found["accuracy"]["low"] <= truth <= found["accuracy"]["high"]
    assert plain == 0
    assert 0.9 <= weighted / 150 <= 0.99


@pytest.mark.parametrize("n", [300, 1000])
def test_f1_interval_covers(n):
    rng, truth = np.random.default_rng(n), 2 * 0.5 / (2 * 0.5 + 0.1 + 0.05)
    right, missed, wrong, _ = rng.multinomial(n, [0.5, 0.1, 0.05, 0.35], 3000).T
    rows = f1_scores(right, right + missed, right + wrong, 0.95)
    covered = np.mean([r["low"] <= truth <= r["high"] for r in rows])
    assert 0.93 <= covered <= 0.97


def test_f1_has_no_interval_below_a_support_of_30():
    rows = f1_scores(np.array([29, 30, 0]), np.array([29, 30, 0]), np.array([30, 30, 0]), 0.95)
    assert rows[0]["low"] is None and rows[0]["reason"] == "support below 30" and 0.98 < rows[0]["value"] < 1
    assert rows[1] == {"value": 1.0, "low": pytest.approx(0.94, abs=0.01), "high": 1.0}
    assert rows[2]["value"] is None and "names this class" in rows[2]["reason"]
