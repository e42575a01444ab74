"""Ids compared and rows that may be equal found, fast, on numpy columns."""

import numpy as np
import pyarrow as pa

from jobs.engines.arrays import bits, parts, uuid_words

MIX = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplying by it loses nothing and stirs the high bits


def find_possible_repeats(*columns: np.ndarray) -> np.ndarray:
    """Finds all rows that share their values in all columns with another row.

    A row that shares them with none is found, too, with next to no chance: rows are compared by a hash.
    """
    key = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        key = (key ^ column.astype(np.uint64)) * MIX
        key ^= key >> np.uint64(29)
    key *= MIX
    rows = np.uint64(bits(len(key)))
    both = np.sort((key >> rows << rows) | np.arange(len(key), dtype=np.uint64))
    same = np.flatnonzero(both[1:] >> rows == both[:-1] >> rows)
    return (both[np.union1d(same, same + 1)] & np.uint64((1 << int(rows)) - 1)).astype(np.int64)


def are_same_ids(one: pa.StringArray, rows: np.ndarray, other: pa.StringArray, other_rows: np.ndarray) -> bool:
    """Says whether the ids in these rows of two columns are the same, pair by pair."""
    words, other_words = uuid_words(one), uuid_words(other)
    if words is not None and other_words is not None:
        return all(np.array_equal(words.take(rows[part], 0), other_words.take(other_rows[part], 0))
                   for part in parts(len(rows)))
    return one.take(pa.array(rows)).equals(other.take(pa.array(other_rows)))
