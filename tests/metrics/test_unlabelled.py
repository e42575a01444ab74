"""The estimate for unlabelled predictions: what it says, when it is not valid, and that its interval holds."""

import numpy as np
import pyarrow as pa
import pytest

from metrics.cells import by_version
from metrics.unlabelled import bins_by_version, count_labelled_bins
from tests.figures import cell, day, document


def half_labelled(rng, n, right, name, shift=0.0):
    """A day of predictions, half of them labelled; `right(confidence)` is the true share."""
    cells = []
    for _ in range(n):
        said = min(0.99, max(0.0, rng.beta(5, 2) - shift))
        label = ("a" if rng.random() < right(said) else "b") if rng.random() < 0.5 else None
        cells.append(cell("a", label, said))
    return day(cells, name)


def of(found):
    return found["versions"]["1"]["unlabelled_estimate"]


def test_shares_of_the_bins_are_carried_over():
    found = of(document(day([cell("a", "a", 0.9, n=80), cell("a", "b", 0.9, n=20), cell("a", None, 0.92, n=50),
                             cell("a", None, 0.2, n=7)])))
    assert (found["value"], found["covered"], found["count"], found["valid"]) == (0.8, 50, 57, True)
    assert 0.70 < found["low"] < 0.75 and 0.85 < found["high"] < 0.9 and found["check"] is None


def test_bins_of_a_version_are_those_of_its_cells():
    rng = np.random.default_rng(7)
    table = half_labelled(rng, 300, lambda c: c, "2026-11-20").tables["cells"]
    table = table.set_column(0, "model_version", pa.array(rng.choice(["1", "2"], table.num_rows)))
    found, expected = bins_by_version(table), {v: count_labelled_bins(cells) for v, cells in by_version(table).items()}
    assert found.keys() == expected.keys() == {"1", "2"}
    assert all(np.array_equal(found[v], expected[v]) and found[v][0].any() for v in found)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, inside = np.random.default_rng(5), 0
    for _ in range(200):
        made = half_labelled(rng, 600, lambda c: c, "2026-11-20")
        open_ = [row for row in made.tables["cells"].to_pylist() if row["label"] is None]
        truth = sum(row["sum_confidence"] for row in open_) / 2**30 / sum(row["n"] for row in open_)
        found = of(document(made))
        inside += found["low"] <= truth <= found["high"]
    assert 0.93 * 200 <= inside <= 0.985 * 200


def test_later_labels_confirm_it_while_nothing_changes():
    rng = np.random.default_rng(1)
    found = of(document(*(half_labelled(rng, 400, lambda c: c, f"2026-11-{d}") for d in (17, 18, 19, 20))))
    assert found["valid"] and found["check"]["failed"] is None
    assert (found["check"]["learnt_until"], found["check"]["checked_from"]) == ("2026-11-18", "2026-11-19")


def test_it_is_not_valid_when_confidence_comes_to_mean_something_else():
    rng = np.random.default_rng(2)
    days = [half_labelled(rng, 400, lambda c, f=f: c * f, f"2026-11-{d}") for d, f in ((18, 1), (19, 1), (20, 0.5))]
    found = of(document(*days))
    assert not found["valid"] and found["reason"].startswith("not valid under drift: it promised ")


def test_it_is_not_valid_when_confidence_drifts():
    rng = np.random.default_rng(3)
    days = [half_labelled(rng, 400, lambda c: c, f"2026-11-{d}", shift) for d, shift in ((19, 0.0), (20, 0.3))]
    found = of(document(*days))
    assert not found["valid"] and "PSI of confidence is" in found["reason"] and found["value"] == pytest.approx(0.6, abs=0.1)
