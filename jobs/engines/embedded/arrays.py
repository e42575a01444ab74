"""Hashing on numpy columns: an index of rows by their keys, candidates for equal rows, and the comparison of ids."""

import numpy as np
import pyarrow as pa

from jobs.engines.arrays import NULL, bits, find_starts, parts, sizes_of, uuid_words

MIX = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplying by it is invertible, and mixes into the high bits
MOST_COMPARED = 16  # rows of a group, each of which is compared with each other
SPARSE = 2  # a table has 2^SPARSE to 2^(SPARSE + 1) times as many slots as keys


class KeyIndex:
    """A hash index of rows by their keys, uint64: each further table has the keys that collided in the one before.

    Sorting the keys is as cheap on some processors, and takes five times as long on others (docs/log.md).
    """

    def __init__(self, key: np.ndarray) -> None:
        self.key = key
        self.chosen = np.empty(len(key), np.int64)  # for each row the representative of its key, which is one of its rows
        self._tables: list[np.ndarray] = []
        rows, left = np.arange(len(key)), key
        while len(rows):
            self._tables.append(np.zeros(1 << (bits(len(rows)) + SPARSE), np.int32))
            table, place = self._tables[-1], self._find_places(left, len(self._tables))
            table[place] = rows
            found = table.take(place)
            self.chosen[rows] = found
            lost = np.flatnonzero(key.take(found) != left)
            rows, left = rows.take(lost), left.take(lost)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Returns the representative row of each of the keys; NULL where no row has it."""
        rows, at, left = np.full(len(keys), NULL), np.arange(len(keys)), keys
        for number, table in enumerate(self._tables, 1):
            found = table.take(self._find_places(left, number))  # row 0 in an empty slot
            same = self.key.take(found) == left
            rows[at[same]] = found[same]
            at, left = at[~same], left[~same]
        return rows

    def _find_places(self, keys: np.ndarray, number: int) -> np.ndarray:
        """Returns each key's slot in the table of that number, from 1; each table has a hash function of its own."""
        mix, size = np.uint64(pow(int(MIX), number, 2**64)), bits(len(self._tables[number - 1]))
        return (keys * mix >> np.uint64(64 - size)).view(np.int64)


def find_possible_repeats(group: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """Finds all rows that equal another row of their group in all columns; the rows of a group are adjacent.

    Where a group is large, a row that equals none is found, too, with negligible probability.
    """
    if sizes_of(find_starts(group), len(group)).max(initial=0) > MOST_COMPARED:
        return _find_by_hash(group, *columns)
    found, apart = np.zeros(len(group), bool), 1
    while (same := group[apart:] == group[:-apart]).any():
        for column in columns:
            same &= column[apart:] == column[:-apart]
        found[apart:] |= same
        found[:-apart] |= same
        apart += 1
    return np.flatnonzero(found)


def _find_by_hash(*columns: np.ndarray) -> np.ndarray:
    """Finds all rows that equal another row in all columns.

    Rows are compared by a hash, so a row that equals none is found, too, with negligible probability.
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
