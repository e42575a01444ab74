"""Arrow columns of a part of a day as numpy columns: ids as integers, lists as flat codes, values as ranks.

What a task of the Spark engine computes with, beside jobs/engines/arrays.py. Everything here is exact: where integers
stand for texts, equal integers mean equal texts, byte for byte.
"""

import secrets
from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.clock import MS_PER_DAY
from jobs.engines import arrays
from jobs.engines.arrays import (
    NULL,
    Column,
    Words,
    booleans,
    chunks_of,
    find_starts,
    join_chunks,
    parts,
    sizes_of,
    sort,
    uuid_words,
)

UUID7 = r"\A[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}\z"
LOWER = np.uint64(0x2020202020202020)  # the bit of each byte that is set in digits and lower case, not in capitals


def numbers(column: Column, null: float) -> np.ndarray:
    """Converts numbers or booleans to numpy, with `null` for nulls; zero and NaN, which have several bit patterns, get one."""
    found = arrays.numbers(column, null)
    return np.where(np.isnan(found), np.nan, found + 0.0) if found.dtype.kind == "f" else found


def present(column: Column) -> np.ndarray:
    """Says which values are not null."""
    return join_chunks(column).is_valid().to_numpy(zero_copy_only=False)


def runs(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (where runs of rows that are equal in all columns begin, how long they are)."""
    starts = find_starts(*columns)
    return starts, sizes_of(starts, len(columns[0]))


def sum_by_key(keys: Sequence[np.ndarray],
               values: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Groups rows by the key columns (any integers) and sums the `values`, as arrays.sum_by_key does."""
    return arrays.sum_by_key([column - column.min(initial=0) for column in keys], *values)


def ranks(column: Column) -> np.ndarray:
    """Ranks each value among the column's values: nulls first, numbers ascending, NaN last, texts by bytes."""
    column = join_chunks(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type):
        return booleans(column)
    if pa.types.is_floating(column.type):
        column = pa.array(numbers(column, 0.0), mask=~present(column))
    encoded = column.dictionary_encode()
    place = np.full(len(encoded.dictionary) + 1, NULL)
    place[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(encoded.dictionary))
    return place[encoded.indices.fill_null(NULL).to_numpy()]


def flatten_codes(column: Column, words: Words) -> tuple[np.ndarray, np.ndarray]:
    """Returns (codes of all elements of a list column one after another, each list's length; null and empty: 0)."""
    return words.codes(elements(column)), numbers(pc.list_value_length(column), 0)


def first_codes(column: Column, words: Words) -> tuple[np.ndarray, np.ndarray]:
    """Returns (the code of the first element of each list, NULL for none or a null; which lists have a first element)."""
    codes, has = np.full(len(column), NULL, np.int32), numbers(pc.list_value_length(column), 0) > 0
    start = 0
    for chunk in chunks_of(column):
        at = np.flatnonzero(has[start:start + len(chunk)])
        codes[start + at] = words.codes(chunk.values.take(pa.array(chunk.offsets.to_numpy()[at])))
        start += len(chunk)
    return codes, has


def elements(column: Column) -> pa.ChunkedArray:
    """Returns the elements of a list column one after another, in chunks: one array may be too long for Arrow."""
    return pa.chunked_array([chunk.flatten() for chunk in chunks_of(column)], column.type.value_type)


def places_in_lists(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (the place in its list, the list's number) of each element of lists of these lengths."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    return np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths), row


def sort_columns(column: Column) -> list[np.ndarray]:
    """Returns columns of numbers by which the values of a column compare, the first before the next.

    Lists compare by their elements, a shorter one before a longer, null before all; entries of a map in order of keys.
    """
    column = join_chunks(column)
    if not pa.types.is_list(column.type):
        return [ranks(column)]
    lengths, items = numbers(column.value_lengths(), 0), column.flatten()
    place, row = places_in_lists(lengths)
    fields = [ranks(field) for field in (items.flatten() if pa.types.is_struct(items.type) else [items])]
    if len(fields) > 1:
        order = np.lexsort((*fields[::-1], row))
        fields = [field[order] for field in fields]
    made = np.full((int(lengths.max(initial=0)) + 1, len(fields), len(lengths)), NULL - 1)
    made[:, :, ~present(column)] -= 1
    for n, field in enumerate(fields):
        made[place, n, row] = field
    return list(made.reshape(-1, len(lengths)))


def number_texts(*columns: Column) -> tuple[list[np.ndarray], int]:
    """Returns (a number for each text of several columns, NULL for null; how many different texts there are).

    Equal texts have one number. Texts as long as a UUID are matched by a hash with a random seed, so nobody can make ids
    that collide, and texts with one hash are compared byte by byte; all others are matched by Arrow's hash table.
    """
    joined = [join_chunks(column) for column in columns]
    valid = [present(column) for column in joined]
    texts = pa.concat_arrays([column.drop_null() if column.null_count else column for column in joined])
    found = _number_by_hash(texts)
    if found is None:
        encoded = texts.dictionary_encode()
        found = encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)
    numbers_, count = found
    ends = np.cumsum([0, *(v.sum() for v in valid)])
    made = []
    for start, there in zip(ends[:-1], valid, strict=True):
        column = np.full(len(there), NULL)
        column[there] = numbers_[start:start + there.sum()]
        made.append(column)
    return made, count


def _number_by_hash(texts: pa.StringArray) -> tuple[np.ndarray, int] | None:
    """Returns (the number of each text, how many there are).

    None when not all are as long as a UUID, or two share a hash.
    """
    words = uuid_words(texts)
    if words is None:
        return None
    # Multilinear hashing, Carter and Wegman (1979): two texts collide with a probability of about 2^-60.
    seeds = np.array([secrets.randbits(64) | 1 for _ in range(words.shape[1])], np.uint64)
    key = np.empty(len(words), np.uint64)
    for part in parts(len(key)):
        key[part] = words[part].astype(np.uint64) @ seeds
    order, ordered = sort(key)
    first = np.ones(len(key), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    again = np.flatnonzero(~first)
    if not np.array_equal(words.take(order[again], 0), words.take(order[again - 1], 0)):
        return None
    found = np.empty(len(key), np.int64)
    found[order] = np.cumsum(first) - 1
    return found, int(first.sum())


def is_misfiled(texts: pa.StringArray, day: str) -> np.ndarray:
    """Says which texts are UUIDv7 of another day. False for null."""
    number = (date.fromisoformat(day) - date(1970, 1, 1)).days
    first, last = (f"{n * MS_PER_DAY:012x}" for n in (number, number + 1))
    rows = np.flatnonzero(~_find_surely_inside(texts, first[:8], last[:8]))
    some = pc.ascii_lower(texts.take(pa.array(rows)))
    low, high = (f"{text[:8]}-{text[8:]}" for text in (first, last))
    wrong = pc.and_(pc.or_(pc.less(some, low), pc.greater_equal(some, high)), pc.match_substring_regex(some, UUID7))
    made = np.zeros(len(texts), bool)
    made[rows] = wrong.fill_null(False).to_numpy(zero_copy_only=False)
    return made


def _find_surely_inside(texts: pa.StringArray, first: str, last: str) -> np.ndarray:
    """Says which texts begin with eight bytes without a capital that lie between the day's ends, both excluded."""
    words = uuid_words(texts)
    if words is None:
        return np.zeros(len(texts), bool)
    head = np.ascontiguousarray(words[:, :2]).view(np.uint64)[:, 0]
    lower = (head & LOWER) == LOWER
    head = head.byteswap()
    low, high = (np.uint64(int.from_bytes(text.encode(), "big")) for text in (first, last))
    return lower & (head > low) & (head < high)
