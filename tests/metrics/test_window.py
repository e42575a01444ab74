"""What an evaluation keeps of its days: the same in any order, by hand, and no larger than the classes allow."""

import random
from collections import Counter

import pytest

from contract import jsonio
from contract.counts import add, canonical
from metrics.window import ADDED, WindowCounts
from tests.figures import cell, day, document, random_cells

MANY = 100  # Arrow's group_by goes wrong from 33 rows with a null key on


def nulls(n=MANY):
    """Cells that differ, half of them without a bin, a rank or a label."""
    return [cell("ab"[i % 2], None if i % 4 else "a", None if i % 2 else i % 20 / 20, rank=None if i % 3 else i + 1)
            for i in range(n)]


def some_days(many=6):
    rng = random.Random(4)
    slices = [{"slice": "camera", "value": rng.choice([None, "x", "y"]), "model_version": "1", "origin": o, "predicted": p,
               "label": x, "n": rng.randint(1, 9)} for o, x in (("audit", "a"), ("import", "b"), (None, None)) for p in "abc"]
    return [day(random_cells(i, p=rng.choice([None, 0.25])) + nulls(), f"2026-11-{10 + i}", slices=slices,
                people=[{"labeler": None, "votes": i, "agreements": 0}],
                delays=[{"days": i % 3, "origin": "audit", "n": 2}],
                coincidences=[{"label": x, "other_label": y, "votes": 2, "n": 1 + i} for x, y in ("ab", "ba")])
            for i in range(many)]


def by_hand(cells, keys, value="n"):
    found = Counter()
    for row in cells.to_pylist():
        right = None if row["label"] is None else row["label"] == row["predicted"]
        found[tuple((row | {"right": right})[key] for key in keys)] += row[value]
    return found


@pytest.mark.parametrize("waiting", [0, 300, 10**6])
def test_the_order_of_days_and_when_they_are_added_up_change_nothing(waiting, monkeypatch):
    days = some_days()
    expected = jsonio.dumps(document(*days))
    monkeypatch.setattr("metrics.window.WAITING", waiting)
    random.Random(waiting).shuffle(days)
    given = {"window": (min(d.day for d in days), max(d.day for d in days)),
             "counts": {d.day: f"{'0' * 16}/1" for d in days}, "window_counts": WindowCounts.of(days)}
    assert jsonio.dumps(document(**given)) == expected


def test_margins_are_the_sums_of_the_cells():
    days = some_days()
    window, cells = WindowCounts.of(days), add(days)[0]["cells"]
    for name, keys in (("pairs", ["predicted", "label"]), ("bins", ["predicted", "confidence_bin", "right"]),
                       ("ranks", ["predicted", "rank", "split", "right"])):
        assert by_hand(window.total(name), keys) == by_hand(cells, keys), name
    keys = ["predicted", "confidence_bin", "right"]
    assert by_hand(window.total("bins"), keys, "sum_confidence") == by_hand(cells, keys, "sum_confidence")
    slices = ["slice", "value", "model_version", "origin", "right"]
    assert by_hand(window.total("slices"), slices) == by_hand(add(days)[0]["slices"], slices)


def test_totals_are_canonical_of_one_day_and_of_many():
    for days in ([], some_days(1), some_days(4)):
        window = WindowCounts.of(days)
        for name, (table, _) in ADDED.items():
            assert window.total(name).equals(canonical(table, window.total(name))), name


def test_what_is_held_grows_with_the_classes_not_with_the_cells():
    def held(ranks):
        days = [day([cell("a", "b", k / 20, rank=r, origin=o) for k in range(20) for r in range(1, ranks)
                     for o in ("audit", "import", "feedback")], f"2026-11-{d}") for d in range(10, 15)]
        window = WindowCounts.of(days)
        assert window.rows["predictions"] == 5 * 20 * 3 * (ranks - 1)
        return window.total("pairs").num_rows, window.total("bins").num_rows, len(window.days[0].predictions)

    assert held(3) == held(40) == (1, 20, 20)


def test_rows_with_null_keys_are_one_row():
    found = document(day(nulls(), slices=[
        {"slice": "camera", "value": None, "model_version": "1", "origin": None, "predicted": f"p{i}", "label": None, "n": 1}
        for i in range(MANY)]))
    assert [(r["slice"], r["value"], r["predictions"]) for r in found["slices"]] == [("camera", None, MANY)]
    figures = WindowCounts.of([day(nulls())]).days[0]
    keys = list(zip(*(figures.predictions[k].to_pylist() for k in ("predicted", "confidence_bin")), strict=True))
    assert len(keys) == len(set(keys)) == len({(c["predicted"], c["confidence_bin"]) for c in nulls()})


def test_a_label_may_be_called_as_a_verdict():
    found = document(day([cell("wrong", "right", 0.9, n=2), cell("right", "right", 0.9), cell("right", "wrong", 0.1, n=4)]))
    version = found["versions"]["1"]
    assert (version["accuracy"]["value"], version["calibration"]["count"]) == (pytest.approx(1 / 7), 7)
    assert {(b["predicted"], b["low"]): (b["count"], b["wrong"]) for b in version["confidence_buckets"]} == {
        ("wrong", 0.9): (2, 2), ("right", 0.9): (1, 0), ("right", 0.1): (4, 4)}


def test_a_day_twice_is_an_error():
    with pytest.raises(ValueError, match="2026-11-20 was added before"):
        WindowCounts.of([day([cell()]), day([cell()])])
