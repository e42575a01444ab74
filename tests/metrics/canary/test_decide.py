"""What is decided of a canary, by what was observed."""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks import canary as simulation
from contract.canary.documents import Bounds, Canary, Expected, StepCounts
from metrics.canary.decide import Labelled, Observed, decide, find_bound, judge_replica

NOW = "2026-11-20T08:00:00Z"
BOUNDS = Bounds(answers=100, seconds=60)


def canary(step=0, expected=None, **bounds):
    return Canary(version="2", live="1", salt="s", step=step, steps=[0.1, 0.5], started_at=NOW, stepped_at=NOW,
                  bounds=BOUNDS.model_copy(update=bounds), expected=expected)


def counts(answers=100, errors=0, compared=100, differ=0, slower=0):
    return StepCounts(answers=answers, errors=errors, compared=compared, differ=differ, slower=slower)


def what(one, seconds=60.0, **seen):
    return decide(one, Observed(counts=seen.pop("counts"), seconds=seconds, **seen)).what


def test_a_good_one_takes_each_step_and_is_made_live_after_the_last():
    assert what(canary(0), counts={0: counts()}) == "step"
    assert what(canary(1), counts={0: counts()}) == "go on"  # nothing of this step yet
    assert what(canary(1), counts={0: counts(), 1: counts()}) == "promote"


@pytest.mark.parametrize("lacks", [{"counts": {0: counts(answers=99)}}, {"counts": {0: counts()}, "seconds": 59.0}])
def test_it_waits_for_answers_and_time(lacks):
    assert what(canary(), **lacks) == "go on"


def test_it_waits_for_labels_of_each_step_and_for_what_is_compared_where_there_is_an_expectation():
    right = {"canary": Labelled(19, 20), "live": Labelled(19, 20)}
    assert what(canary(labels=20), counts={0: counts()}) == "go on"
    assert what(canary(labels=20), counts={0: counts()}, **right) == "step"
    assert what(canary(1, labels=20), counts={1: counts()}, **right) == "go on"
    few = {0: counts(compared=24)}
    assert (what(canary(), counts=few), what(canary(expected=Expected(n=100, differ=5)), counts=few)) == ("step", "go on")


@pytest.mark.parametrize(("bad", "word"), [
    (counts(errors=20), "errors"), (counts(slower=90), "time"), (counts(differ=70), "disagreement")])
def test_it_is_withdrawn_for_what_is_beyond_its_bound_and_says_which(bad, word):
    found = decide(canary(expected=Expected(n=200, differ=10)), Observed({0: bad}, 60.0))
    assert found.what == "withdraw" and found.sentence.startswith(word)


def test_a_little_beyond_is_waited_for():
    assert what(canary(), counts={0: counts(errors=3)}) == "go on"


def test_half_of_the_answers_differ_as_its_assessment_saw():
    half = {0: counts(answers=400, compared=400, differ=200)}
    assert what(canary(expected=Expected(n=300, differ=150)), counts=half) == "step"
    assert what(canary(expected=Expected(n=300, differ=15)), counts=half) == "withdraw"
    assert what(canary(), counts=half) == "step"  # no assessment: not watched


def test_labels_withdraw_a_clearly_worse_one_alone():
    worse, live = Labelled(120, 200), Labelled(190, 200)
    assert what(canary(), counts={0: counts()}, canary=worse, live=live) == "withdraw"
    assert what(canary(), counts={0: counts()}, canary=Labelled(180, 200), live=live) == "step"


def test_what_replicas_stopped_is_withdrawn():
    assert what(canary(), counts={0: counts()}, stopped=["replica a: errors"]) == "withdraw"


def test_a_replica_judges_errors_and_time_by_itself():
    assert judge_replica(BOUNDS, counts(5, 5, 0)) is not None and judge_replica(BOUNDS, counts(slower=95)) is not None
    assert judge_replica(BOUNDS, counts(differ=100)) is None


def test_the_bound_of_disagreement_is_the_exact_upper_one_plus_the_tolerance():
    expected = Expected(n=200, differ=20)
    upper = find_bound(BOUNDS, expected) - BOUNDS.disagreement
    assert binom.cdf(20, 200, upper) == pytest.approx(0.005)
    assert find_bound(BOUNDS, Expected(n=5, differ=5)) == 1


def test_simulated_good_ones_stay_and_bad_ones_go_early():
    for candidate in simulation.GOOD[:2]:
        assert simulation.measure(candidate, 20)[0] == 0
    for candidate in simulation.BAD[:3]:
        withdrawn, early, after = simulation.measure(candidate, 20)
        assert (withdrawn, early) == (1, 1) and np.median(after) < 300
