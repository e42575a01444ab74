"""One way to write a figure, everywhere; JSON has the numbers."""

import re

import pytest

from contract.texts.figures import (
    write_bound,
    write_change,
    write_count,
    write_figure,
    write_interval,
    write_moment,
    write_number,
    write_percent,
    write_points,
    write_share,
    write_size,
)
from contract.texts.gates import write_gate
from tests.test_architecture import ROOT, files

OTHER_WAYS = re.compile(r"[:.]\d%[}'\"]|%\.\df%%|\(100 \* |\{100 \* |\['(value|low|high|accuracy)'\]:\+?\.\df")
ALLOWED = {
    "contract/texts/figures.py": "the one way",
    "emr/plan.py": "hours",
    "emr/costs/recount.py": "hours",
    "emr/rehearsal/cli.py": "dollars",
}


@pytest.mark.parametrize(("figure", "share", "whole"), [
    ({"value": 0.969, "low": 0.944, "high": 0.983}, "96.9%", "96.9% (94.4 to 98.3%)"),
    ({"value": 0.7, "low": 0.6, "high": 0.8}, "70%", "70% (60 to 80%)"),
    ({"value": 0.97251, "low": 0.9712, "high": 0.9738}, "97.25%", "97.25% (97.12 to 97.38%)"),
    ({"value": 0.5, "low": None, "high": None}, "50.0%", "50.0%"),
    ({"value": 0.5}, "50.0%", "50.0%"),
    ({"value": None, "low": None, "high": None, "reason": "no labels"}, "–", "–"),
    ({"value": 0.0, "low": 0.0, "high": 0.05}, "0.0%", "0.0% (0.0 to 5.0%)"),
    ({"value": 1.0, "low": 0.999, "high": 1.0}, "100.00%", "100.00% (99.90 to 100.00%)")])
def test_a_share_has_the_decimals_that_its_interval_deserves(figure, share, whole):
    assert (write_share(figure), write_figure(figure)) == (share, whole)
    interval = write_interval(figure)
    assert whole == (f"{share} ({interval})" if interval else share)


def test_bounds_changes_counts_and_moments():
    assert (write_bound(0.9), write_bound(0.925), write_bound(0.07)) == ("90%", "92.5%", "7%")
    assert (write_change(0.012), write_change(-0.0001), write_change(None)) == ("+1.2", "+0.0", "–")
    assert write_points({"value": 0.3, "low": -0.002, "high": 0.41}) == "+30.0 points (-0.2 to +41.0)"
    assert (write_size(0.06), write_size(-0.01), write_size(0.005)) == ("6 points", "1 point", "0.5 points")
    assert (write_number(1043), write_number(0.1234, 3), write_number(None)) == ("1,043", "0.123", "–")
    assert (write_percent(0.083), write_percent(0.083, 1), write_percent(None)) == ("8%", "8.3%", "–")
    assert write_moment("2026-11-21T08:00:59.000000Z") == "2026-11-21 08:00 UTC"


@pytest.mark.parametrize(("gate", "shown"), [
    ({"gate": "accuracy", "value": 0.7, "low": 0.6, "high": 0.8, "bound": 0.9}, ("70%", "60 to 80%", "90%")),
    ({"gate": "coverage", "value": 0.6225, "low": 0.6225, "high": 0.6225, "bound": 0.5}, ("62.25%", "", "50%")),
    ({"gate": "audit_labels", "bound": 10000, "n": 3}, ("–", "", "10,000")),
    ({"gate": "drift", "value": 0.01, "low": 0.0, "high": 0.02, "bound": 0.05}, ("0.010", "0.000 to 0.020", "0.050")),
    ({"gate": "drop_from_trivial", "value": 0.3, "low": 0.2, "high": 0.4, "bound": -0.1},
     ("+30.0 points", "+20.0 to +40.0 points", "-10.0 points")),
    ({"gate": "complete"}, ("–", "", "–"))])
def test_a_gate_is_written_in_its_own_unit(gate, shown):
    assert write_gate(gate) == shown


def test_figures_are_written_nowhere_else():
    others = [*files(), *(str(p.relative_to(ROOT)) for p in ROOT.glob("*/**/templates/*.html") if ".venv" not in p.parts)]
    found = [f"{name}:{number}: {line.strip()[:100]}" for name in others if name not in ALLOWED
             for number, line in enumerate((ROOT / name).read_text().splitlines(), 1) if OTHER_WAYS.search(line)]
    assert not found, "\n".join(found)
    assert [name for name in ALLOWED if not OTHER_WAYS.search((ROOT / name).read_text())] == [], "needs no exception any more"


@pytest.mark.parametrize(("n", "noun", "text"), [
    (1, "epoch", "1 epoch"), (2, "epoch", "2 epochs"), (0, "row", "0 rows"), (1043, "class", "1,043 classes"),
    (1, "class", "1 class")])
def test_one_of_something_is_singular(n, noun, text):
    assert write_count(n, noun) == text
