"""Which prediction days a cycle is about."""

import pytest

from contract.days import default_window, prediction_days
from contract.errors import UsageError
from contract.stores.local import LocalStorage


@pytest.fixture
def storage(tmp_path):
    store = LocalStorage(tmp_path)
    for day in ("2026-11-01", "2026-11-02", "2026-11-05", "2026-12-24"):
        store.put(f"predictions/dt={day}/x.parquet", b"x")
    for other in ("predictions/dt=2026-02-30/x", "predictions/_tmp/x", "labels/dt=2026-11-09/x"):
        store.put(other, b"x")
    return store


def test_partitions_that_are_days_are_listed(storage):
    assert prediction_days(storage) == ["2026-11-01", "2026-11-02", "2026-11-05", "2026-12-24"]


@pytest.mark.parametrize(("first", "last", "days", "expected"), [
    (None, None, 2, ("2026-11-02", "2026-11-05")),  # the newest there are, none of them after today
    (None, None, 30, ("2026-11-01", "2026-11-05")),
    (None, "2026-11-03", 1, ("2026-11-02", "2026-11-03")),
    ("2026-11-03", None, 30, ("2026-11-03", "2026-11-20")),
    ("2026-11-03", "2026-11-04", 30, ("2026-11-03", "2026-11-04")),
    (None, "2026-10-01", 30, ("2026-10-01", "2026-10-01")),
])
def test_what_is_not_named_comes_from_the_partitions(storage, first, last, days, expected):
    assert default_window(storage, first, last, "2026-11-20", days) == expected


def test_a_window_the_wrong_way_round_is_refused(storage):
    with pytest.raises(UsageError, match="Swap them"):
        default_window(storage, "2026-11-05", "2026-11-01", "2026-11-20", 30)
