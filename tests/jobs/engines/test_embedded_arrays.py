"""Columns packed into one number, sorted and added up: as tuples of Python would be."""

import numpy as np
import pyarrow as pa
import pytest

from jobs.engines import arrays
from jobs.engines.embedded.arrays import MOST_COMPARED, KeyIndex, are_same_ids, find_possible_repeats


def columns_of(rng, largest, rows=500):
    return [rng.integers(0, size, rows) for size in largest]


@pytest.mark.parametrize("largest", [(3, 5), (1, 1), (300, 300, 20, 9000, 3), (2**40, 3), (2**62, 2**62, 7), (2**50,) * 4])
def test_packed_numbers_sort_as_their_columns(largest):
    columns = columns_of(np.random.default_rng(len(largest)), largest)
    key, size = arrays.pack(columns)
    tuples = list(zip(*(c.tolist() for c in columns), strict=True))
    assert key.min() >= 0 and key.max() < size
    by_key, by_tuple = (sorted(range(len(tuples)), key=of.__getitem__) for of in (key.tolist(), tuples))
    assert by_key == by_tuple and len(set(key.tolist())) == len(set(tuples))


@pytest.mark.parametrize("largest", [4, 2**20, 2**64 - 1])
@pytest.mark.parametrize("rows", [0, 1, 2, 3000])
def test_rows_in_the_order_of_their_key(largest, rows):
    key = np.random.default_rng(rows).integers(0, largest, rows, dtype=np.uint64, endpoint=True)
    order, ordered = arrays.sort(key)
    assert np.array_equal(ordered, np.sort(key)) and np.array_equal(key[order], ordered)
    assert sorted(order.tolist()) == list(range(rows))


def test_keys_that_differ_in_their_low_bits_alone_are_sorted_too():
    key = np.uint64(2**63) + np.random.default_rng(1).permutation(5000).astype(np.uint64)
    assert np.array_equal(arrays.sort(key)[1], np.sort(key))


@pytest.mark.parametrize("sizes", [(3, 4), (900, 900, 900)])
def test_sums_by_key(sizes):
    rng = np.random.default_rng(2)
    columns, values = columns_of(rng, sizes, 4000), rng.integers(0, 2**50, 4000)
    row, (sums,), n = arrays.sum_by_key(columns, values)
    expected = {}
    for *key, value in zip(*(c.tolist() for c in columns), values.tolist(), strict=True):
        total, count = expected.get(tuple(key), (0, 0))
        expected[tuple(key)] = (total + value, count + 1)
    found = {tuple(int(c[r]) for c in columns): (int(s), int(k)) for r, s, k in zip(row, sums, n, strict=True)}
    assert found == expected and list(found) == sorted(found)


@pytest.mark.parametrize("largest", [2, 900, 2**20, 2**64 - 1])
@pytest.mark.parametrize("rows", [0, 1, 2, 5000])
def test_rows_are_found_by_their_keys(largest, rows):
    """Small numbers, which the second way of meeting gives to ids, and hashes; keys that are there, and such that are not."""
    rng = np.random.default_rng(rows)
    key = rng.integers(0, largest, rows, dtype=np.uint64, endpoint=True)
    index = KeyIndex(key)
    groups = {}
    for row, one in enumerate(key.tolist()):
        groups.setdefault(one, set()).add(row)
    assert all(index.chosen[row] in groups[one] for row, one in enumerate(key.tolist()))
    assert len(set(index.chosen.tolist())) == len(groups)
    asked = np.concatenate([key[::-3], rng.integers(0, largest, 700, dtype=np.uint64, endpoint=True), np.zeros(1, np.uint64)])
    for one, found in zip(asked.tolist(), index.find(asked).tolist(), strict=True):
        assert found == index.chosen[min(groups[one])] if one in groups else found == arrays.NULL


def test_keys_that_meet_in_most_tables_are_told_apart():
    """Keys chosen so that the first table has one place for all of them."""
    key = np.arange(3000, dtype=np.uint64) * np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
    index = KeyIndex(key)
    assert np.array_equal(index.chosen, np.arange(3000)) and np.array_equal(index.find(key[::2]), np.arange(0, 3000, 2))


@pytest.mark.parametrize("groups", [1, 7, 3000])
def test_groups_are_numbered_by_the_rows_that_stand_for_them(groups):
    of = np.random.default_rng(groups).integers(0, groups, 3000)
    last = {value: row for row, value in enumerate(of.tolist())}
    rows, group = arrays.number_groups(np.array([last[value] for value in of.tolist()]))
    assert rows.tolist() == sorted(last.values()) and np.array_equal(of[rows][group], of)


@pytest.mark.parametrize("rows", [1, arrays.PART, 2 * arrays.PART + 7])
def test_ids_are_compared_whole_in_every_part(rows):
    ids = [f"{n:036d}" for n in range(rows)]
    one, places = pa.array(ids), np.arange(rows)
    assert are_same_ids(one, places, one, places)
    assert not are_same_ids(one, places, pa.array([*ids[:-1], "x" * 36]), places)
    assert not are_same_ids(one, places, pa.array([*ids[:-1], "short"]), places)


@pytest.mark.parametrize("largest", [1, 3, MOST_COMPARED, MOST_COMPARED + 1, 60])
@pytest.mark.parametrize("values", [1, 2, 30])
def test_repeats_within_a_group_are_found_and_no_others(largest, values):
    rng = np.random.default_rng(largest * values)
    group = np.repeat(rng.permutation(40), np.append(rng.integers(1, largest, 39, endpoint=True), largest))
    columns = [rng.integers(-1, values, len(group)) for _ in range(2)]
    rows = list(zip(group.tolist(), *(c.tolist() for c in columns), strict=True))
    expected = [i for i, row in enumerate(rows) if rows.count(row) > 1]
    assert sorted(find_possible_repeats(group, *columns).tolist()) == expected


def test_no_rows_have_no_repeats():
    assert not len(find_possible_repeats(np.zeros(0, np.int64), np.zeros(0, np.int64)))
