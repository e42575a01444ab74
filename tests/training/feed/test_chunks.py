"""Chunks, slices of steps and plans: any way of cutting rows up keeps every row once, in order, in its place."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.feed.cache import PictureCache
from training.feed.chunks import assign_chunks, cut_chunks, slice_by_step
from training.feed.plan import Plan


@st.composite
def spans(draw):
    groups = draw(st.lists(st.integers(0, 40), min_size=1, max_size=12))
    low, high = sorted((draw(st.integers(0, sum(groups))), draw(st.integers(0, sum(groups)))))
    return groups, low, high, draw(st.integers(1, 50))


@given(spans())
def test_chunks_are_the_rows_in_order_none_longer_than_asked(span):
    groups, low, high, max_rows = span
    starts = [0, *accumulate(groups)]
    chunks = cut_chunks(*span)
    assert [starts[u.group] + row for u in chunks for row in range(u.low, u.high)] == list(range(low, high))
    assert all(0 < u.rows <= max_rows and u.high <= groups[u.group] for u in chunks)


@given(spans(), st.lists(st.integers(0, 100), max_size=30))
def test_slices_give_every_row_its_place_in_its_step(span, cuts):
    chunks = cut_chunks(*span)
    rows = sum(u.rows for u in chunks)
    sizes = [b - a for a, b in pairwise(sorted({0, rows, *(cut for cut in cuts if cut < rows)}))] or [0]
    sizes[1:1] = [0]  # a step without a row
    filled = [(part.step, place) for mine in slice_by_step([u.rows for u in chunks], sizes) for part in mine
              for place in range(part.first, part.first + part.rows)]
    assert filled == [(step, place) for step, size in enumerate(sizes) for place in range(size)]


def test_steps_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="7 rows"):
        slice_by_step([3, 4], [3, 5])


@given(spans(), st.integers(1, 9), st.integers(1, 60))
def test_whole_row_groups_are_read_by_one_worker_each(span, threads, whole):
    chunks = cut_chunks(*span)
    assignment = assign_chunks(chunks, whole, threads)
    owners = {}
    for n, chunk in enumerate(chunks):
        owners.setdefault(chunk.group, set()).add(assignment.worker_of(n, chunk.group))
    assert 1 <= assignment.workers <= threads and all(0 <= o < assignment.workers for mine in owners.values() for o in mine)
    assert assignment.whole_groups == (max((u.high for u in chunks), default=0) <= whole)
    assert not assignment.whole_groups or all(len(mine) == 1 for mine in owners.values())


@given(spans(), st.integers(1, 9), st.integers(1, 60))
def test_every_worker_has_another_chunk_when_it_has_done_one(span, threads, whole):
    chunks = cut_chunks(*span)
    assignment = assign_chunks(chunks, whole, threads)
    owners = [assignment.worker_of(n, chunk.group) for n, chunk in enumerate(chunks)]
    for n, owner in enumerate(owners):  # when chunk n is finished, the next of its worker was submitted, or is now
        after = [m for m, other in enumerate(owners) if m > n and other == owner]
        consecutive = all(b.group - a.group <= 1 for a, b in zip(chunks, chunks[1:], strict=False))
        assert not after or not consecutive or after[0] <= n + assignment.ahead


@given(st.lists(st.sampled_from([0, 0, 1, 40, 64, 100, 256, 300]), min_size=1, max_size=9), st.data())
def test_a_worker_reads_the_row_groups_of_the_chunks_that_it_is_asked_for(groups, data):
    low, high = sorted(data.draw(st.integers(0, sum(groups))) for _ in "ab")
    plan = Plan.make(groups, low, [high - low], data.draw(st.integers(1, 5)))
    worker_plans = plan.split_by_worker([], None, None, PictureCache(0, 5), set())
    submitted = [[] for _ in worker_plans]
    for n, chunk in enumerate(plan.chunks):
        submitted[plan.assignment.worker_of(n, chunk.group)].append(chunk)
    assert [mine.chunks for mine in worker_plans] == submitted
    assert all(mine.shards <= max(1, sum(map(bool, groups))) for mine in worker_plans)
    assert all(chunk.group % mine.shards == mine.shard for mine in worker_plans for chunk in mine.chunks)
