"""Rows of a day as numpy columns: texts as codes, rows in groups by their hash.

Sorting 64-bit numbers is the cheapest way to meet that we measured (docs/log.md): a million in 8 ms, where a hash
aggregate took 60 and a hash join 100.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NULL = -1  # code of a null text, and place of what is not there
MIX = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplying by it loses nothing and stirs the high bits
FEW_GROUPS = 100_000  # up to here an array over all groups is cheaper than sorting
MOST_DENSE = 10_000_000
UUID_BYTES, UUID_WORDS = 36, 9  # of a UUID's text, in bytes and in 32-bit words
PART = 50_000  # rows: what is made of them for a moment stays in a core's cache


def in_order(key: Any) -> tuple[Any, Any]:
    """(row numbers that sort `key`, the sorted key). Whole numbers, uint64 or not negative; equal keys in any order.

    Sorts numbers that hold the key's high bits and the row's number: several times faster than an argsort. Where the
    low bits were needed, the argsort it is.
    """
    rows, size = _bits(len(key)), _bits(int(key.max(initial=0)) + 1)
    mask = np.uint64((1 << rows) - 1)
    sort = np.left_shift(key, rows if size + rows <= 64 else 64 - size, dtype=np.uint64, casting="unsafe")
    sort &= ~mask
    sort |= np.arange(len(key), dtype=np.uint64)
    sort.sort()
    sort &= mask
    found = sort.view(np.int64)
    ordered = key.take(found)
    if size + rows > 64 and (ordered[1:] < ordered[:-1]).any():
        found = np.argsort(key, kind="stable")
        ordered = key.take(found)
    return found, ordered


def _bits(count: int) -> int:
    """How many bits the numbers below `count` take."""
    return max(count - 1, 1).bit_length()


def starts_of(ordered: Any) -> Any:
    """Where each run of equal values begins."""
    first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return np.flatnonzero(first)


def parts(rows: int) -> Iterator[slice]:
    """Slices of so many rows that together are all of them."""
    return (slice(start, start + PART) for start in range(0, rows, PART))


def sizes_of(starts: Any, length: int) -> Any:
    """How long each run is."""
    return np.diff(starts, append=length)


def look_alike(*parts: Any) -> Any:
    """Rows of which another one has the same values in all parts, and with next to no chance a few that only look so."""
    key = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        key = (key ^ part.astype(np.uint64)) * MIX
        key ^= key >> np.uint64(29)
    key *= MIX
    rows = np.uint64(_bits(len(key)))
    sort = np.sort((key >> rows << rows) | np.arange(len(key), dtype=np.uint64))
    same = np.flatnonzero(sort[1:] >> rows == sort[:-1] >> rows)
    return (sort[np.union1d(same, same + 1)] & np.uint64((1 << int(rows)) - 1)).astype(np.int64)


@dataclass(frozen=True)
class Texts:
    """Coded texts: `words` in the order of their bytes, so that codes sort as texts do."""

    words: Any  # pyarrow string array

    def codes(self, column: Any) -> Any:
        """The code of each value of an Arrow column, NULL where it is null or not among the words."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = as_array(column)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        place = NULL
        if column.dictionary is not self.words and not column.dictionary.equals(self.words):
            place = pc.fill_null(pc.index_in(column.dictionary, self.words), NULL).to_numpy()
        codes = column.indices
        missing = codes.null_count
        codes = (codes.cast(pa.int64()).fill_null(NULL) if missing else codes).to_numpy(zero_copy_only=False)
        if place is NULL:
            return codes.astype(np.int32, copy=False)
        return np.append(place, NULL).astype(np.int32).take(codes, mode="wrap")

    def decode(self, codes: Any) -> Any:
        """The texts of codes as an Arrow array."""
        import pyarrow as pa

        return self.words.take(pa.array(codes, mask=codes == NULL))


def texts_of(*columns: Any) -> Texts:
    """The texts of some Arrow columns."""
    import pyarrow as pa

    found = [d for c in columns for d in _dictionaries(c)]
    if found and all(d.equals(found[0]) for d in found[1:]) and _is_sorted(found[0]):
        return Texts(found[0])
    return Texts(pa.array(sorted({w for d in found for w in d.to_pylist()} - {None}), pa.string()))


def _dictionaries(column: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return [c.dictionary for c in column.chunks[:1]]
    return [column.unique()]


def _is_sorted(words: Any) -> bool:
    found = words.to_pylist()
    return None not in found and all(a < b for a, b in zip(found, found[1:], strict=False))


def as_array(column: Any) -> Any:
    """A column in one piece. DuckDB gives every piece of an enum the same words."""
    import pyarrow as pa

    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type) and column.num_chunks:
        indices = pa.concat_arrays([c.indices for c in column.chunks])
        return pa.DictionaryArray.from_arrays(indices, column.chunk(0).dictionary)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def numbers(column: Any, null: Any = 0) -> Any:
    """A column of numbers or truths as numpy."""
    column = as_array(column)
    return (column.fill_null(null) if column.null_count else column).to_numpy(zero_copy_only=False)


def truths(column: Any) -> Any:
    """1, 0, and NULL for null, as int8."""
    import pyarrow as pa

    return numbers(as_array(column).cast(pa.int8()), NULL)


def same_ids(one: Any, rows: Any, other: Any, other_rows: Any) -> bool:
    """Whether the ids (Arrow strings) in these rows are the same, pair by pair."""
    import pyarrow as pa

    words = [_uuid_words(ids) for ids in (one, other)]
    if all(w is not None for w in words):
        return all(np.array_equal(words[0].take(rows[part], 0), words[1].take(other_rows[part], 0)) for part in parts(len(rows)))
    return one.take(pa.array(rows)).equals(other.take(pa.array(other_rows)))


def _uuid_words(ids: Any) -> Any:
    """The bytes of ids that are all as long as a UUID, as 32-bit words in rows of nine; None when they are not."""
    offsets = np.frombuffer(ids.buffers()[1], np.int32)[ids.offset:ids.offset + len(ids) + 1] if len(ids) else []
    if not len(ids) or ids.null_count or not (np.diff(offsets) == UUID_BYTES).all():
        return None
    data = np.frombuffer(ids.buffers()[2], np.uint8)[offsets[0]:offsets[-1]]
    return data.view(np.uint32).reshape(-1, UUID_WORDS)


def added(key: Sequence[Any], *values: Any) -> tuple[Any, list[Any], Any]:
    """(a row of each group, the sums of whole-number values in it, how many rows it has), groups in the order of the
    key columns (numbers from 0)."""
    packed, size = pack(key)
    if size <= FEW_GROUPS and all(len(v) * int(np.abs(v).max(initial=0)) < 2**53 for v in values):
        n = np.bincount(packed, minlength=size)
        some, row = np.flatnonzero(n), np.empty(size, np.int64)
        row[packed] = np.arange(len(packed))
        sums = [np.bincount(packed, v, size)[some].astype(np.int64) for v in values]  # exact in doubles: below 2^53
        return row[some], sums, n[some]
    order, ordered = in_order(packed)
    starts = starts_of(ordered)
    sums = [np.add.reduceat(v.take(order), starts) if len(order) else v[:0] for v in values]
    return order[starts], sums, sizes_of(starts, len(order))


def pack(columns: Sequence[Any]) -> tuple[Any, int]:
    """(one number for each row, that sorts as its columns - numbers from 0 - do; one more than the largest can be)."""
    many = [int(column.max(initial=0)) + 1 for column in columns]
    if math.prod(many) >= 2**40:  # leaves room for the row's number in `in_order`
        columns = [_dense(column, size) for column, size in zip(columns, many, strict=True)]
        many = [int(column.max(initial=0)) + 1 for column in columns]
    while math.prod(many) >= 2**62:
        first, size = pack(columns[:2])
        columns = [np.unique(first, return_inverse=True)[1] if size >= 2**31 else first, *columns[2:]]
        many = [int(column.max(initial=0)) + 1 for column in columns]
    kind = np.int32 if math.prod(many) < 2**31 else np.int64
    key = np.zeros(len(columns[0]), kind)
    for part in parts(len(key)):
        for column, values in zip(columns, many, strict=True):
            if values > 1:
                key[part] *= kind(values)
                key[part] += column[part].astype(kind, copy=False)
    return key, math.prod(many)


def _dense(column: Any, size: int) -> Any:
    """The values numbered from 0 in their order, those that occur alone."""
    if size > MOST_DENSE:
        return np.unique(column, return_inverse=True)[1]
    return (np.cumsum(np.bincount(column, minlength=size) > 0) - 1)[column]
