"""Which correction a version's votes allow, and what it says: rates by class, one rate, or gold items.

Rates by class are taken where three votes tell them, else one rate for all. What the votes contradict (metrics/noise/checks.py)
is not shown; gold items then tell, where there are enough. Nothing here is for a gate.
"""

from dataclasses import dataclass, field

from contract.documents.version_figures import Figure
from contract.evidence.label_noise import ClassNoise, NoiseCheck
from metrics.figure import missing
from metrics.noise.checks import Check, find_failed, find_p, run_checks
from metrics.noise.gold import ENOUGH_GOLD, GoldVotes, from_gold
from metrics.noise.rates import ENOUGH_PAIRED, Rates, from_pairs, from_triples
from metrics.noise.spread import bound_share, divide, find_error
from metrics.noise.votes import Moments, Votes, add_up

NO_VOTES = "no blind votes (saw_prediction false) that name a class"


@dataclass(frozen=True)
class Judged:
    """What votes tell; `reason` says why there is no correction."""

    raw: Figure
    corrected: Figure
    ceiling: Figure
    method: str | None = None
    reason: str = ""
    rates: dict[int, tuple[float, Figure]] = field(default_factory=dict)
    checks: list[NoiseCheck] = field(default_factory=list)


def judge(votes: Votes, gold: GoldVotes, confidence: float) -> Judged:
    """Corrects the accuracy of a version for the noise of its blind votes, where they allow it."""
    if not len(votes.predicted):
        return Judged(missing(NO_VOTES), missing(NO_VOTES), missing(NO_VOTES), reason=NO_VOTES)
    found = add_up(votes)
    raw, rates = _take_raw(found, confidence), _estimate(found, confidence)
    checks = [] if isinstance(rates, str) else [*run_checks(found, rates), *_compare_gold(rates, gold)]
    failed, told = find_failed(checks), [_describe(check, checks) for check in checks]
    if not isinstance(rates, str) and not failed:
        return Judged(raw, rates.accuracy, rates.ceiling, rates.method, rates=rates.of_class, checks=told)
    reason = rates if isinstance(rates, str) else "; ".join(check.reason for check in failed)
    measured = from_gold(found, gold, confidence) if gold.enough else (
        f"gold items would tell: {ENOUGH_GOLD} blind votes on them where the model is right and {ENOUGH_GOLD} where it is wrong "
        f"(there are {gold.right} and {gold.wrong})")
    if isinstance(measured, str):
        reason = f"{reason}; {measured}"
        return Judged(raw, missing(reason), missing(reason), reason=reason, checks=told)
    return Judged(raw, *measured, "gold", reason, checks=told)


def describe_classes(judged: Judged, names: list[str]) -> list[ClassNoise]:
    """The rate of each class that has one of its own, by name; `names` are those of the codes."""
    return [{"label": names[code], "votes": votes, "error_rate": rate}
            for code, (votes, rate) in sorted(judged.rates.items(), key=lambda item: names[item[0]])]


def complement(figure: Figure) -> Figure:
    """1 minus a share."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or low is None or high is None:
        return figure
    return {"value": 1 - value, "low": 1 - high, "high": 1 - low}


def _take_raw(found: Moments, confidence: float) -> Figure:
    hits = divide(found.hits, found.items)
    low, high = bound_share(hits, found.sizes[0], confidence)
    return {"value": float(hits[0]), "low": low, "high": high}


def _estimate(found: Moments, confidence: float) -> Rates | str:
    if found.sizes[1] < ENOUGH_PAIRED:
        return f"too few predictions have two blind votes of different people: {found.sizes[1]:.0f}, expected {ENOUGH_PAIRED}"
    rates = from_triples(found, confidence)
    return from_pairs(found, confidence) if isinstance(rates, str) else rates


def _compare_gold(rates: Rates, gold: GoldVotes) -> list[Check]:
    """One rate holds on gold items, too, and where the model is right as where it is wrong."""
    n, known = gold.right + gold.wrong, gold.right_known + gold.wrong_known
    if rates.method != "pairs" or n < ENOUGH_GOLD:
        return []
    expected, error = rates.ceiling["value"] or 0.0, find_error(rates.ceiling)
    mean = (known + 2) / (n + 4)  # of these shares one may be 1, and would then seem to have no error
    z = (known / n - expected) / (error**2 + mean * (1 - mean) / n) ** 0.5
    checks = [Check("gold", known / n, expected, find_p(z), "votes are wrong on gold items otherwise than their agreement says")]
    if gold.enough:
        here, there = gold.wrong_known / gold.wrong, gold.right_known / gold.right
        z = (here - there) / (mean * (1 - mean) * (1 / gold.right + 1 / gold.wrong)) ** 0.5
        checks.append(Check("gold where wrong", here, there, find_p(z), "votes are wrong more often on gold items where "
                            "the model is wrong: some predictions are harder than others"))
    return checks


def _describe(check: Check, checks: list[Check]) -> NoiseCheck:
    return {"name": check.name, "observed": check.observed, "expected": check.expected,  # type: ignore[typeddict-item]
            "p": check.p, "failed": check in find_failed(checks)}
