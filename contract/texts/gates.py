"""A gate's figures as people read them, in the unit that the gate judges."""

from collections.abc import Callable, Mapping
from typing import Any

from contract.texts.figures import (
    NOTHING,
    write_bound,
    write_chance,
    write_change,
    write_cost,
    write_interval,
    write_number,
    write_percent,
    write_share,
)


def write_gate(gate: Mapping[str, Any]) -> tuple[str, str, str]:
    """Writes a gate's value, its interval (empty for whole numbers such as coverage) and its bound; a dash for what it lacks."""
    write, unit = _UNITS.get(gate["gate"], (None, ""))
    bound, value, low, high = (gate.get(name) for name in ("bound", "value", "low", "high"))
    limit = NOTHING if bound is None else f"{write(bound)}{unit}" if write else write_bound(bound)
    if value is None:
        return NOTHING, "", limit
    if write is None:
        return write_share(gate), write_interval(gate) if low != high else "", limit
    between = f"{write(low)} to {write(high)}{unit}" if low is not None and high is not None and low != high else ""
    return f"{write(value)}{unit}", between, limit


def say_test(gate: Mapping[str, Any]) -> str:
    """Says what the test of a gate found, for those who want to know; empty for a gate without a test."""
    p, level, most = (gate.get(name) for name in ("p", "level", "level_high"))
    if p is None or level is None:
        return ""
    reach = "" if most is None else write_percent(most, 1)
    limit = f": that is, when the interval of that level, which now reaches up to {reach}, lies below the bound" if reach else ""
    return (f"Test: were it as good as its bound and no better, a result as bad as this would come with a probability of "
            f"{write_chance(p)}; it fails at {write_chance(level)} or less{limit}.")


def _write_three(value: float) -> str:
    return write_number(value, 3)


_UNITS: dict[str, tuple[Callable[[float], str], str]] = {
    "audit_labels": (write_number, ""), "cost": (write_cost, " per 1,000"),
    "drift": (_write_three, ""), "picture_drift": (_write_three, ""), "calibration": (_write_three, ""),
    "drop_from_baseline": (write_change, " points"), "drop_from_trivial": (write_change, " points")}
