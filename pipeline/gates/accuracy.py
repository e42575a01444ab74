"""The retraining gate: the accuracy that `estimate` shows, against its bound.

It judges the rows of one origin, the first trusted one that has enough labels, and never adds origins: each is another
sample of the predictions. It fails when the one-sided p of "accuracy >= bound" is at most a / 365, since it is looked at
every day (docs/design.md#gates), and passes when the whole interval lies at or above the bound.
"""

from collections.abc import Mapping
from typing import Any

from contract.counts import ORIGINS
from contract.policy import GatePolicy
from contract.texts.figures import write_bound, write_figure
from metrics.judging.verdicts import ARRIVING, FAIL, NO_DATA, PASS, TOO_FEW, UNDECIDED, UNEVEN
from metrics.significance.exact_tests import divide_level
from metrics.significance.share_of_origin import ENOUGH_KISH, is_uneven, judge_share
from pipeline.gates.tally import Tally

LOOKS_PER_YEAR = 365
SAID = {PASS: "above the bound of {bound}", FAIL: "below the bound of {bound}",
        UNDECIDED: "and the bound is {bound}: more labels would decide"}


def judge_accuracy_by_window(policy: GatePolicy, tally: Tally, arriving: bool = False) -> list[dict[str, Any]]:
    """The retraining gate: over the evaluation's window, or one for each window of the policy."""
    if policy.min_accuracy is None:
        return []
    windows = [(tally.windows[days], {"days": days}) for days in policy.window_days] or [(tally, {})]
    gates = [(judge_accuracy(policy, of_window, arriving), days) for of_window, days in windows]
    return [gate | days for gate, days in gates if gate is not None]


def judge_accuracy(policy: GatePolicy, tally: Tally, arriving: bool = False) -> dict[str, Any] | None:
    """The retraining gate over one window, or None when the policy has no bound."""
    bound = policy.min_accuracy
    if bound is None:
        return None
    level = find_level(policy)
    origin, found = choose_origin(policy, tally, level)
    row = {"gate": "accuracy", "bound": bound, "level": level, "origin": origin, **found}
    if not tally.predictions:
        return row | {"verdict": UNDECIDED, "reason": NO_DATA, "sentence": "No prediction of it lies in the window."}
    late = ARRIVING if arriving else TOO_FEW
    if found["n"] < need_labels(policy):
        return row | {"verdict": UNDECIDED, "reason": late, "sentence": _say_too_few(policy, tally, origin, found["n"])}
    if is_uneven(found):
        return row | {"verdict": UNDECIDED, "reason": UNEVEN, "sentence": say_uneven(row)}
    verdict = FAIL if row["p"] <= level else PASS if row["low"] >= bound else UNDECIDED
    reason = {} if verdict != UNDECIDED else {"reason": late}
    return row | {"verdict": verdict, **reason, "sentence": _say_accuracy(row, verdict)}


def find_level(policy: GatePolicy) -> float:
    """The p at which one look at one window fails."""
    return divide_level(divide_level(policy.false_alarms_per_year, LOOKS_PER_YEAR), len(policy.window_days))


def need_labels(policy: GatePolicy) -> int:
    """How many labels of one origin are enough."""
    return max(policy.min_new_labels, 1)


def choose_origin(policy: GatePolicy, tally: Tally, level: float) -> tuple[str | None, dict[str, Any]]:
    """The origin that is judged, and its share: the first trusted one (rule 4) with enough labels.

    When none has enough, the first that has some; (None, a share without rows) when none has any.
    """
    shares = {o: judge_share(tally.sums(o), policy.min_accuracy or 0.0, policy.confidence, level)
              for o in ORIGINS if o in policy.trusted_origins}
    some = [o for o, found in shares.items() if found["n"]]
    enough = [o for o in some if shares[o]["n"] >= need_labels(policy)]
    chosen = next(iter(enough or some), None)
    return chosen, shares[chosen] if chosen else judge_share(Tally().sums(""), 0.5, policy.confidence, level)


def _say_too_few(policy: GatePolicy, tally: Tally, origin: str | None, n: int) -> str:
    trusted = " or ".join(policy.trusted_origins)
    if not origin and tally.labelled:
        return _say_nothing_counts(policy, tally)
    have = f"{n} of {origin}" if origin else f"{tally.labelled}, none of them trusted"
    return f"Expected {need_labels(policy)} labels or more of one trusted origin ({trusted}); there are {have}."


def _say_nothing_counts(policy: GatePolicy, tally: Tally) -> str:
    """Why labels that are there do not count, and the two ways out."""
    there = [o for o in ORIGINS if tally.origins.get(o) and tally.origins[o].n]
    believed = " and ".join(policy.trusted_origins)
    return (f"It has {tally.labelled} labels ({', '.join(there)}), and none counts: gates believe {believed} alone, "
            f"because people correct what annoys them, so what they correct says nothing of the rest. Two ways out: draw an "
            f"audit (trueup review sample --p 0.05; people answer it at /audit), or trust these labels "
            f"(gates.trusted_origins: [{', '.join(dict.fromkeys([*policy.trusted_origins, *there]))}]).")


def say_uneven(row: Mapping[str, Any]) -> str:
    """Says why unequal probabilities leave nothing to tell."""
    return (f"Its {row['n']} labels of {row['origin']} were drawn with such unequal probabilities that they tell as much as "
            f"{row['n_effective']:.0f} drawn alike; expected {ENOUGH_KISH}. Ask more of those that were seldom asked.")


def _say_accuracy(row: Mapping[str, Any], verdict: str) -> str:
    weighted = f", weighted, as {row['size']:.0f} drawn alike" if row["weighted"] and row["size"] != row["n"] else ""
    bound = SAID[verdict].format(bound=write_bound(row["bound"]))
    return f"Accuracy is {write_figure(row)} over {row['n']:,} trusted labels ({row['origin']}{weighted}), {bound}."
