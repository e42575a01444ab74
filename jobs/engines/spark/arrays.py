"""Arrow columns of a piece of a day as numpy columns: ids as numbers, words as codes, lists as flat codes.

What a task of the Spark engine computes with. Everything here is exact: where numbers stand for texts, equal numbers mean
equal texts, byte for byte.
"""

import secrets
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from contract.clock import MS_PER_DAY

NULL = -1  # code and number of a null
UUID = 36  # bytes of a UUID's text
UUID7 = r"\A[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}\z"
PART = 20_000  # texts whose bytes stay in a core's cache while they are hashed
SMALL = np.uint64(0x2020202020202020)  # a bit that digits and small letters have, and capitals have not


def whole(column: Any) -> Any:
    """A chunked column as one array."""
    import pyarrow as pa

    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([pa.array([], column.type), *column.chunks])


def numbers(column: Any, null: Any) -> Any:
    """Numbers or truths as numpy, `null` in the place of nulls. Zero and NaN have several forms, of which one is left."""
    column = whole(column)
    found = (column.fill_null(null) if column.null_count else column).to_numpy(zero_copy_only=False)
    return np.where(np.isnan(found), np.nan, found + 0.0) if found.dtype.kind == "f" else found


def present(column: Any) -> Any:
    """Which values are not null."""
    return whole(column).is_valid().to_numpy(zero_copy_only=False)


def truths(column: Any) -> Any:
    """1, 0, and NULL for null, as int8."""
    import pyarrow as pa

    return numbers(whole(column).cast(pa.int8()), NULL)


@dataclass(frozen=True)
class Words:
    """Texts in the order of their bytes; the code of a text is its place, so codes sort as texts do."""

    texts: Any  # pyarrow strings

    @classmethod
    def of(cls, *columns: Any) -> "Words":
        """The texts of some columns, which are strings or dictionaries of strings."""
        import pyarrow as pa

        found = {text for column in columns for piece in _dictionaries(column) for text in piece.to_pylist()}
        return cls(pa.array(sorted(found - {None}), pa.string()))

    def codes(self, column: Any) -> Any:
        """int32 codes of a column whose texts are all among ours; NULL for null."""
        import pyarrow.compute as pc

        made = []
        for piece in _encoded(column):
            place = np.append(pc.index_in(piece.dictionary, self.texts).fill_null(NULL).to_numpy(), NULL).astype(np.int32)
            codes = piece.indices
            made.append(place[(codes.fill_null(NULL) if codes.null_count else codes).to_numpy()])
        return np.concatenate(made) if made else np.zeros(0, np.int32)

    def code(self, text: str) -> int:
        """The code of one text; NULL when it is none of ours."""
        return self.texts.index(text).as_py()

    def taken(self, codes: Any) -> Any:
        """The texts of codes, as an Arrow array."""
        import pyarrow as pa

        return self.texts.take(pa.array(codes, mask=codes == NULL))


def _encoded(column: Any) -> list[Any]:
    import pyarrow as pa

    pieces = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return [piece if pa.types.is_dictionary(piece.type) else piece.dictionary_encode() for piece in pieces]


def _dictionaries(column: Any) -> list[Any]:
    return [piece.dictionary for piece in _encoded(column)]


def ranks(column: Any) -> Any:
    """The place of each value among the column's values: nulls first, numbers ascending, NaN last, texts by bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = whole(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type):
        return truths(column)
    if pa.types.is_floating(column.type):
        column = pa.array(numbers(column, 0.0), mask=~present(column))
    encoded = column.dictionary_encode()
    place = np.full(len(encoded.dictionary) + 1, NULL)
    place[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(encoded.dictionary))
    return place[encoded.indices.fill_null(NULL).to_numpy()]


def flat(column: Any, words: Words) -> tuple[Any, Any]:
    """(codes of all elements of a list column one after another, the length of each list; null and empty: 0)."""
    import pyarrow.compute as pc

    return words.codes(elements(column)), numbers(pc.list_value_length(column), 0)


def elements(column: Any) -> Any:
    """The elements of a list column one after another, in pieces: as one array they may be too long for Arrow."""
    import pyarrow as pa

    pieces = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return pa.chunked_array([piece.flatten() for piece in pieces], column.type.value_type)


def places(lengths: Any) -> tuple[Any, Any]:
    """(the place in its list, the list) of each element of lists of these lengths."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    return np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths), row


def compared(column: Any) -> list[Any]:
    """Columns of numbers by which the values of a column compare, the first before the next.

    Lists compare by their elements, a shorter one before a longer, null before all; entries of a map in order of keys.
    """
    import pyarrow as pa

    column = whole(column)
    if not pa.types.is_list(column.type):
        return [ranks(column)]
    lengths, items = numbers(column.value_lengths(), 0), column.flatten()
    place, row = places(lengths)
    parts = [ranks(part) for part in (items.flatten() if pa.types.is_struct(items.type) else [items])]
    if len(parts) > 1:
        order = np.lexsort((*parts[::-1], row))
        parts = [part[order] for part in parts]
    made = np.full((int(lengths.max(initial=0)) + 1, len(parts), len(lengths)), NULL - 1)
    made[:, :, ~present(column)] -= 1
    for n, part in enumerate(parts):
        made[place, n, row] = part
    return list(made.reshape(-1, len(lengths)))


def numbered(*columns: Any) -> tuple[list[Any], int]:
    """(numbers for the texts of several columns, NULL for null; how many different texts there are).

    Equal texts have one number. Texts as long as a UUID meet by a hash under a seed drawn anew, so nobody can make ids
    that collide, and those that meet are compared byte by byte; all others meet in Arrow's hash table.
    """
    import pyarrow as pa

    pieces = [whole(column) for column in columns]
    valid = [present(piece) for piece in pieces]
    texts = pa.concat_arrays([piece.drop_null() if piece.null_count else piece for piece in pieces])
    found = _by_hash(texts)
    if found is None:
        encoded = texts.dictionary_encode()
        found = encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)
    numbers_, many = found
    ends = np.cumsum([0, *(v.sum() for v in valid)])
    made = []
    for start, there in zip(ends[:-1], valid, strict=True):
        column = np.full(len(there), NULL)
        column[there] = numbers_[start:start + there.sum()]
        made.append(column)
    return made, many


def _by_hash(texts: Any) -> tuple[Any, int] | None:
    """(the number of each text, how many there are); None when not all are as long as a UUID, or two share a hash."""
    words = uuid_words(texts)
    if words is None:
        return None
    # Multilinear hashing, Carter and Wegman (1979): two texts meet by chance once in 2^60.
    seeds = np.array([secrets.randbits(64) | 1 for _ in range(words.shape[1])], np.uint64)
    key = np.empty(len(words), np.uint64)
    for start in range(0, len(key), PART):
        key[start:start + PART] = words[start:start + PART].astype(np.uint64) @ seeds
    order = _sorted(key)
    ordered = key[order]
    first = np.ones(len(key), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    again = np.flatnonzero(~first)
    if not np.array_equal(words.take(order[again], 0), words.take(order[again - 1], 0)):
        return None
    found = np.empty(len(key), np.int64)
    found[order] = np.cumsum(first) - 1
    return found, int(first.sum())


def _sorted(key: Any) -> Any:
    """The rows that sort 64-bit hashes: sorting the high bits with the row beside them takes a third of an argsort's
    time, and is seldom wrong about the low ones."""
    bits = np.uint64(max(len(key) - 1, 1).bit_length())
    packed = key >> bits << bits | np.arange(len(key), dtype=np.uint64)
    packed.sort()
    order = (packed & (np.uint64(1) << bits) - np.uint64(1)).view(np.int64)
    ordered = key[order]
    return order if (ordered[1:] >= ordered[:-1]).all() else np.argsort(key)


def uuid_words(texts: Any) -> Any:
    """The bytes of each text as nine uint32, a row for each; None when a text is null, or not as long as a UUID."""
    if texts.null_count or not len(texts):
        return None
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset:texts.offset + len(texts) + 1]
    if (np.diff(offsets) != UUID).any():
        return None
    return np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0]:offsets[-1]].view(np.uint32).reshape(-1, UUID // 4)


def misfiled(texts: Any, day: str) -> Any:
    """Which texts are UUIDv7 of another day. False for null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    number = (date.fromisoformat(day) - date(1970, 1, 1)).days
    first, last = (f"{n * MS_PER_DAY:012x}" for n in (number, number + 1))
    rows = np.flatnonzero(~_surely_inside(texts, first[:8], last[:8]))
    some = pc.ascii_lower(texts.take(pa.array(rows)))
    low, high = (f"{text[:8]}-{text[8:]}" for text in (first, last))
    wrong = pc.and_(pc.or_(pc.less(some, low), pc.greater_equal(some, high)), pc.match_substring_regex(some, UUID7))
    made = np.zeros(len(texts), bool)
    made[rows] = wrong.fill_null(False).to_numpy(zero_copy_only=False)
    return made


def _surely_inside(texts: Any, first: str, last: str) -> Any:
    """Texts whose first eight bytes have no capital letter and lie between those of the day's two ends, without them."""
    words = uuid_words(texts)
    if words is None:
        return np.zeros(len(texts), bool)
    head = np.ascontiguousarray(words[:, :2]).view(np.uint64)[:, 0]
    small = (head & SMALL) == SMALL
    head = head.byteswap()
    low, high = (np.uint64(int.from_bytes(text.encode(), "big")) for text in (first, last))
    return small & (head > low) & (head < high)
