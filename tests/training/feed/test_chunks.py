"""Units, parts and plans: any way of cutting rows up keeps every row once, in order, in its place."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.feed.cache import PictureCache
from training.feed.chunks import parts, shares, units
from training.feed.plan import Plan


@st.composite
def spans(draw):
    groups = draw(st.lists(st.integers(0, 40), min_size=1, max_size=12))
    low, high = sorted((draw(st.integers(0, sum(groups))), draw(st.integers(0, sum(groups)))))
    return groups, low, high, draw(st.integers(1, 50))


@given(spans())
def test_units_are_the_rows_in_order_none_longer_than_asked(span):
    groups, low, high, most = span
    starts = [0, *accumulate(groups)]
    found = units(*span)
    assert [starts[u.group] + row for u in found for row in range(u.low, u.high)] == list(range(low, high))
    assert all(0 < u.rows <= most and u.high <= groups[u.group] for u in found)


@given(spans(), st.lists(st.integers(0, 100), max_size=30))
def test_parts_give_every_row_its_place_in_its_step(span, cuts):
    found = units(*span)
    rows = sum(u.rows for u in found)
    sizes = [b - a for a, b in pairwise(sorted({0, rows, *(cut for cut in cuts if cut < rows)}))] or [0]
    sizes[1:1] = [0]  # a step without a row
    filled = [(part.step, place) for mine in parts([u.rows for u in found], sizes) for part in mine
              for place in range(part.at, part.at + part.rows)]
    assert filled == [(step, place) for step, size in enumerate(sizes) for place in range(size)]


def test_steps_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="7 rows"):
        parts([3, 4], [3, 5])


@given(spans(), st.integers(1, 9), st.integers(1, 60))
def test_whole_row_groups_are_read_by_one_decoder_each(span, threads, whole):
    found = units(*span)
    shared = shares(found, whole, threads)
    owners = {}
    for n, unit in enumerate(found):
        owners.setdefault(unit.group, set()).add(shared.of(n, unit.group))
    assert 1 <= shared.decoders <= threads and all(0 <= o < shared.decoders for mine in owners.values() for o in mine)
    assert shared.whole == (max((u.high for u in found), default=0) <= whole)
    assert not shared.whole or all(len(mine) == 1 for mine in owners.values())


@given(spans(), st.integers(1, 9), st.integers(1, 60))
def test_every_decoder_has_another_unit_when_it_has_done_one(span, threads, whole):
    found = units(*span)
    shared = shares(found, whole, threads)
    owners = [shared.of(n, unit.group) for n, unit in enumerate(found)]
    for n, owner in enumerate(owners):  # when unit n is taken, the next of its owner was asked for, or is now
        after = [m for m, other in enumerate(owners) if m > n and other == owner]
        consecutive = all(b.group - a.group <= 1 for a, b in zip(found, found[1:], strict=False))
        assert not after or not consecutive or after[0] <= n + shared.ahead


@given(st.lists(st.sampled_from([0, 0, 1, 40, 64, 100, 256, 300]), min_size=1, max_size=9), st.data())
def test_a_decoder_reads_the_row_groups_of_the_units_that_it_is_asked_for(groups, data):
    low, high = sorted(data.draw(st.integers(0, sum(groups))) for _ in "ab")
    plan = Plan.of(groups, low, [high - low], data.draw(st.integers(1, 5)))
    works = plan.works([], None, None, PictureCache(0, 5), set())
    asked = [[] for _ in works]
    for n, unit in enumerate(plan.units):
        asked[plan.shares.of(n, unit.group)].append(unit)
    assert [work.units for work in works] == asked and all(work.shards <= max(1, sum(map(bool, groups))) for work in works)
    assert all(unit.group % work.shards == work.shard for work in works for unit in work.units)
