"""Arrow columns as numpy columns: texts as dictionary codes, rows sorted and summed by integer keys.

What the embedded and the Spark engine both compute with; the rules of counting are each engine's own. Sorting 64-bit
numbers is a cheap way to group rows (docs/log.md): a million in 8 ms on some processors, in 67 on others, where a hash
aggregate took 60 and a hash join 100. An array over all possible keys is cheaper where these are not many more than rows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.clock import US_PER_DAY

NULL = -1  # code of a null text, and index of a row that does not exist
MOST_SPARSE = 16  # times as many possible keys as rows: up to here an array over all of them is cheaper than sorting
MOST_DENSE = 10_000_000
PART = 50_000  # rows, whose temporary arrays stay in a core's cache
UUID_BYTES = 36  # of a UUID's text
Column: TypeAlias = pa.Array | pa.ChunkedArray


def join_chunks(column: Column) -> pa.Array:
    """Joins the chunks of a column into one array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def numbers(column: Column, null: float = 0) -> np.ndarray:
    """Converts a column of numbers or booleans to numpy, with `null` in the place of nulls."""
    column = join_chunks(column)
    return (column.fill_null(null) if column.null_count else column).to_numpy(zero_copy_only=False)


def whole_days(later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """Returns floor((later - earlier) / 24 h) of times in us, also where the difference does not fit into 64 bits."""
    if max(later.max(initial=0), earlier.max(initial=0)) < 2**62 and min(later.min(initial=0), earlier.min(initial=0)) > -2**62:
        return (later - earlier) // US_PER_DAY
    (days, rest), (other, less) = np.divmod(later, US_PER_DAY), np.divmod(earlier, US_PER_DAY)
    return days - other + (rest - less) // US_PER_DAY


def booleans(column: Column) -> np.ndarray:
    """Converts a column of booleans to int8: 1, 0, and NULL for null."""
    return numbers(join_chunks(column).cast(pa.int8()), NULL)


@dataclass(frozen=True)
class Words:
    """A dictionary: distinct texts in the order of their bytes. A text's code is its index, so codes sort as texts do."""

    texts: pa.StringArray

    @classmethod
    def of(cls, *columns: Column) -> "Words":
        """Collects the distinct texts of some columns, which are strings or dictionaries of strings."""
        found = _drop_equal_neighbours([texts for column in columns for texts in _texts_of(column)])
        if len(found) == 1 and _is_sorted(found[0]):
            return cls(found[0])
        return cls(pa.array(sorted({text for texts in found for text in texts.to_pylist()} - {None}), pa.string()))

    def codes(self, column: Column) -> np.ndarray:
        """Returns the int32 code of each value, NULL where it is null or none of our texts."""
        chunks = [self._codes(chunk) for chunk in chunks_of(column)]
        if len(chunks) == 1:
            return chunks[0]
        return np.concatenate(chunks) if chunks else np.zeros(0, np.int32)

    def _codes(self, chunk: pa.Array) -> np.ndarray:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        codes = encoded.indices
        if codes.null_count:
            codes = codes.cast(pa.int64()).fill_null(NULL)
        codes = codes.to_numpy(zero_copy_only=False)
        if encoded.dictionary is self.texts or encoded.dictionary.equals(self.texts):
            return codes.astype(np.int32, copy=False)
        place = pc.fill_null(pc.index_in(encoded.dictionary, self.texts), NULL).to_numpy()
        return np.append(place, NULL).astype(np.int32).take(codes, mode="wrap")  # a null's -1 takes the last one

    def code(self, text: str) -> int:
        """Returns the code of one text; NULL when it is none of ours."""
        return self.texts.index(text).as_py()

    def decode(self, codes: np.ndarray) -> pa.StringArray:
        """Returns the texts of codes as an Arrow array."""
        return self.texts.take(pa.array(codes, mask=codes == NULL))


def chunks_of(column: Column) -> list[pa.Array]:
    """Returns the arrays that a column consists of."""
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _texts_of(column: Column) -> list[pa.Array]:
    """Returns arrays that together hold every text of a column."""
    if pa.types.is_dictionary(column.type):
        return [chunk.dictionary for chunk in chunks_of(column)]
    return [column.unique()]


def _drop_equal_neighbours(arrays: Sequence[pa.Array]) -> list[pa.Array]:
    """Leaves out arrays that equal the one before, as the dictionaries of a column's chunks mostly do."""
    return [a for n, a in enumerate(arrays) if not n or not a.equals(arrays[n - 1])]


def _is_sorted(texts: pa.Array) -> bool:
    found = texts.to_pylist()
    return None not in found and all(a < b for a, b in zip(found, found[1:], strict=False))


def uuid_words(ids: pa.StringArray) -> np.ndarray | None:
    """Returns the bytes of ids, as rows of nine uint32; None unless all are as long as a UUID, and none is null."""
    if not len(ids) or ids.null_count:
        return None
    offsets = np.frombuffer(ids.buffers()[1], np.int32)[ids.offset:ids.offset + len(ids) + 1]
    if not (np.diff(offsets) == UUID_BYTES).all():
        return None
    data = np.frombuffer(ids.buffers()[2], np.uint8)[offsets[0]:offsets[-1]]
    return data.view(np.uint32).reshape(-1, UUID_BYTES // 4)


def sort(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (row numbers that sort `key`, the sorted key).

    `key` holds whole numbers, uint64 or not negative; equal ones come in any order. Sorts numbers that hold the key's
    high bits and the row's number: several times faster than an argsort, which runs only where the low bits matter.
    """
    rows, size = bits(len(key)), bits(int(key.max(initial=0)) + 1)
    mask = np.uint64((1 << rows) - 1)
    both = np.left_shift(key, rows if size + rows <= 64 else 64 - size, dtype=np.uint64, casting="unsafe")
    both &= ~mask
    both |= np.arange(len(key), dtype=np.uint64)
    both.sort()
    both &= mask
    order = both.view(np.int64)
    ordered = key.take(order)
    if size + rows > 64 and (ordered[1:] < ordered[:-1]).any():
        order = np.argsort(key, kind="stable")
        ordered = key.take(order)
    return order, ordered


def bits(count: int) -> int:
    """Returns how many bits hold every number below `count`."""
    return max(count - 1, 1).bit_length()


def find_starts(*columns: np.ndarray) -> np.ndarray:
    """Returns where each run of rows that are equal in all columns begins."""
    first = np.ones(len(columns[0]), bool)
    np.not_equal(columns[0][1:], columns[0][:-1], out=first[1:])
    for column in columns[1:]:
        first[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(first)


def sizes_of(starts: np.ndarray, length: int) -> np.ndarray:
    """Returns the length of each run, of those that begin at `starts` in `length` rows."""
    return np.diff(starts, append=length)


def parts(rows: int) -> Iterator[slice]:
    """Yields slices of `PART` rows that together are all of them."""
    return (slice(start, start + PART) for start in range(0, rows, PART))


def sum_by_key(key: Sequence[np.ndarray], *values: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Groups rows by the key columns (integers from 0) and sums integer columns.

    Returns (a row of each group, the sum of each of the `values` over it, its number of rows), in the order of the keys.
    """
    packed, size = pack(key)
    if size <= MOST_SPARSE * len(packed) and all(len(v) * int(np.abs(v).max(initial=0)) < 2**53 for v in values):
        table = np.empty(size, np.int32)
        table[packed] = np.arange(len(packed), dtype=np.int32)
        row, group = number_groups(table.take(packed))
        order = np.argsort(packed[row])
        sums = [np.bincount(group, v)[order].astype(np.int64) for v in values]  # exact in doubles: below 2^53
        return row[order], sums, np.bincount(group)[order]
    order, ordered = sort(packed)
    starts = find_starts(ordered)
    sums = [np.add.reduceat(v.take(order), starts) if len(order) else v[:0] for v in values]
    return order[starts], sums, sizes_of(starts, len(order))


def number_groups(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers groups of rows; `chosen` names for each row the representative of its group, which is one of its rows.

    Returns (the representative of each group, ascending; the group of each row).
    """
    rows = np.flatnonzero(chosen == np.arange(len(chosen)))
    number = np.empty(len(chosen), np.int64)
    number[rows] = np.arange(len(rows))
    return rows, number.take(chosen)


def sum_equal(values: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """Returns for each row the sum of `values` over the rows that equal it in all columns (integers from 0)."""
    order, ordered = sort(pack(columns)[0])
    if not len(order):
        return values
    starts = find_starts(ordered)
    found = np.empty_like(values)
    found[order] = np.repeat(np.add.reduceat(values[order], starts), sizes_of(starts, len(order)))
    return found


def pack(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
    """Packs columns of integers from 0 into one integer for each row, which sorts as the columns do.

    Returns (these integers, an exclusive upper bound of them).
    """
    sizes = [int(column.max(initial=0)) + 1 for column in columns]
    if math.prod(sizes) >= 2**40:  # leaves room for the row's number in `sort`
        columns = [renumber(column, size) for column, size in zip(columns, sizes, strict=True)]
        sizes = [int(column.max(initial=0)) + 1 for column in columns]
    while math.prod(sizes) >= 2**62:
        first, size = pack(columns[:2])
        columns = [np.unique(first, return_inverse=True)[1] if size >= 2**31 else first, *columns[2:]]
        sizes = [int(column.max(initial=0)) + 1 for column in columns]
    kind = np.dtype(np.int32 if math.prod(sizes) < 2**31 else np.int64)
    key: np.ndarray = np.zeros(len(columns[0]), kind)
    for part in parts(len(key)):
        for column, size in zip(columns, sizes, strict=True):
            if size > 1:
                key[part] *= kind.type(size)
                key[part] += column[part].astype(kind, copy=False)
    return key, math.prod(sizes)


def renumber(column: np.ndarray, size: int) -> np.ndarray:
    """Renumbers the values that occur from 0, in their order; `size` is an exclusive upper bound of them."""
    if size > MOST_DENSE:
        return np.unique(column, return_inverse=True)[1]
    return (np.cumsum(np.bincount(column, minlength=size) > 0) - 1)[column]
