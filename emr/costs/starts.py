"""How often a schedule of EventBridge Scheduler starts in a month of 30 days."""

import re

from contract.errors import UsageError

DAYS = 30
MINUTES = {"minute": 1, "hour": 60, "day": 1440}
RANGES = ((0, 59), (0, 23))  # minutes and hours


def count_starts(schedule: str) -> float:
    """Counts the starts of `rate(N unit)`, or of `cron(…)` as if it ran every day. UsageError for anything else."""
    if found := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule.strip()):
        if int(found[1]):
            return DAYS * 1440 / (int(found[1]) * MINUTES[found[2]])
    elif found := re.fullmatch(r"cron\((\S+) (\S+) \S+ \S+ \S+ \S+\)", schedule.strip()):
        minutes, hours = (_expand(text, *bounds) for text, bounds in zip(found.groups(), RANGES, strict=True))
        return float(DAYS * len(minutes) * len(hours))
    raise UsageError(f"emr.schedule {schedule!r}: expected rate(N minutes|hours|days) or cron(M H D M W Y), whose starts a month "
                     f"can be counted.")


def _expand(text: str, low: int, high: int) -> set[int]:
    """Expands one field of a cron expression: lists, ranges, steps, `*`."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
        if not match:
            raise UsageError(f"emr.schedule: expected numbers, ranges, steps or * for minutes and hours, got {part!r}.")
        first = int(match[1]) if match[1] else low
        last = int(match[2]) if match[2] else (high if match[1] is None or match[3] else first)
        found |= set(range(first, last + 1, int(match[3] or 1)))
    return {value for value in found if low <= value <= high}
