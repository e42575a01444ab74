"""Columns packed into one number, sorted and added up: as tuples of Python would be."""

import numpy as np
import pyarrow as pa
import pytest

from jobs.engines import arrays
from jobs.engines.embedded.arrays import are_same_ids


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


@pytest.mark.parametrize("rows", [1, arrays.PART, 2 * arrays.PART + 7])
def test_ids_are_compared_whole_in_every_part(rows):
    ids = [f"{n:036d}" for n in range(rows)]
    one, places = pa.array(ids), np.arange(rows)
    assert are_same_ids(one, places, one, places)
    assert not are_same_ids(one, places, pa.array([*ids[:-1], "x" * 36]), places)
    assert not are_same_ids(one, places, pa.array([*ids[:-1], "short"]), places)
