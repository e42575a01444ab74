"""Costs of mistakes against scikit-learn's confusion matrix times the matrix of costs, and other counts by brute force."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from benchmarks import costs as simulation
from contract.counts import UNNAMED
from metrics.cells import by_version
from metrics.costs.describe import Priced, describe
from metrics.costs.table import Costs, list_levels
from metrics.intervals import wilson
from metrics.selection.estimate import hajek
from metrics.selection.origin_sums import Sums
from tests.figures import cell, table

CLASSES = ["a", "b", "c", "d"]


def cells_of(label, predicted, weight=None, bins=None):
    """Cells of origin audit of version 1, a row each; weights are powers of two, bins -1 to 19."""
    weight = np.ones(len(label), int) if weight is None else weight
    bins = np.zeros(len(label), int) if bins is None else bins
    rows = [cell(p, a, None if b < 0 else b / 20 + 0.01, "audit", 1 / w)
            for a, p, w, b in zip(label, predicted, weight, bins, strict=True)]
    return by_version(table("cells", rows))["1"]


def draw(seed, n=500):
    rng = np.random.default_rng(seed)
    label = rng.choice(CLASSES, n)
    return rng, label, np.where(rng.random(n) < 0.7, label, rng.choice(CLASSES, n))


def draw_table(rng, some=0.6):
    return {a: {b: float(rng.integers(0, 30)) for b in CLASSES if a != b and rng.random() < some} for a in CLASSES}


def as_matrix(costs):
    return np.array([[costs.of(a, b) for b in CLASSES] for a in CLASSES])


@pytest.mark.parametrize("seed", range(3))
def test_costs_are_the_confusion_times_the_table(seed):
    rng, label, predicted = draw(seed)
    weight = 2 ** rng.integers(0, 3, len(label))
    costs = Costs(draw_table(rng), default=2.0)
    counted = confusion_matrix(label, predicted, labels=CLASSES, sample_weight=weight) * as_matrix(costs)
    found = describe(cells_of(label, predicted, weight), "audit", costs, CLASSES, 0.95, weighted=True)
    total = confusion_matrix(label, predicted, labels=CLASSES, sample_weight=weight)
    assert found["per_1000"]["value"] == pytest.approx(1000 * counted.sum() / total.sum())
    assert [row["as_answer"]["value"] for row in found["per_class"]] == pytest.approx(1000 * counted.sum(0) / total.sum(0))
    assert [row["as_label"]["value"] for row in found["per_class"]] == pytest.approx(1000 * counted.sum(1) / total.sum(1))
    assert sum(row["per_1000"] for row in found["dearest"]) == pytest.approx(found["per_1000"]["value"])
    assert [row["per_1000"] for row in found["dearest"]] == sorted((row["per_1000"] for row in found["dearest"]), reverse=True)
    for row in [found["per_1000"], *(row[name] for row in found["per_class"] for name in ("as_answer", "as_label"))]:
        assert row["low"] <= row["value"] <= row["high"]


def test_one_cost_for_all_is_wilsons_interval_of_the_error_rate():
    _, label, predicted = draw(4)
    figure = describe(cells_of(label, predicted), "audit", Costs(default=3.0), CLASSES, 0.95, weighted=False)["per_1000"]
    low, high = wilson((label != predicted).sum(), len(label), 0.95)
    assert (figure["low"], figure["high"]) == pytest.approx((3000 * low, 3000 * high))


def test_weighted_with_one_cost_it_mirrors_the_estimate_of_accuracy():
    rng, label, predicted = draw(5)
    weight, right = 2 ** rng.integers(0, 4, len(label)), label == predicted
    sums = Sums(len(label), int(right.sum()), len(label), int(weight.sum()), int((weight**2).sum()), int(weight[right].sum()),
                int((weight[right] ** 2).sum()))
    share = hajek(sums, 0.95)
    figure = describe(cells_of(label, predicted, weight), "audit", Costs(), CLASSES, 0.95, weighted=True)["per_1000"]
    assert figure["value"] == pytest.approx(1000 * (1 - share["value"]))
    assert (figure["low"], figure["high"]) == pytest.approx((1000 * (1 - share["high"]), 1000 * (1 - share["low"])))


def test_a_dear_mistake_that_was_never_seen_raises_the_upper_bound_alone():
    _, label, predicted = draw(6)
    keep = ~((label == "a") & (predicted == "b"))
    cells = cells_of(label[keep], predicted[keep])
    plain = describe(cells, "audit", Costs(), CLASSES, 0.95, weighted=False)["per_1000"]
    dear = describe(cells, "audit", Costs({"a": {"b": 100.0}}), CLASSES, 0.95, weighted=False)["per_1000"]
    assert dear["value"] == plain["value"] and dear["low"] == pytest.approx(plain["low"]) and dear["high"] > plain["high"] + 300


def test_no_mistake_leaves_an_upper_bound_and_no_row_a_reason():
    cells = cells_of(["a"] * 50, ["a"] * 50)
    found = describe(cells, "audit", Costs({"b": {"a": 10.0}}), ["a", "b"], 0.95, weighted=False)
    assert found["per_1000"]["value"] == found["per_1000"]["low"] == 0
    assert found["per_1000"]["high"] >= 1000 * 10 * float(wilson(0, 50)[1])
    assert found["per_class"][1]["as_answer"]["value"] is None and found["per_class"][1]["as_answer"]["reason"]
    assert describe(None, None, Costs(), ["a"], 0.95, weighted=False)["per_1000"]["reason"] == "no labels"


def test_costs_of_nothing_are_nothing():
    _, label, predicted = draw(7)
    figure = describe(cells_of(label, predicted), "audit", Costs(default=0.0), CLASSES, 0.95, weighted=False)["per_1000"]
    assert (figure["value"], figure["low"], figure["high"]) == (0, 0, 0)


def test_a_mistake_without_a_class_costs_the_mean_and_bounds_take_both_ends():
    costs = Costs({"b": {"a": 4.0}, "c": {"a": 10.0}})
    cells = cells_of([UNNAMED] * 10 + ["a"] * 90, ["a"] * 100)
    found = describe(cells, "audit", costs, CLASSES, 0.95, weighted=False)
    assert found["unnamed"] == 10 and found["per_1000"]["value"] == pytest.approx(1000 * 0.1 * (4 + 10 + 1) / 3)
    low, _ = wilson(10, 100)
    assert found["per_1000"]["low"] == pytest.approx(1000 * float(low) * 1)  # each may be a `d`, which costs 1
    assert found["per_1000"]["high"] >= 1000 * float(wilson(10, 100)[1]) * 10 * 0.999
    named = describe(cells, "audit", Costs({UNNAMED: {"a": 2.0}}), CLASSES, 0.95, weighted=False)
    assert named["per_1000"]["value"] == pytest.approx(200)


def test_levels_are_the_costs_that_can_come():
    costs = Costs({"a": {"b": 5.0, "c": 0.0, "d": 7.0}, "b": {"a": 3.0}, "x": {"a": 99.0}}, default=2.0)
    found = list_levels(costs, CLASSES)
    assert found.all == [2, 3, 5, 7] and found.of_label["a"] == [5, 7] and found.of_answer["a"] == [2, 3]
    whole = {a: {b: 4.0 for b in CLASSES if b != a} for a in CLASSES}
    assert list_levels(Costs(whole), CLASSES).all == [4]  # nothing is left for the default


@pytest.mark.parametrize("seed", range(4))
def test_thresholds_are_the_cheapest_of_all_twenty_one(seed):
    rng, label, _ = draw(seed, 2000)
    bins = rng.integers(-1, 20, len(label))
    predicted = np.where(rng.random(len(label)) < np.maximum(bins, 3) / 20, label, rng.choice(CLASSES, len(label)))
    costs = Costs(draw_table(rng), default=2.0, review=float(rng.uniform(0.5, 6)))
    found = describe(cells_of(label, predicted, bins=bins), "audit", costs, CLASSES, 0.95, weighted=False)
    each = np.array([costs.of(a, p) for a, p in zip(label, predicted, strict=True)])
    for row in found["thresholds"]:
        mine = predicted == row["predicted"]
        totals = [np.where(bins[mine] >= t, each[mine], costs.review).sum() for t in range(21)]
        best = max(t for t in range(21) if totals[t] == pytest.approx(min(totals)))
        assert row["threshold"] == (None if best == 20 else best / 20)
        assert row["per_1000"] == pytest.approx(1000 * min(totals) / mine.sum())
        assert row["accepting_all"] == pytest.approx(1000 * each[mine].mean())
        assert row["reviewing_all"] == pytest.approx(1000 * costs.review)
        assert row["per_1000"] <= row["reviewing_all"] + 1e-9
    together = found["with_thresholds"]
    assert together["accepting_all"] == pytest.approx(found["per_1000"]["value"])
    assert "accepting what lies above the thresholds" in found["sentence"]


def test_too_few_answers_get_no_threshold():
    found = describe(cells_of(["a"] * 19, ["a"] * 19), "audit", Costs(review=0.1), ["a"], 0.95, weighted=False)
    assert found["thresholds"][0]["reason"] == "expected 20 labelled predictions that answer it"
    assert found["with_thresholds"] == {"accepted": 0, "per_1000": pytest.approx(100), "accepting_all": 0,
                                        "reviewing_all": pytest.approx(100)}


@pytest.mark.parametrize("world", [w for w in simulation.WORLDS if w.name in ("1, 2, 5", "1, 10, 100", "mistakes first")],
                         ids=str)
def test_intervals_cover(world):
    assert simulation.simulate(world, 1000, 150)["covers"] >= 0.88


def test_only_the_origin_asked_for_is_priced():
    rows = [cell("a", "b", origin="audit", n=10), cell("a", "a", origin="audit", n=30), cell("a", "b", origin="feedback", n=500)]
    cells = by_version(table("cells", rows))["1"]
    assert Priced(cells, "audit", Costs(), ["a", "b"], 0.95, weighted=False).expect()["value"] == 250
