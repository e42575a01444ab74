"""The counts tables of a part of a day: predictions beside the consensus of their labels, added up by key."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from contract.counts import BINS, CONFIDENCE_SCALE, ORIGINS, SMALLEST_P, TABLES, WEIGHT_SCALE, canonical
from jobs.engines.arrays import NULL, Words, sum_equal, whole_days
from jobs.engines.spark.arrays import places_in_lists, runs, sum_by_key
from jobs.engines.spark.votes import VOTE, Consensus, LabelRows, Tally

EDGES = np.arange(BINS + 1) / BINS
HALF = 18  # bits: a weight is at most 2^36, and products of two such halves sum up within 64 bits


@dataclass
class Joined:
    """Distinct predictions of ours, a column each, and the label rows on them."""

    ids: pa.StringArray  # of all prediction rows
    mine: np.ndarray  # of which these are the rows
    classes: Words
    versions: Words
    people: Words
    version: np.ndarray  # code
    predicted: np.ndarray  # code
    number: np.ndarray
    confidence: np.ndarray  # NaN for null
    rank: np.ndarray  # 0 for null
    consensus: Consensus
    tally: Tally
    labels: LabelRows
    judged: np.ndarray  # code of the predicted label, by number
    predicted_at: np.ndarray  # us, by number
    slices: dict[str, pa.Array]  # name of a declared slice -> its value as text


def make_tables(joined: Joined) -> dict[str, pa.Table]:
    """Makes the counts tables in canonical form; slices with all their values."""
    made = {"cells": count_cells, "slices": count_slices, "people": count_people, "coincidences": count_coincidences,
            "delays": count_delays}
    return {name: canonical(name, made[name](joined)) for name in TABLES}


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """Returns the largest k in 0…19 with k/20 <= confidence (rule 5); NULL for NaN and outside [0, 1]."""
    place = np.searchsorted(EDGES, confidence, side="right") - 1
    return np.where((confidence >= 0) & (confidence <= 1), np.minimum(place, BINS - 1), NULL).astype(np.int32)


def count_cells(joined: Joined) -> pa.Table:
    """Counts the cells, with their sums of confidences and weights."""
    consensus, at, bin_ = joined.consensus, joined.number, confidence_bins(joined.confidence)
    columns = [joined.version, joined.predicted, bin_, consensus.label[at], consensus.origin[at], consensus.saw[at],
               joined.rank, consensus.split[at]]
    fixed = (np.where(bin_ == NULL, 0.0, joined.confidence) * CONFIDENCE_SCALE).astype(np.int64)
    weight = weights_of(consensus.probability[at])
    weighted = [*_split_weights(weight), *_split_products(weight, fixed)] if weight.any() else []
    row, sums, n = sum_by_key(columns, [fixed, *weighted])
    version, predicted, bin_, label, origin, saw, rank, split = (column[row] for column in columns)
    return pa.table({
        "model_version": joined.versions.decode(version), "predicted": joined.classes.decode(predicted),
        "confidence_bin": pa.array(bin_, mask=bin_ == NULL), "label": joined.classes.decode(label),
        "origin": origin_words(origin), "saw_prediction": pa.array(saw == 1, mask=saw == NULL),
        "rank": pa.array(rank, mask=rank == 0), "split": pa.array(split == 1, mask=split == NULL), "n": n,
        "sum_confidence": sums[0], **_sums_of_weights(sums[1:6], len(n)),
        "sum_weight_confidence": _sums_of_products(sums[6:], len(n))})


def weights_of(probability: np.ndarray) -> np.ndarray:
    """Returns floor(2^16 / p); 0 where p is unknown or out of its range."""
    known = (probability >= SMALLEST_P) & (probability <= 1)
    return np.where(known, np.floor(WEIGHT_SCALE / np.where(known, probability, 1.0)), 0).astype(np.int64)


def _split_weights(weight: np.ndarray) -> list[np.ndarray]:
    """Splits weights and their squares into columns whose sums stay within 64 bits: (known, w, high^2, high * low, low^2)."""
    high, low = weight >> HALF, weight & (1 << HALF) - 1
    return [(weight > 0).astype(np.int64), weight, high * high, high * low, low * low]


def _split_products(weight: np.ndarray, fixed: np.ndarray) -> list[np.ndarray]:
    """Splits the products of weights and scaled confidences, of at most 66 bits, into (high * fixed, low * fixed)."""
    return [(weight >> HALF) * fixed, (weight & (1 << HALF) - 1) * fixed]


def _sums_of_products(sums: Sequence[np.ndarray], cells: int) -> pa.Array:
    """Returns the sums of products from the sums of their two parts."""
    exact = pa.decimal128(38, 0)
    if not sums:
        return pa.nulls(cells, exact).fill_null(0)
    high, low = (a.astype(object) for a in sums)
    return pa.array([Decimal((h << HALF) + part) for h, part in zip(high, low, strict=True)], exact)


def _sums_of_weights(sums: Sequence[np.ndarray], cells: int) -> dict[str, pa.Array | np.ndarray]:
    """Returns the three columns of weights from the sums of (known, weight, high^2, high * low, low^2)."""
    exact = pa.decimal128(38, 0)
    n, weight, high, cross, low = sums or [np.zeros(cells, np.int64)] * 5
    squares = pa.nulls(cells, exact).fill_null(0)
    if sums:
        halves = (a.astype(object) for a in (high, cross, low))
        squares = pa.array([Decimal((h << 2 * HALF) + (c << HALF + 1) + s) for h, c, s in zip(*halves, strict=True)], exact)
    sum_weight = pa.array(weight).cast(pa.decimal128(19, 0)).cast(exact)
    return {"n_weighted": n, "sum_weight": sum_weight, "sum_weight_squared": squares}


def origin_words(classes: np.ndarray) -> pa.StringArray:
    """Returns the words of origin classes; NULL is null."""
    return pa.array(ORIGINS).take(pa.array(classes.astype(np.int32), mask=classes == NULL))


def count_slices(joined: Joined) -> pa.Table:
    """Counts the predictions by the value of each declared slice."""
    consensus, at = joined.consensus, joined.number
    columns = [joined.version, consensus.origin[at], joined.predicted, consensus.label[at]]
    weight = weights_of(consensus.probability[at])
    weighted = _split_weights(weight) if weight.any() else []
    tables = [TABLES["slices"].arrow().empty_table()]
    for name, texts in joined.slices.items():
        coded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
        row, sums, n = sum_by_key([coded.indices.fill_null(NULL).to_numpy(), *columns], weighted)
        weights = _sums_of_weights(sums, len(n))
        version, origin, predicted, label = (column[row] for column in columns)
        tables.append(pa.table([
            pa.repeat(name, len(n)), coded.take(pa.array(row)).dictionary_decode(), joined.versions.decode(version),
            origin_words(origin), joined.classes.decode(predicted), joined.classes.decode(label), pa.array(n),
            *map(pa.array, weights.values()),
        ], schema=tables[0].schema))
    return pa.concat_tables(tables)


def count_people(joined: Joined) -> pa.Table:
    """Counts the votes of each labeler, how many of them name the consensus, and pairs with votes of others."""
    rows, votes = joined.labels, np.flatnonzero(joined.labels.status == VOTE)
    number = rows.number[votes]
    consensus, predicted = joined.consensus.label[number], joined.judged[number]
    agrees = np.where(rows.unnamed[votes], consensus != predicted, consensus == rows.label[votes])
    row, (agreements, pairs, agreeing), n = sum_by_key(
        [rows.labeler[votes]], [agrees.astype(np.int64), *_count_pairs(rows, votes, predicted)])
    return pa.table({"labeler": joined.people.decode(rows.labeler[votes[row]]), "votes": n, "agreements": agreements,
                     "pairs": pairs, "agreeing_pairs": agreeing})


def _count_pairs(rows: LabelRows, votes: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each vote how many votes other people gave on its prediction, and how many of those agree with it.

    Two votes agree when they name one label, or when one is `≠` and the other names another label than the predicted one.
    """
    number, person, label = rows.number[votes], rows.labeler[votes] - NULL, rows.label[votes]
    unnamed, wrong = rows.unnamed[votes], label != predicted

    def count_others(which: np.ndarray, *key: np.ndarray) -> np.ndarray:
        return sum_equal(which, number, *key) - sum_equal(which, number, person, *key)

    every = np.ones(len(votes), np.int64)
    others, same = count_others(every), count_others(every, label)
    if not unnamed.any():
        return others, same
    beside = np.where(wrong, count_others(unnamed.astype(np.int64)), 0)
    return others, np.where(unnamed, count_others(wrong.astype(np.int64)), same + beside)


def count_delays(joined: Joined) -> pa.Table:
    """Counts the votes by days since the prediction and origin class."""
    rows, votes = joined.labels, np.flatnonzero(joined.labels.status == VOTE)
    days = whole_days(rows.t[votes], joined.predicted_at[rows.number[votes]])
    row, _, n = sum_by_key([days, rows.origin[votes]], [])
    return pa.table({"days": days[row], "origin": origin_words(rows.origin[votes[row]]), "n": n})


def count_coincidences(joined: Joined) -> pa.Table:
    """Counts the ordered pairs of deciding votes on one item, from how many named each label."""
    tally = joined.tally
    starts, lengths = runs(tally.number)
    votes = np.add.reduceat(tally.n, starts) if len(starts) else tally.n
    # Of an item whose votes name k labels: k * k pairs of labels, each label beside itself, too.
    pair, item = places_in_lists(lengths * lengths)
    one, other = starts[item] + pair // lengths[item], starts[item] + pair % lengths[item]
    n = tally.n[one] * (tally.n[other] - (one == other))
    some = np.flatnonzero(n)
    label, other_label, votes = tally.label[one[some]], tally.label[other[some]], votes[item[some]]
    row, (sums,), _ = sum_by_key([label, other_label, votes], [n[some]])
    return pa.table({"label": joined.classes.decode(label[row]), "other_label": joined.classes.decode(other_label[row]),
                     "votes": votes[row], "n": sums})
