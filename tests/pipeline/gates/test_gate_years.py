"""The retraining gate over simulated years: false alarms, days until a drop, and no flapping."""

from datetime import timedelta

import numpy as np
import pytest

from benchmarks import gate_years, uneven_years
from contract import clock
from contract.policy import GatePolicy
from metrics.selection.origin_sums import Sums
from metrics.significance.share_of_origin import judge_share, p_of_share
from pipeline.gates.decide import decide
from tests.pipeline.gates.test_decide import audit, evaluation


@pytest.mark.parametrize("windows", gate_years.WINDOWS)
def test_at_most_one_healthy_year_in_twenty_ever_fails(windows):
    found = gate_years.row(windows, years=2000, labels=200, bound=0.9, alarms=0.05)
    assert 0.002 < found["healthy_years_that_fail"] <= 0.05
    assert found["with_fixed_95_intervals"] > 0.7
    assert found["days_until_0.95_to_0.85"] <= 20 and found["days_until_0.93_to_0.88"] <= 40


def test_the_simulation_judges_as_the_gate_does():
    right = np.random.default_rng(1).binomial(200, 0.87, (1, 40))
    failed = gate_years.fails(right, (7,), 200, 0.9, 0.05 / 365)[0]
    for last in range(6, 40):
        made = decide(GatePolicy(min_class_recall=None), evaluation(), "e", "1", audit(int(right[0, last - 6:last + 1].sum()),
                                                                                    1400))
        assert (made["verdict"] == "fail") == failed[last]


def test_the_command_prints_the_days_until_a_drop_is_seen(capsys):
    assert gate_years.main(["--years", "50"]) == 0
    assert "0.93 to 0.88:" in capsys.readouterr().out


@pytest.mark.parametrize("name", uneven_years.SCENARIOS)
def test_uneven_audits_of_a_healthy_model_alarm_in_few_years(name):
    found = uneven_years.row(name, years=400, bound=0.9, alarms=0.05)
    assert found["healthy_years_that_fail"] <= 0.06
    assert (found["cannot_tell"] == 1) == (name == "uncertain first, thin floor")


def test_uneven_years_are_judged_as_the_gate_judges():
    week = uneven_years.plan_bad_day(0.88)
    sums = uneven_years.simulate(week, 1, np.random.default_rng(1))[:, 0, :30]
    value, size, kish = uneven_years.shares(sums)
    for day in range(30):
        weight, right, squared, squared_right = (int(x) for x in np.rint(sums[:, day]))
        found = judge_share(Sums(1400, 0, 1400, weight, squared, right, squared_right), 0.9, 0.95, 0.05 / 365)
        assert (found["value"], found["size"], found["n_effective"]) == pytest.approx((value[day], size[day], kish[day]))
        assert found["p"] == pytest.approx(float(p_of_share(value[day], size[day], 0.9)))


@pytest.mark.parametrize(("share", "least", "most"), [(0.90, 0, 1), (0.80, 48, 52)])
def test_a_year_of_daily_looks_stays_within_the_budget(share, least, most):
    """At the bound hardly ever; far below it, where retraining does not help, 4 in any 30 days and no more."""
    policy, began = GatePolicy(min_class_recall=None), []
    start, days = clock.parse_moment("2026-01-01T00:00:00Z"), np.random.default_rng(5).binomial(200, share, 372)
    for day in range(365):
        as_of = clock.iso(start + timedelta(days=day))
        made = decide(policy, evaluation(as_of=as_of), "e", "1", audit(int(days[day:day + 7].sum()), 1400), (), began)
        began += [as_of] if made["retrain"]["fires"] else []
    assert least <= len(began) <= most
    for first in began:
        end = clock.iso(clock.parse_moment(first) + timedelta(days=30))
        assert sum(first <= moment < end for moment in began) <= policy.retrainings
