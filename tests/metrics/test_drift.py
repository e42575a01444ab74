import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from metrics import drift
from tests.figures import cell, day, document


def test_divergences_equal_scipy_and_the_definition():
    a, b = np.array([50, 30, 20, 0]), np.array([10, 30, 50, 10])
    found = drift.compare(a, b)
    assert found["js"] == pytest.approx(jensenshannon(a, b, base=2) ** 2)
    p, q = (a + 0.5) / 102, (b + 0.5) / 102
    assert found["psi"] == pytest.approx(sum((p - q) * np.log(p / q)))
    assert found["js"] > 5 * found["js_95"] and found["psi"] > found["psi_95"]


def test_no_change_exceeds_the_95_percent_value_in_about_5_percent():
    rng, exceeded = np.random.default_rng(7), np.zeros(2)
    for _ in range(200):
        found = drift.compare(*(rng.multinomial(n, [0.5, 0.3, 0.15, 0.05]) for n in (400, 150)))
        exceeded += found["psi"] > found["psi_95"], found["js"] > found["js_95"]
    assert all(2 <= x <= 20 for x in exceeded)


def test_the_newest_day_stands_against_the_days_before_it():
    days = [day([cell("a", None, 0.9, n=500), cell("b", None, 0.8, n=500)], f"2026-11-{d}") for d in (17, 18, 19)]
    found = document(*days, day([cell("a", None, 0.4, n=900)], "2026-11-20"), day([], "2026-11-21"))["drift"]
    assert (found["current"], found["reference"]) == (["2026-11-20"], ["2026-11-17", "2026-11-19"])
    assert found["predicted"]["js"] > found["predicted"]["js_95"]
    assert found["confidence"]["js"] == pytest.approx(1)
    assert document(days[0])["drift"]["reason"] == "fewer than two days have predictions"


def test_rare_classes_are_one():
    cells = [cell(f"c{i:03}", n=1 + (i < 200)) for i in range(600)]
    found = document(day(cells, "2026-11-19"), day(cells, "2026-11-20"))["drift"]["predicted"]
    assert found["psi"] == pytest.approx(0) and found["psi_95"] > 0
