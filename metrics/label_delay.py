"""How late labels come, and which days' figures are still provisional.

A recent day shows only its quick labels, so a plain histogram of delays looks too quick. The share that has come within
d days is learnt as for reporting delays (Lawless 1994): the product over later delays j > d of 1 - (labels with delay
j) / (labels with delay <= j), each over the days that are old enough to show delay j.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NotRequired, TypedDict

from contract import clock
from contract.documents.evaluation import Delay, Delays

if TYPE_CHECKING:
    import pyarrow as pa

AFTER = (1, 2, 7, 14)
ENOUGH = 0.9


class Arriving(TypedDict):
    """How much of a day is still to come, by the names that it has in a point of the trend."""

    labels_expected_so_far: float | None
    provisional: bool
    reason: NotRequired[str | None]


def age(day: str, as_of: int) -> int:
    """Whole days from the end of a UTC day to `as_of`: delays of up to this - 1 days show in full."""
    end = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
    return max((as_of - clock.to_us(end)) // clock.US_PER_DAY, 0)


def histogram(table: "pa.Table") -> dict[int, int]:
    """Labels by delay in days (a negative delay, of a wrong clock, counts as 0), over all origins."""
    found: dict[int, int] = {}
    for days, n in zip(table.column("days").to_pylist(), table.column("n").to_pylist(), strict=True):
        found[max(days, 0)] = found.get(max(days, 0), 0) + n
    return found


def find_arrival_curve(days: Mapping[str, dict[int, int]], as_of: int) -> list[float]:
    """F with F[d] = share of a day's labels that have come with a delay of at most d days; F[-1] = 1; [] when unknown.

    `days`: day -> histogram. Delays longer than the window's own age cannot be seen and are taken not to exist.
    """
    shown = {day: {d: n for d, n in delays.items() if d < age(day, as_of)} for day, delays in days.items()}
    longest = max((d for delays in shown.values() for d in delays), default=-1)
    share, found = 1.0, []
    for j in range(longest, -1, -1):
        found.append(share)
        old = [delays for day, delays in shown.items() if age(day, as_of) > j]
        upto = sum(n for delays in old for d, n in delays.items() if d <= j)
        share *= 1 - sum(delays.get(j, 0) for delays in old) / upto if upto else 1.0
    return found[::-1]


def summary(days: Mapping[str, dict[int, int]], as_of: int, labels: Sequence[Delay]) -> Delays:
    """`share_within`: of a day's labels, those that came within 1, 2, 7 and 14 days; null with a reason if unknown.

    `days`: day -> histogram; `labels`: the same votes as they stand in the document.
    """
    learnt = find_arrival_curve(days, as_of)
    if not learnt:
        reason = "no label on a day that ended 24 hours before as_of or earlier"
        return {"share_within": {str(d): None for d in AFTER}, "reason": reason, "labels": list(labels)}
    return {"share_within": {str(d): learnt[min(d, len(learnt)) - 1] for d in AFTER}, "labels": list(labels)}


def find_arriving(day: str, as_of: int, learnt: list[float]) -> Arriving:
    """Share of the day's labels that is expected to have come by `as_of`, and whether the day is provisional."""
    if age(day, as_of) < 1:
        reason = "the day ended less than 24 hours before as_of"
    elif not learnt:
        reason = "no earlier label tells how late labels come"
    else:
        share = learnt[min(age(day, as_of), len(learnt)) - 1]
        return {"labels_expected_so_far": share, "provisional": share < ENOUGH}
    return {"labels_expected_so_far": None, "provisional": True, "reason": reason}
