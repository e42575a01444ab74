"""Which rows of one day pass a question's filters, and in which order: masks over whole columns, no row is looked at alone.

What only labelled rows can pass is answered from the items, which are few; everything else from the day's table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contract import clock, ids
from inference.pictures.labels import DayLabels
from inference.pictures.question import SPLIT, Place, Question

if TYPE_CHECKING:
    import pyarrow as pa

WINDOW = 4  # times the rows wanted: how many are put in order first


@dataclass(frozen=True)
class Matches:
    """The rows of `table` that pass, `positions` in its order; `numbers` are what the question's order goes by."""

    day: str
    table: pa.Table
    positions: np.ndarray
    numbers: np.ndarray

    def in_order(self, question: Question, wanted: int) -> Iterator[int]:
        """Yields positions in the question's order, those after its place; `wanted` is how many are likely to be asked for."""
        at, numbers = self._after(question)
        sign = 1 if question.ascending else -1
        if len(at) > WINDOW * wanted:  # most pages end before the rest is put in order
            edge = np.partition(sign * numbers, WINDOW * wanted)[WINDOW * wanted]
            first = sign * numbers < edge
            yield from self._sort(at[first], numbers[first], sign)
            at, numbers = at[~first], numbers[~first]
        yield from self._sort(at, numbers, sign)

    def _sort(self, at: np.ndarray, numbers: np.ndarray, sign: int) -> Iterator[int]:
        names = np.asarray(self.table["prediction_id"].take(at).to_pylist(), object)
        order = np.lexsort((np.unique(names, return_inverse=True)[1], numbers)) if len(at) else np.empty(0, np.int64)
        yield from at[order[::sign]].tolist()

    def _after(self, question: Question) -> tuple[np.ndarray, np.ndarray]:
        place, numbers = question.after, self.numbers[self.positions]
        if place is None or (question.by_time and place.day != self.day):
            return self.positions, numbers
        beyond = numbers > place.number if question.ascending else numbers < place.number
        same = np.flatnonzero(numbers == place.number)
        names = self.table["prediction_id"].take(self.positions[same]).to_pylist()
        here = [(self.day, name) for name in names]
        mine = (place.day, place.prediction_id)
        beyond[same] = [one > mine if question.ascending else one < mine for one in here]
        return self.positions[beyond], numbers[beyond]

    def place(self, position: int) -> Place:
        """Returns where a row stands in the question's order."""
        return Place(self.day, float(self.numbers[position]), self.table["prediction_id"][position].as_py())


def match_predictions(day: str, table: pa.Table, question: Question, labels: DayLabels) -> Matches:
    """Finds the rows of a day's table (day_table.COLUMNS) that pass; `unlabelled` needs the labels."""
    import pyarrow as pa

    at = table["at"].to_numpy()
    confidence = table["confidence"].to_numpy()
    mask = (at <= clock.now_us()) & _is_word(table["model"], question.model)
    for name, column in (("version", "model_version"), ("predicted", "predicted_label")):
        if name in question.filters:
            mask &= _is_word(table[column], question.filters[name])
    mask &= _is_confident(confidence, question)
    if question.filters.get("verdict") == "unlabelled" and labels.table is not None:
        mask &= ~_is_in(table["prediction_id"], labels.table["prediction_id"])
    if "prediction_id" in question.filters:
        mask &= _is_in(table["prediction_id"], pa.array([question.filters["prediction_id"]]))
    positions = np.flatnonzero(mask)
    for name, value in question.attributes.items():
        positions = positions[_has_attribute(table["attributes"], name, value)[positions]]
    return _order(day, table, positions, question, at, confidence)


def match_items(day: str, table: pa.Table, question: Question, predictions: pa.Table | None) -> Matches:
    """Finds the items (contract/rows/items.py) that pass. `predictions`: the day's table, of a question about attributes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    filters, tests = question.filters, []
    for name, column in (("version", "model_version"), ("predicted", "predicted"), ("label", "label"), ("origin", "origin"),
                         ("prediction_id", "prediction_id")):
        if name in filters:
            tests.append(pc.equal(table[column], filters[name]))
    if "split" in filters:
        tests.append(pc.equal(table["split"], SPLIT[filters["split"]]))
    if (verdict := filters.get("verdict")) in ("right", "wrong"):
        tests.append((pc.equal if verdict == "right" else pc.not_equal)(table["predicted"], table["label"]))
    if "labeler" in filters:
        tests.append(pa.array(_has_vote_of(table, filters["labeler"])))
    confidence = table["confidence"].to_numpy()
    mask = _is_confident(confidence, question)
    for test in tests:
        mask &= pc.fill_null(test, False).to_numpy(zero_copy_only=False) if isinstance(test, pa.Array) else \
            pc.fill_null(test, False).to_numpy()
    positions = np.flatnonzero(mask)
    if question.attributes and predictions is not None:
        positions = positions[_have_attributes(table["prediction_id"].take(positions), predictions, question.attributes)]
    numbers = np.fromiter((number_of(name) for name in table["prediction_id"].to_pylist()), np.float64, len(table))
    return _order(day, table, positions, question, numbers, confidence)


def find_named(table: pa.Table, names: list[str]) -> np.ndarray:
    """Finds the positions of the rows with these prediction ids."""
    import pyarrow as pa

    return np.flatnonzero(_is_in(table["prediction_id"], pa.array(names, pa.string())))


def number_of(prediction_id: str) -> int:
    """Returns the microsecond of a labelled row in the order of time: its id tells it; 0 for ids of other kinds."""
    return clock.to_us(ids.moment_of(prediction_id)) if ids.day_of(prediction_id) else 0


def _order(day: str, table: pa.Table, positions: np.ndarray, question: Question, at: np.ndarray,
           confidence: np.ndarray) -> Matches:
    numbers = at if question.by_time else confidence
    positions = positions[~np.isnan(numbers[positions])]  # what has no confidence stands nowhere in an order by it
    return Matches(day, table, positions, numbers)


def _is_word(column: pa.ChunkedArray, word: str) -> np.ndarray:
    """Compares codes: each chunk has its words once."""
    masks = []
    for chunk in column.chunks:
        code = chunk.dictionary.index(word).as_py()
        masks.append(chunk.indices.to_numpy() == code if code >= 0 else np.zeros(len(chunk), bool))
    return np.concatenate(masks) if masks else np.zeros(0, bool)


def _is_confident(confidence: np.ndarray, question: Question) -> np.ndarray:
    if question.confidence is None:
        return np.ones(len(confidence), bool)
    low, high = question.confidence
    return (confidence >= low) & ((confidence <= high) if high >= 1 else (confidence < high))


def _is_in(column: pa.ChunkedArray, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    among = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return pc.is_in(column, among).to_numpy()


def _has_attribute(column: pa.ChunkedArray, name: str, value: str) -> np.ndarray:
    """Looks through the pairs of all rows at once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = []
    for chunk in column.chunks:
        mask, offsets = np.zeros(len(chunk), bool), chunk.offsets.to_numpy()
        pairs = slice(int(offsets[0]), int(offsets[-1]))
        keys, values = (pa.array(part) if not isinstance(part, pa.Array) else part for part in (chunk.keys, chunk.items))
        same = pc.and_(pc.equal(keys, name), pc.fill_null(pc.equal(values, value), False))
        at = np.flatnonzero(same.to_numpy(zero_copy_only=False)[pairs]) + pairs.start
        mask[np.searchsorted(offsets, at, "right") - 1] = True
        found.append(mask)
    return np.concatenate(found) if found else np.zeros(0, bool)


def _have_attributes(names: pa.ChunkedArray, predictions: pa.Table, attributes: dict[str, str]) -> np.ndarray:
    import pyarrow.compute as pc

    at = pc.index_in(names, predictions["prediction_id"].combine_chunks())
    rows = predictions["attributes"].take(at).to_pylist()
    return np.asarray([attributes.items() <= dict(row or ()).items() for row in rows], bool)


def _has_vote_of(table: pa.Table, labeler: str) -> np.ndarray:
    import pyarrow.compute as pc

    votes = table["votes"].combine_chunks()
    said = pc.equal(pc.list_flatten(votes).field("labeler"), labeler)
    parents = pc.list_parent_indices(votes).filter(pc.fill_null(said, False))
    found = np.zeros(len(table), bool)
    found[parents.to_numpy()] = True
    return found
