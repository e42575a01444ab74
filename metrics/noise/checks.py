"""Whether votes contradict what a correction takes for granted: errors that are independent, given the truth.

Each check compares a share that was observed with what the rates make of it, and the jackknife says how far chance moves
their difference (z). With pairs alone two people who share a mistake look like two who are right; what shows is that
agreement is not the same everywhere. With two classes only, that two votes or three agree (on the answer, too) follows from
how pairs agree and how often votes name the answer, so those checks stay out.
"""

from typing import NamedTuple

import numpy as np

from metrics.noise.rates import ENOUGH_PAIRED, Rates
from metrics.noise.spread import deviate, divide
from metrics.noise.votes import Moments

LEVEL = 0.01  # of all checks of a version together: so often a healthy one is refused
ENOUGH_OF_PREDICTED = 20  # paired items of a class, to be compared with others
SMALLEST = 1e-9


class Check(NamedTuple):
    """What was observed, what the rates expect (null: no one figure), and the probability of so large a difference."""

    name: str
    observed: float | None
    expected: float | None
    p: float
    reason: str


def run_checks(found: Moments, rates: Rates) -> list[Check]:
    """All checks that these votes allow, for the rates of pairs or of triples."""
    of_pairs = [*_compare_classes(found), *_compare_triples(found, rates), *_compare_answers(found, rates)]
    both = [*_compare_selected(found), *_compare_low(found, rates), *_compare_rejected(found, rates)]
    return [*(of_pairs if rates.method == "pairs" else ()), *both]


def find_failed(checks: list[Check]) -> list[Check]:
    """Those that contradict, each at its part of LEVEL."""
    return [check for check in checks if check.p * len(checks) <= LEVEL]


def compare(name: str, observed: np.ndarray, expected: np.ndarray, reason: str) -> list[Check]:
    """The check of two figures; none where chance cannot be told or moves nothing."""
    error = deviate(observed - expected)
    if not error > SMALLEST:
        return []
    return [Check(name, float(observed[0]), float(expected[0]), find_p(float(observed[0] - expected[0]) / error), reason)]


def find_p(z: float) -> float:
    """The two-sided probability of a standard normal beyond z."""
    from math import erfc, sqrt

    return erfc(abs(z) / sqrt(2))


def _compare_classes(found: Moments) -> list[Check]:
    """Agreement by predicted class: with one rate it is the same everywhere (chi-squared at Kish's sizes)."""
    from scipy.special import chdtrc

    weight, squared = found.paired_predicted[0], found.paired_predicted_squared[0]
    size = divide(weight**2, squared)
    some = size >= ENOUGH_OF_PREDICTED
    if some.sum() < 2:
        return []
    share = found.paired_predicted_agree[0][some] / weight[some]
    mean = float((size[some] * share).sum() / size[some].sum())
    if not 0 < mean < 1:
        return []
    chi = float((size[some] * (share - mean) ** 2).sum()) / (mean * (1 - mean))
    return [Check("classes", None, mean, float(chdtrc(some.sum() - 1, chi)),
                  "votes agree more on some predicted classes than on others, so there is no one rate")]


def _compare_triples(found: Moments, rates: Rates) -> list[Check]:
    """Three votes all agree as often as one rate says: (1 - e)^3 + e^3 / (K - 1)^2."""
    if found.sizes[2] < ENOUGH_PAIRED or found.classes < 3:
        return []
    right, wrong = rates.named[:, 0], rates.misnamed[:, 0]
    return compare("triples", divide(found.all_agree, found.tripled), right**3 + (found.classes - 1) * wrong**3,
                   "triples contradict pairs: three votes agree otherwise than one rate of independent errors says")


def _compare_answers(found: Moments, rates: Rates) -> list[Check]:
    """Two votes both name the answer as often as one rate says: a (1 - e)^2 + (1 - a) (e / (K - 1))^2."""
    if found.classes < 3:
        return []
    right, wrong = rates.named[:, 0], rates.misnamed[:, 0]
    accuracy = divide(divide(found.paired_hits, found.paired) - wrong, right - wrong)
    return compare("answers", divide(found.both, found.paired), accuracy * right**2 + (1 - accuracy) * wrong**2,
                   "votes are wrong more often where the model is, or wrong together: some predictions are harder than others")


def _compare_selected(found: Moments) -> list[Check]:
    """A vote names the answer as often on items with two votes as on all: otherwise second opinions were asked for a reason."""
    return compare("selected", divide(found.paired_hits, found.paired), divide(found.hits, found.items),
                   "predictions with two votes differ from those with one (ask for second opinions at random)")


def _compare_low(found: Moments, rates: Rates) -> list[Check]:
    """Votes agree on the less confident half as often as the classes that lie there say."""
    return compare("confidence", divide(found.low_agree, found.low), _expect(found.low_votes, rates),
                   "votes agree less where the model is less sure: some predictions are harder than others")


def _compare_rejected(found: Moments, rates: Rates) -> list[Check]:
    """Two votes agree where a third one rejects the answer as often as the classes that lie there say."""
    if found.sizes[2] < ENOUGH_PAIRED:
        return []
    return compare("rejected", divide(found.rejected_agree, found.rejected),
                   _expect(found.rejected_votes, rates),
                   "votes agree less where another vote rejects the answer: some predictions are harder than others")


def _expect(named: np.ndarray, rates: Rates) -> np.ndarray:
    """How often two votes agree among items of which votes name the classes so: by class of truth, times its share there.

    The share of a class among the truths is (share of votes - b) / (α - b).
    """
    share = divide(divide(named, named.sum(1, keepdims=True)) - rates.misnamed, rates.named - rates.misnamed)
    return divide((share * rates.agree_if).sum(1), share.sum(1))
