"""Numbers of labels; that they decide in four of five runs is tested in tests/pipeline/gates/test_labels_needed.py."""

import pytest
from scipy.stats import betabinom, binom

from metrics.significance import power


@pytest.mark.parametrize(("m", "right", "n"), [(1, 0, 0), (40, 9, 10), (500, 92, 100)])
def test_the_chances_are_those_of_scipy(m, right, n):
    a, b = right + 0.5, n - right + 0.5
    share = right / n if n else 0.5
    for k in range(-1, m + 2, max(m // 20, 1)):
        assert power._binomial(m, share)(k) == pytest.approx(binom.cdf(k, m, share))
        # 200 equally likely shares stand for the posterior; Jeffreys' prior alone has all of its weight at the ends.
        assert power._beta_binomial(m, a, b)(k) == pytest.approx(betabinom.cdf(k, m, a, b), abs=0.002)


def test_more_is_needed_the_nearer_a_share_lies_to_its_bound():
    needed = [power.labels_to_decide(right, 100, 0.9, 1e-4, 0.95) for right in (99, 96, 93)]
    assert None not in needed and needed == sorted(needed) and needed[0] < needed[-1]
    assert power.labels_to_decide(90, 100, 0.9, 1e-4, 0.95) is None
    assert power.labels_to_decide(99, 100, 0.9, 1e-4, 0.95, least=5000) >= 5000


def test_a_rare_class_costs_as_many_predictions_as_it_is_rare():
    assert power.predictions_to_ask(8, 12, 1000) == 667
