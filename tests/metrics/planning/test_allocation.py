"""The allocation against what a search finds, the moments against a simulation, and the draw against its probabilities."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from contract import samples
from contract.counts import CELLS, SMALLEST_P
from contract.samples import PLANNED, Cell, Design, draw, draw_rows, spread
from metrics.planning.allocation import (
    Towards,
    _spread,
    choose_floor,
    compare_variance,
    estimate_moments,
    expect_kish,
    find_appeal,
)
from metrics.planning.rates import Mistaken, Rates, estimate_rates

BINS = (4, 10, 15, 19)
EVERY = ("overall", None), ("precision", "a"), ("recall", "a"), ("class", "a")


def make_rates(seed=1, classes="abc"):
    rng = np.random.default_rng(seed)
    cells = [Cell(name, k) for name in classes for k in BINS]
    right = np.clip([(c.bin + 0.5) / 20 + rng.normal(0, 0.02) for c in cells], 0.01, 0.99)
    mistakes = {(a, b): 5 for a in classes for b in classes if a != b}
    return Rates(cells, rng.integers(50, 3000, len(cells)).astype(float), right, 0, Mistaken(mistakes, classes))


@pytest.mark.parametrize("estimate", ["hajek", "combined"])
def test_no_other_allocation_of_as_many_labels_has_less_variance(estimate):
    rates = make_rates()
    moments = estimate_moments(Towards(), rates, estimate)
    cells = dict(zip(rates.cells, rates.n.astype(int).tolist(), strict=True))
    table = spread(cells, find_appeal(rates, moments), 300, SMALLEST_P)
    ours = sum(rates.n * moments / [table[c] for c in rates.cells])
    found = minimize(lambda x: (rates.n * moments / np.exp(x)).sum() / ours, np.log(np.full(len(cells), 300 / rates.n.sum())),
                     constraints={"type": "eq", "fun": lambda x: (rates.n * np.exp(x)).sum() - 300},
                     bounds=[(np.log(1e-5), 0)] * len(cells), options={"maxiter": 500})
    assert found.success and found.fun == pytest.approx(1, abs=1e-3)


def draw_figures(rates, p, kind, estimate, runs, seed):
    """The figures of `runs` audits of one fixed population, each row drawn with its cell's p; and its true figure."""
    rng = np.random.default_rng(seed)
    n = rates.n.astype(int)
    cell = np.repeat(np.arange(len(n)), n)
    predicted = np.array([c.predicted for c in rates.cells])[cell]
    right = rng.random(len(cell)) < rates.right[cell]
    others = np.array(["b", "c", "a"])[np.searchsorted(["a", "b", "c"], predicted)]
    second = np.array(["c", "a", "b"])[np.searchsorted(["a", "b", "c"], predicted)]
    label = np.where(right, predicted, np.where(rng.random(len(cell)) < 0.5, others, second))
    found = []
    for _ in range(runs):
        asked = rng.random(len(cell)) < p[cell]
        of = {"overall": asked, "precision": asked & (predicted == "a"), "recall": asked & (label == "a")}[kind]
        if estimate == "hajek":
            found.append(np.average(right[of], weights=1 / p[cell][of]))
        else:
            size = np.bincount(cell[of], minlength=len(n))
            share = np.bincount(cell[of], right[of], len(n)) / np.maximum(size, 1)
            inside = n * (np.array([c.predicted == "a" for c in rates.cells]) if kind == "precision" else 1)
            found.append((inside * share).sum() / inside.sum())
    return np.array(found), {"overall": right.mean(), "precision": right[predicted == "a"].mean(),
                             "recall": right[label == "a"].mean()}[kind]


@pytest.mark.parametrize("kind, estimate", [("overall", "hajek"), ("overall", "combined"), ("precision", "hajek"),
                                            ("precision", "combined"), ("recall", "hajek")])
def test_the_variance_that_is_compared_is_the_variance_of_the_audits(kind, estimate):
    """Drawn 600 times, planned and alike: the ratio of the observed variances is what `compare_variance` says."""
    rates = make_rates()
    moments = estimate_moments(Towards(kind, None if kind == "overall" else "a"), rates, estimate)
    cells = dict(zip(rates.cells, rates.n.astype(int).tolist(), strict=True))
    total = rates.n.sum()
    table = spread(cells, find_appeal(rates, moments), 900, 0.2 * 900 / total)
    planned, truth = draw_figures(rates, np.array([table[c] for c in rates.cells]), kind, estimate, 600, 3)
    alike, _ = draw_figures(rates, np.full(len(cells), 900 / total), kind, estimate, 600, 3)
    assert planned.mean() == pytest.approx(truth, abs=4 * planned.std() / 600**0.5 + 2e-3)
    assert planned.var() / alike.var() == pytest.approx(compare_variance(rates, moments, table), rel=0.25)


@given(sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=12), budget=st.integers(1, 3000),
       towards=st.sampled_from(EVERY), estimate=st.sampled_from(["hajek", "combined"]), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_every_cell_has_a_probability_and_all_add_up_to_the_budget(sizes, budget, towards, estimate, seed):
    rng = np.random.default_rng(seed)
    cells = {Cell("ab"[i % 2], i): n for i, n in enumerate(sizes)}
    rates = Rates(list(cells), np.array(sizes, float), rng.uniform(0.001, 0.999, len(sizes)), 0, Mistaken({("a", "b"): 3}, "ab"))
    appeal = find_appeal(rates, estimate_moments(Towards(*towards), rates, estimate))
    floor = choose_floor(rates, appeal, budget, min(120, budget))
    items = min(budget, sum(sizes))
    found = _spread(rates.n, np.array([appeal[c] for c in cells]), items, floor)
    assert found == pytest.approx(list(spread(cells, appeal, items, floor).values()), rel=1e-6)
    sample = draw("m", "2026-11-20", "audit", Design(PLANNED, "s", items=budget, floor=floor, appeal=appeal), cells)
    assert set(sample.table()) == set(cells)
    assert all(SMALLEST_P <= sample.floor <= p <= 1 for p in sample.table().values())
    assert samples.expected(sample, cells) == pytest.approx(min(budget, sum(sizes)), rel=1e-6)


def test_what_is_drawn_comes_as_often_as_the_document_says():
    """Over 150 salts each cell's rows are drawn with the stated probability, within five standard errors."""
    rates = make_rates()
    moments = estimate_moments(Towards("recall", "b"), rates, "hajek")
    cells = dict.fromkeys(rates.cells, 100)
    rates = Rates(rates.cells, np.full(len(cells), 100.0), rates.right, 0, rates.mistaken)
    rows = [(f"{c.predicted}{c.bin}-{i}", c.predicted, c.bin) for c in cells for i in range(100)]
    drawn, appeal = dict.fromkeys(cells, 0), find_appeal(rates, moments)
    for salt in range(150):
        sample = draw("m", "2026-11-20", "audit", Design(PLANNED, f"s{salt}", items=200, appeal=appeal), cells)
        for i, p in draw_rows(sample, rows):
            cell = Cell(*rows[i][1:])
            assert p == sample.table()[cell]
            drawn[cell] += 1
    p = np.array([sample.table()[c] for c in cells])
    often = np.array([drawn[c] for c in cells]) / 15_000
    assert len(set(p)) > 3
    assert (np.abs(often - p) <= 5 * np.sqrt(p * (1 - p) / 15_000)).all()


def test_the_floor_rises_until_the_gate_can_tell():
    rates = Rates([Cell("a", 4), Cell("a", 19)], np.array([300.0, 30_000.0]), np.array([0.5, 0.9999]))
    appeal = find_appeal(rates, np.array([0.25, 0.0001]))
    cells = {Cell("a", 4): 300, Cell("a", 19): 30_000}
    mean = 150 / 30_300
    floors = [choose_floor(rates, appeal, 150, least) for least in (0, 60, 120, 150)]
    assert floors[0] == pytest.approx(0.2 * mean) and floors[3] == pytest.approx(mean)
    assert all(a <= b for a, b in pairwise(floors))
    assert expect_kish(rates, spread(cells, appeal, 150, floors[2])) == pytest.approx(120, rel=1e-3)


def history(rows):
    """Cells of version 1 as counted before: (predicted, bin, label, n) each, with a mean confidence of 0.9."""
    values = dict.fromkeys(CELLS.names)
    made = [values | {"model_version": "1", "predicted": p, "confidence_bin": k, "label": x, "origin": x and "audit", "n": n,
                      "sum_confidence": n * (2**30 * 9 // 10)} for p, k, x, n in rows]
    return pa.Table.from_pylist(made, CELLS.arrow())


def test_a_cell_is_shrunk_towards_its_bin_and_the_bin_towards_its_confidence():
    found = estimate_rates({Cell("a", 18): 10, Cell("b", 18): 10, Cell("c", 3): 5, Cell("c", None): 5}, history(
        [("a", 18, "a", 30), ("a", 18, "b", 10), ("b", 18, "b", 10), ("c", 3, None, 100)]))
    at = dict(zip(found.cells, found.right.tolist(), strict=True))
    in_bin = (40 + 10 * 0.9) / (50 + 10)
    assert at[Cell("a", 18)] == pytest.approx((30 + 10 * in_bin) / 50)
    assert at[Cell("b", 18)] == pytest.approx((10 + 10 * in_bin) / 20)
    assert at[Cell("c", 3)] == pytest.approx(0.9, abs=1e-6), "no label: the mean confidence of that bin"
    assert at[Cell("c", None)] == 0.5 and found.labels == 50


def test_the_combined_estimate_believes_no_stratum_to_be_pure():
    rates = Rates([Cell("a", 10), Cell("a", 19)], np.array([100.0, 100.0]), np.array([0.5, 0.9999]))
    bare, doubted = (estimate_moments(Towards(), rates, kind) for kind in ("hajek", "combined"))
    assert doubted[0] == 0.25 and doubted[1] == pytest.approx((41 / 42) * (1 / 42), rel=0.01) and bare[1] > doubted[1]


def test_a_row_called_wrong_is_wrong_and_no_class():
    found = estimate_rates({Cell("a", 18): 10, Cell("b", 18): 1}, history([("a", 18, "≠", 40), ("a", 18, "b", 2)]))
    assert found.right[0] < 0.3 and found.expect_label("≠")[0] < found.expect_label("b")[0]


def test_the_labels_of_a_cell_add_up_to_all_of_it():
    found = estimate_rates({Cell("a", 18): 10, Cell("b", 10): 7}, history(
        [("a", 18, "a", 30), ("a", 18, "b", 4), ("a", 18, "c", 6), ("b", 10, "c", 3), ("b", 10, "b", 3)]))
    shares = sum(found.expect_label(name) for name in "abc")
    assert (shares <= 1 + 1e-9).all() and (shares > 0.85).all()
