"""Which days have rows, and which of them a run is about."""

from datetime import date

from contract import clock, layout
from contract.errors import UsageError
from contract.stores.store import Storage


def default_window(storage: Storage, first: str | None, last: str | None, today: str, days: int) -> tuple[str, str]:
    """First and last prediction day, both included; what is not named is taken from the partitions there are.

    Without `first`, the newest `days` partitions up to `last` (or today), however old; without any, today alone.
    """
    last = clock.parse_day(last) if last else None
    until = last or today
    if first:
        first = clock.parse_day(first)
        if first > until:
            raise UsageError(f"window {first} to {until}: expected the first day not to be after the last. Swap them.")
        return first, until
    there = [d for d in prediction_days(storage) if d <= until][-days:]
    return (there[0], last or there[-1]) if there else (until, until)


def prediction_days(storage: Storage) -> list[str]:
    """The days that have a partition of predictions, oldest first."""
    return _days(storage, layout.PREDICTIONS)


def label_days(storage: Storage) -> list[str]:
    """The days that have a partition of labels, oldest first."""
    return _days(storage, layout.LABELS)


def split_folders(storage: Storage, table: str) -> tuple[list[str], list[str]]:
    """The days that have a partition of a table, oldest first, and the other folders: no partition, so nobody reads them."""
    days, others = [], []
    for folder in storage.folders(layout.table_folder(table)):
        day = layout.day_of(folder)
        if day and _is_day(day):
            days.append(day)
        elif not folder.startswith(("_", ".")):
            others.append(folder)
    return sorted(days), sorted(others)


def _days(storage: Storage, table: str) -> list[str]:
    return split_folders(storage, table)[0]


def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False
