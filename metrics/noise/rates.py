r"""How often a blind vote is wrong, from how votes on the same item agree; and the accuracy behind.

Let an item's truth be t, the model right with probability a, and let votes be wrong independently of each other and of the
model, given t.

**Two judges, one rate e** (`from_pairs`). A wrong vote names each of the other K - 1 classes alike. Two votes agree when both
are right, or both wrong in the same way, and a vote names the predicted class when model and vote are right, or wrong in the
same way:

    P(agree)              A = (1 - e)^2 + e^2 / (K - 1)
    P(vote = prediction)  r = a (1 - e) + (1 - a) e / (K - 1)

With s = 1 - e K / (K - 1) these are A - 1/K = s^2 (K - 1) / K and r - 1/K = s (a - 1/K), so

    s = sqrt((K A - 1) / (K - 1)),   e = (1 - s) (K - 1) / K,   a = 1/K + (r - 1/K) / s

(classification noise: Angluin and Laird 1988; test labels: Lam and Stork 2003). The ceiling is what a perfect model would
show with such votes: r at a = 1, which is 1 - e.

**Three judges, a rate per class** (`from_triples`). For class k let a vote name k with probability α_k where k is true and b_k
where it is not, and let π_k be the share of k. One, two and three votes of an item name k with

    U = π α + (1 - π) b,   D = π α^2 + (1 - π) b^2,   T = π α^3 + (1 - π) b^3

so α and b are the roots of x^2 - c x + d, c = (T - U D) / (D - U^2), d = c U - D, and π = (U - b) / (α - b): Dawid and Skene's
model (1979) for one class against the rest, solved by moments as Joglekar, Garcia-Molina and Parameswaran (2013) do for
triples. The share of right ones among those predicted k follows from h_k, the share of their votes that name k (Rogan and
Gladen 1978): (h_k - b_k) / (α_k - b_k). 1 - α_k is the rate of class k.
"""

from dataclasses import dataclass, field

import numpy as np

from contract.documents.version_figures import Figure
from metrics.noise.spread import bound_ratio, bound_share, covary, deviate, divide, figure_of
from metrics.noise.votes import Moments

ENOUGH_PAIRED = 100  # items with two blind votes
ENOUGH_TRIPLED = 300  # items with three, for rates by class
ENOUGH_OF_CLASS = 30  # votes of a class on these
ENOUGH_COVERED = 0.9  # share of the predictions whose class has a rate of its own
LEAST_SIGNAL = 0.1  # s below which votes hardly tell anything


@dataclass(frozen=True)
class Rates:
    """What agreement tells: figures, and arrays as Moments has rows. `agree_if` is how often two votes agree by class of
    truth, `named` and `misnamed` are α and b, shapes (rows, classes)."""

    method: str
    accuracy: Figure
    ceiling: Figure
    named: np.ndarray
    misnamed: np.ndarray
    agree_if: np.ndarray
    of_class: dict[int, tuple[float, Figure]] = field(default_factory=dict)  # class -> (votes that name it, its rate)


def from_pairs(found: Moments, confidence: float) -> Rates | str:
    """One rate for all, or why there is none."""
    k = found.classes
    if k < 2:
        return "there is one class only"
    agree, hits = divide(found.agree, found.paired), divide(found.hits, found.items)
    signal = find_signal(agree, k)
    low, high = (float(find_signal(np.array(x), k)) for x in bound_share(agree, found.sizes[1], confidence))
    if signal[0] < LEAST_SIGNAL or low <= 0:
        return "blind votes agree hardly more often than by chance"
    top = (float(hits[0]), *bound_share(hits, found.sizes[0], confidence))
    spread = deviate(hits) * deviate(signal)
    between = bound_ratio((top[0] - 1 / k, top[1] - 1 / k, top[2] - 1 / k), (float(signal[0]), low, high),
                          covary(hits, signal) / spread if spread > 0 else 0.0)
    if between is None:
        return "blind votes agree hardly more often than by chance"
    value = 1 / k + (top[0] - 1 / k) / float(signal[0])
    named = (1 + (k - 1) * signal) / k
    rows = np.repeat(named[:, None], k, 1)
    return Rates("pairs", _cut(value, between[0] + 1 / k, between[1] + 1 / k),
                 _cut(float(named[0]), (1 + (k - 1) * low) / k, (1 + (k - 1) * high) / k), rows, (1 - rows) / (k - 1),
                 np.repeat(agree[:, None], k, 1))


def find_signal(agree: np.ndarray, classes: int) -> np.ndarray:
    """s of the share of votes that agree; 0 where it is no more than by chance."""
    return np.sqrt(np.maximum((classes * agree - 1) / (classes - 1), 0))


def from_triples(found: Moments, confidence: float) -> Rates | str:
    """A rate for each class that has enough votes, the common rate for the others; or why there are none."""
    common = from_pairs(found, confidence)
    if isinstance(common, str):
        return common
    if found.sizes[2] < ENOUGH_TRIPLED:
        return f"rates by class need {ENOUGH_TRIPLED} predictions with three blind votes"
    one, two, three = (divide(x, found.tripled[:, None]) for x in (found.one, found.two, found.three))
    named, misnamed, solved = solve_moments(one, two, three)
    own = solved.all(0) & (one[0] * found.sizes[2] >= ENOUGH_OF_CLASS)
    predicted = divide(found.predicted, found.items[:, None])
    if predicted[0, own].sum() < ENOUGH_COVERED:
        return f"rates by class need {ENOUGH_OF_CLASS} votes of each frequent class on predictions with three"
    named, misnamed = np.where(own, named, common.named), np.where(own, misnamed, common.misnamed)
    right = divide(divide(found.predicted_hits, found.predicted) - misnamed, named - misnamed)
    accuracy = (predicted * right).sum(1)
    share = divide(one - misnamed, named - misnamed)
    share = divide(share, share.sum(1, keepdims=True))
    agree_if = named**2 + (1 - named) ** 2 * _coincide(misnamed)
    rates = {int(c): (float(one[0, c] * found.sizes[2]), figure_of(1 - named[:, c], confidence)) for c in np.flatnonzero(own)}
    return Rates("triples", _widen(figure_of(accuracy, confidence), found, confidence),
                 figure_of((share * named).sum(1), confidence), named, misnamed, agree_if, rates)


def solve_moments(one: np.ndarray, two: np.ndarray, three: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(α, b, whether there is a solution) of the shares of one, two and three votes that name a class; any one shape."""
    spread = two - one**2
    ok = spread > 1e-9
    c = divide(three - one * two, np.where(ok, spread, 1))
    d = c * one - two
    inside = c * c - 4 * d
    root = np.sqrt(np.maximum(inside, 0))
    named, misnamed = (c + root) / 2, (c - root) / 2  # not cut to [0, 1]: what is cut on one side alone is biased
    return named, misnamed, ok & (inside > 0) & (named - misnamed > LEAST_SIGNAL)


def _coincide(misnamed: np.ndarray) -> np.ndarray:
    """How often two wrong votes name the same class, by class of truth: wrong votes go where b says they go."""
    others, squares = (x.sum(1, keepdims=True) - x for x in (misnamed, misnamed**2))
    return divide(squares, others**2)


def _widen(figure: Figure, found: Moments, confidence: float) -> Figure:
    """At least as wide as the interval of the votes themselves, which has a width where all agree, too."""
    hits = divide(found.hits, found.items)
    low, high = bound_share(hits, found.sizes[0], confidence)
    value = figure["value"] or 0.0
    return _cut(value, min(figure["low"] or 0.0, value - float(hits[0]) + low), max(figure["high"] or 0.0,
                                                                                  value + high - float(hits[0])))


def _cut(value: float, low: float, high: float) -> Figure:
    value, low, high = (float(min(max(x, 0.0), 1.0)) for x in (value, low, high))
    return {"value": value, "low": low, "high": high}
