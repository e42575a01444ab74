"""The combined estimate against its formula row by row, the audit alone, and draws from logs whose truth is known."""

import numpy as np
import pytest

from benchmarks import combined as bench
from contract.counts import WEIGHT_SCALE
from metrics.selection.combined import combine_audit, combine_strata
from metrics.selection.combined_version import Assessed, collapse_and_combine, describe_version, write_figure
from metrics.selection.estimate import hajek
from metrics.selection.origin_sums import Sums
from metrics.strata.strata import SILENT, Strata


def as_strata(rows, sizes):
    """Strata 0, 1, … of rows (stratum, right, p)."""
    count = len(sizes)
    sums = {name: np.zeros(count) for name in ("n", "right", "weight", "weight_squared", "weight_right", "weight_squared_right")}
    for place, right, p in rows:
        weight = int(WEIGHT_SCALE / p)
        for name, value in (("n", 1), ("weight", weight), ("weight_squared", weight**2)):
            sums[name][place] += value
        for name, value in (("right", 1), ("weight_right", weight), ("weight_squared_right", weight**2)):
            sums[name][place] += value * right
    zero = np.zeros(count)
    return Strata(["a"], zero.astype(int), np.arange(count), np.full(count, SILENT), np.asarray(sizes, float), **sums, other=zero,
                  other_right=zero)


def make_rows(seed=2, count=400):
    rng = np.random.default_rng(seed)
    return [(int(h), int(rng.random() < (0.5, 0.8, 0.95)[h]), float(rng.choice([0.05, 0.2]))) for h in rng.integers(0, 3, count)]


def test_one_stratum_is_the_audit_itself():
    rows = [(0, right, p) for _, right, p in make_rows()]
    strata = as_strata(rows, [9000])
    found = combine_audit(strata)
    sums = (strata.n, strata.right, strata.n, strata.weight, strata.weight_squared, strata.weight_right,
            strata.weight_squared_right)
    alone = hajek(Sums(*(int(s[0]) for s in sums)), 0.95)
    figure = write_figure(found, found.variance, 0.95)
    assert figure == pytest.approx({name: alone[name] for name in ("value", "low", "high")})
    assert found.kish == pytest.approx(alone["n_effective"]) and found.explained == 0


def test_the_estimate_is_the_sum_over_strata_row_by_row():
    rows, sizes = make_rows(), [3000, 1000, 6000]
    value = variance = 0.0
    for place, size in enumerate(sizes):
        mine = [(right, int(WEIGHT_SCALE / p)) for h, right, p in rows if h == place]
        weight = sum(w for _, w in mine)
        share = sum(w * right for right, w in mine) / weight
        value += size / 10_000 * share
        of_stratum = sum((w * (right - share)) ** 2 for right, w in mine) / weight**2
        variance += (size / 10_000) ** 2 * of_stratum * len(mine) / (len(mine) - 1)
    variance *= (len(rows) - 1) / len(rows)
    found = combine_audit(as_strata(rows, sizes))
    assert found.value == pytest.approx(value)
    weights = [int(WEIGHT_SCALE / p) for _, _, p in rows]
    one = (1 - variance / found.audit_variance) / (sum(weights) ** 2 / sum(w * w for w in weights)) ** 2
    assert found.variance == pytest.approx(variance + one)
    assert found.cautious > found.variance


def test_strata_that_look_pure_are_not_certain():
    """60 called wrong by feedback and wrong, 240 others all right: the plug-in variance is 0."""
    rows = [(0, 0, 0.1)] * 60 + [(1, 1, 0.1)] * 240
    found = combine_audit(as_strata(rows, [600, 2400]))
    figure = write_figure(found, found.variance, 0.95)
    assert figure["value"] == pytest.approx(0.8) and figure["low"] < 0.8 - 2 / 300 and figure["high"] > 0.8 + 1 / 300
    assert found.cautious > 1.5 * found.variance


@pytest.mark.parametrize("right", [0, 30])
def test_all_right_or_all_wrong_is_told_by_the_number_of_labels(right):
    found = combine_audit(as_strata([(0, right > 0, 0.1)] * 30, [600]))
    figure = write_figure(found, found.variance, 0.95)
    assert (figure["low"], figure["high"]) == pytest.approx((0.8865, 1) if right else (0, 0.1135), abs=1e-4)
    assert found.count_rows(found.cautious) == pytest.approx(30)


def test_arrays_of_windows_are_estimated_one_by_one():
    rng = np.random.default_rng(4)
    n = rng.integers(20, 90, (5, 3)).astype(float)
    right, size = rng.binomial(n.astype(int), 0.8).astype(float), np.array([1000.0, 3000, 500])
    together = combine_strata(np.broadcast_to(size, n.shape), n, (n, n, right, right))
    for i in range(5):
        alone = combine_strata(size, n[i], (n[i], n[i], right[i], right[i]))
        for name in ("value", "variance", "cautious", "audit_variance", "kish"):
            assert getattr(together, name)[i] == pytest.approx(getattr(alone, name))


@pytest.mark.parametrize("ask", [bench.ask_evenly, bench.ask_unsure])
def test_it_covers_the_truth_and_is_narrower_than_the_audit(ask):
    """However the audit asked: a standard error of 0.9 points at 600 runs."""
    found = bench.simulate("60% reported", bench.make_reported_log(), 800, ask, 600, 3)
    assert 0.92 < found["covers"] < 0.98
    assert found["gain"] >= max(0.3, 0.9 * found["limit"])
    assert found["uncollapsed_covers"] < 0.9, "why strata are collapsed"


def test_unequal_probabilities_leave_it_unbiased():
    log, rng = bench.make_benchmark_log(2), np.random.default_rng(5)
    p = bench.ask_unsure(log, 600)
    values = [float(collapse_and_combine(log.draw(p, rng))[1].value) for _ in range(300)]
    assert abs(np.mean(values) - log.accuracy) < 3.5 * np.std(values) / np.sqrt(300)


def test_precision_of_a_class_rests_on_its_own_strata():
    log, rng = bench.make_reported_log(), np.random.default_rng(6)
    strata = log.draw(0.02, rng)
    found = describe_version(strata, 0.95, "an audit")
    assert sum(row["predicted"] for row in found["per_class"]) == found["predictions"] == log.size.sum()
    assert sum(row["labels"] for row in found["per_class"]) == found["labels"]
    for k, row in enumerate(found["per_class"]):
        truth = log.right[log.predicted == k].sum() / log.size[log.predicted == k].sum()
        assert abs(row["precision"]["value"] - truth) < 0.06 and row["strata"] > 1


def test_a_class_without_an_audit_label_has_none_and_says_so():
    rows = [(0, 1, 0.1)] * 40
    strata = as_strata(rows, [500, 100])
    two = Strata(["a", "b"], np.array([0, 1]), *(getattr(strata, f) for f in list(Strata.__dataclass_fields__)[2:]))
    found = describe_version(two, 0.95, "an audit")
    assert found["per_class"][1] == {"label": "b", "predicted": 100, "labels": 0, "strata": 0, "precision":
                                     {"value": None, "low": None, "high": None, "reason": "no audit label of this class"}}


def test_without_labels_it_rests_on_its_assessment_or_says_that_there_is_none():
    silent = as_strata([], [1000, 3000])
    assert describe_version(silent, 0.95, "an audit")["reason"] == "no audit label of a known probability"
    held_out = [{"predicted": "a", "bin": 0, "n": 50, "right": 25}, {"predicted": "a", "bin": 1, "n": 50, "right": 50},
                {"predicted": "z", "bin": None, "n": 9, "right": 0}]
    found = describe_version(silent, 0.95, "an audit", assessed=Assessed("d1", held_out))
    assert found["origin"] == "assessment" and "109 held-out rows of dataset d1" in found["rests_on"]
    assert found["value"] == pytest.approx(0.25 * 0.5 + 0.75 * 50 / 59, abs=0.12) and found["predictions"] == 4000
    labelled = as_strata([(0, 1, 0.1)] * 5, [1000, 3000])
    assert describe_version(labelled, 0.95, "an audit", assessed=Assessed("d1", held_out))["origin"] == "audit"


def test_a_refused_audit_gives_nothing_but_the_reason():
    found = describe_version(as_strata([(0, 1, 0.1)] * 50, [1000]), 0.95, "an audit", "half of it was not answered")
    assert (found["value"], found["size"], found["origin"], found["labels"]) == (None, None, None, 50)
    assert found["reason"] == "half of it was not answered"
