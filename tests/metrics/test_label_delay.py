from datetime import UTC, datetime

import pytest

from contract import clock
from metrics import label_delay
from tests.figures import cell, day, document


def us(text):
    return clock.to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


HISTORY = {f"2026-11-{d:02}": {0: 60, 1: 20, 3: 20} for d in range(1, 11)}


def test_age_counts_whole_days_after_the_end_of_the_day():
    assert [label_delay.age("2026-11-20", us(t)) for t in ("2026-11-20", "2026-11-21T23:59:59", "2026-11-22", "2026-11-24")
            ] == [0, 0, 1, 3]


def test_shares_are_learnt_from_days_that_are_old_enough():
    assert label_delay.find_arrival_curve(HISTORY, us("2026-11-30")) == pytest.approx([0.6, 0.8, 0.8, 1.0])
    young = HISTORY | {"2026-11-27": {0: 60, 1: 20}, "2026-11-28": {0: 6000}}
    assert label_delay.find_arrival_curve(young, us("2026-11-30")) == pytest.approx([0.6, 0.8, 0.8, 1.0])
    assert label_delay.find_arrival_curve({"2026-11-29": {0: 5}}, us("2026-11-30")) == []


def test_truncation_does_not_make_labels_look_quick():
    """Volume grows tenfold on the days that show only their quick labels; a plain histogram would say 0.93."""
    young = HISTORY | {f"2026-11-{d}": {0: 600, 1: 200} for d in (26, 27)}
    found = label_delay.find_arrival_curve(young, us("2026-11-30"))
    assert found == pytest.approx([0.6, 0.8, 0.8, 1.0])


def test_a_day_is_provisional_until_nine_tenths_have_come():
    learnt = label_delay.find_arrival_curve(HISTORY, us("2026-11-30"))
    shown = {d: label_delay.find_arriving(d, us("2026-11-30"), learnt) for d in ("2026-11-29", "2026-11-27", "2026-11-25")}
    assert [r["provisional"] for r in shown.values()] == [True, True, False]
    assert shown["2026-11-27"]["labels_expected_so_far"] == pytest.approx(0.8)
    assert shown["2026-11-29"]["reason"] == "the day ended less than 24 hours before as_of"


def test_the_document_tells_the_shares_and_the_counts():
    rows = [{"days": 0, "origin": "audit", "n": 3}, {"days": 2, "origin": "feedback", "n": 1}]
    days = [day([cell("a", "a")], name, delays=rows) for name in ("2026-11-01", "2026-11-02")]
    found = document(*days)["delays"]
    assert found["share_within"] == {"1": 0.75, "2": 0.75, "7": 1.0, "14": 1.0}
    assert found["labels"] == [r | {"n": 2 * r["n"]} for r in rows]
    assert document(day([cell()]))["delays"]["reason"].startswith("no label")
