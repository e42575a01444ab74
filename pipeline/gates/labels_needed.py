"""How many more labels would decide what a gate could not tell, as a list that the review queue can take.

A number of labels is enough when a decision, pass or fail, comes out in at least 80% of cases: if the share is exactly
as seen so far, and also on average over what it may be (the Beta posterior of what was seen, Jeffreys' prior), because
what was seen is itself uncertain. The larger of the two is asked for. A share at the bound needs more than anybody has.

The queue draws random audits, every prediction alike: anything else would bias the very figure that is in doubt. So a
wish for labels of a rare class says both how many labels of it are missing and how many predictions have to be asked
(`items`) until so many came by. `trueup review sample --wishes EVALUATION` draws that many.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from statistics import NormalDist
from typing import Any

import numpy as np

from contract.policy import GatePolicy
from metrics.intervals import p_at_least, wilson, z_of
from pipeline.gates.tally import Share, Tally
from pipeline.gates.verdicts import UNDECIDED

POWER = 0.8
MOST, MOST_ROWS = 100_000, 200
ASK = {"kind": "audit", "strategy": "random-audit"}


def wishes(policy: GatePolicy, tally: Tally, gates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """{"rows": one for each open question, "rows_omitted", "ask": what the queue is to draw, or null}.

    A row: gate, label (of a class or slice, else null), blocks, labels, items; null where no number up to 100,000 would.
    """
    rows = [row for gate in gates for row in _of_gate(policy, tally, gate)]
    rows.sort(key=lambda row: (not row["blocks"], row["labels"] is None, row["labels"] or 0, row["label"] or ""))
    needed = [row["items"] for row in rows if row["blocks"]]
    items = max((n for n in needed if n is not None), default=0)
    return {"power": POWER, "rows": rows[:MOST_ROWS], "rows_omitted": max(len(rows) - MOST_ROWS, 0),
            "ask": {**ASK, "items": items} if items else None}


def _of_gate(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> list[dict[str, Any]]:
    if gate.get("classes") is not None:
        return _of_classes(policy, tally, gate)
    if gate["verdict"] != UNDECIDED or gate["gate"] not in NEEDED:
        return []
    labels = NEEDED[gate["gate"]](policy, tally, gate)
    if labels is None and not gate.get("n"):
        return []  # how many shows once there are some
    return [{"gate": gate["gate"], "label": None, "blocks": True, "labels": labels, "items": labels}]


def _of_classes(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Undecided classes, and those too small to be judged; none of them blocks."""
    total = tally.of(policy.trusted_origins).n
    found, family = [], max(gate["judged"], 1)
    for row in gate["classes"]:
        if row["verdict"] == UNDECIDED:
            labels = more_labels(row["right"], row["n"], gate["bound"], (1 - policy.confidence) / family, policy.confidence)
        elif row["n"] < policy.min_class_support:
            labels = policy.min_class_support - row["n"]
        else:
            continue
        items = ceil(labels * total / row["n"]) if labels and row["n"] else None
        found.append({"gate": gate["gate"], "label": row["label"], "blocks": False, "labels": labels, "items": items})
    return found


def _for_accuracy(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    level = gate["level"]
    return more_labels(gate["right"], gate["n"], gate["bound"], level, policy.confidence, policy.min_new_labels - tally.labelled)


def more_labels(right: int, n: int, bound: float, level: float, confidence: float, least: int = 0) -> int | None:
    """Labels to add until pass (low >= bound) or fail (p <= level) comes out with 80%; None above 100,000.

    Never fewer than `least`, and always at least one.
    """
    seen, prior = right / n if n else None, (right + 0.5, n - right + 0.5)

    def power(m: int) -> float:
        at_least, at_most = _edges(n + m, bound, level, confidence)
        chances = [_decided(right, m, at_least, at_most, _beta_binomial(m, *prior))]
        if seen is not None:
            chances.append(_decided(right, m, at_least, at_most, _binomial(m, seen)))
        return min(chances)

    return _fewest(power, max(least, 1))


def _fewest(power: Callable[[int], float], least: int) -> int | None:
    """The fewest m >= least with the power, to about 2%; chance steps up and down with m, so what is named is checked."""
    if power(MOST) < POWER:
        return None
    high = least
    while power(high) < POWER:
        high = min(ceil(high * 1.5), MOST)
    low = max(least, ceil(high / 1.5))
    while high - low > max(high // 50, 1):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _edges(n: int, bound: float, level: float, confidence: float) -> tuple[int, int]:
    """(fewest right that pass, most right that fail) of n labels; n + 1 and -1 where none does."""
    reach = int(8 * np.sqrt(n)) + 20  # more than 16 standard deviations to either side of the bound
    right = np.arange(max(int(bound * n) - 1, 0), min(int(bound * n) + reach, n) + 1)
    passing = right[wilson(right, n, confidence)[0] >= bound]
    below = np.arange(max(int(bound * n) - reach, 0), int(bound * n) + 2)
    failing = below[p_at_least(below, n, bound) <= level]
    return int(passing[0]) if len(passing) else n + 1, int(failing[-1]) if len(failing) else -1


def _decided(right: int, m: int, at_least: int, at_most: int, cdf: Callable[[Any], Any]) -> float:
    """Chance that right + X passes or fails, X the right ones among m more."""
    passes = 1 - float(cdf(at_least - right - 1)) if at_least - right <= m else 0.0
    return passes + (float(cdf(at_most - right)) if at_most >= right else 0.0)


def _binomial(m: int, share: float) -> Callable[[Any], Any]:
    from scipy.special import bdtr

    return lambda k: 0.0 if k < 0 else 1.0 if k >= m else bdtr(k, m, share)


def _beta_binomial(m: int, a: float, b: float) -> Callable[[Any], Any]:
    """P(X <= k) by averaging binomials over 200 equally likely shares."""
    from scipy.special import bdtr, betaincinv

    shares = betaincinv(a, b, (np.arange(200) + 0.5) / 200)
    return lambda k: 0.0 if k < 0 else 1.0 if k >= m else float(bdtr(np.full(200, float(k)), m, shares).mean())


def _z(policy: GatePolicy) -> float:
    return z_of(policy.confidence) + NormalDist().inv_cdf(POWER)


def _for_baseline(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    """Labels of the judged version, those of the baseline staying: None where the baseline has too few itself."""
    ours, theirs = tally.of(policy.trusted_origins), tally.baseline or Share()
    if not (ours.n and theirs.n):
        return None
    spread = [(s.right + 1) / (s.n + 2) * (s.n - s.right + 1) / (s.n + 2) for s in (ours, theirs)]
    room = ((gate["value"] - gate["bound"]) / _z(policy)) ** 2 - spread[1] / theirs.n
    return _beyond(spread[0] / room if room > 0 else None, ours.n)


def _for_trivial(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    if not gate["n"] or gate.get("value") is None or gate["value"] == gate["bound"]:
        return None
    spread = (gate["only_model"] + gate["only_trivial"] + 1) / (gate["n"] + 1) - gate["value"] ** 2
    return _beyond(spread * (_z(policy) / (gate["value"] - gate["bound"])) ** 2, gate["n"])


def _for_calibration(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    """The margin shrinks with the square root of the labels, and the upward bias of the error seen with it."""
    if gate.get("value") is None or gate["value"] == gate["bound"]:
        return None
    margin = tally.calibration["margin"]
    return _beyond(gate["n"] * (2 * margin / (gate["value"] - gate["bound"])) ** 2, gate["n"])


def _beyond(size: float | None, n: int) -> int | None:
    """How many are missing to that size, and a tenth of it for what the normal approximation leaves out."""
    wanted = None if size is None else max(ceil(1.1 * size) - n, 1)
    return None if wanted is None or wanted > MOST else wanted


def _for_coverage(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    return max(ceil(gate["bound"] * tally.predictions) - gate["n"], 0) or None


def _for_audit(policy: GatePolicy, tally: Tally, gate: Mapping[str, Any]) -> int | None:
    return int(gate["bound"]) - gate["n"]


NEEDED: dict[str, Callable[[GatePolicy, Tally, Mapping[str, Any]], int | None]] = {
    "accuracy": _for_accuracy, "drop_from_baseline": _for_baseline, "drop_from_trivial": _for_trivial,
    "calibration": _for_calibration, "coverage": _for_coverage, "audit_labels": _for_audit}


def sentence(found: Mapping[str, Any]) -> str:
    """What would decide, for a person; empty when nothing is open, or when nobody can know yet."""
    blocking = [row for row in found["rows"] if row["blocks"]]
    if not blocking:
        return ""
    if any(row["labels"] is None for row in blocking):
        names = ", ".join(sorted({row["gate"].replace("_", " ") for row in blocking if row["labels"] is None}))
        return (f"No number of labels up to {MOST:,} would decide {names} in {POWER:.0%} of cases: it lies too close to its "
                f"bound, or what it is compared with is too small.")
    most = max(row["labels"] for row in blocking)
    return f"About {most:,} more audit labels would decide in {POWER:.0%} of cases."
