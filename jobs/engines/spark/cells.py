"""The counts tables of a piece: what was found of its predictions and votes, added up by key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.clock import US_PER_DAY
from contract.counts import BINS, CONFIDENCE_SCALE, ORIGINS, SMALLEST_P, TABLES, WEIGHT_SCALE, canonical
from jobs.engines.spark.arrays import NULL, Words, places
from jobs.engines.spark.votes import VOTE, Consensus, LabelRows, Tally, runs

EDGES = np.arange(BINS + 1) / BINS
HALF = 18  # bits: a weight is at most 2^36, so its square is added as three sums of halves


@dataclass
class Facts:
    """Distinct predictions of ours, a column each, and what people said of them."""

    classes: Words
    versions: Words
    people: Words
    version: Any
    predicted: Any
    number: Any
    confidence: Any  # NaN for null
    rank: Any  # 0 for null
    consensus: Consensus
    tally: Tally
    labels: LabelRows
    predicted_at: Any  # us, by number
    slices: dict[str, Any]  # name of a declared slice -> its value, Arrow texts


def tables(facts: Facts) -> dict[str, Any]:
    """The counts tables in canonical form; slices with all their values."""
    made = {"cells": cells, "slices": slices, "people": people, "coincidences": coincidences, "delays": delays}
    return {name: canonical(name, made[name](facts)) for name in TABLES}


def added(keys: Sequence[Any], values: Sequence[Any]) -> tuple[Any, list[Any], Any]:
    """(a row of each different key, the sums of the values over its rows, how many these are)."""
    import pyarrow as pa

    key, size = np.zeros(len(keys[0]), np.int64), 1
    for column in keys:
        low, high = int(column.min(initial=0)), int(column.max(initial=0))
        if size * (high - low + 1) >= 2**62:
            key = np.unique(key, return_inverse=True)[1]
            size = int(key.max(initial=0)) + 1
        key, size = key * (high - low + 1) + (column - low), size * (high - low + 1)
    names = [f"v{n}" for n in range(len(values))]
    table = pa.table([key, np.arange(len(key)), *values], ["key", "row", *names])
    sums = table.group_by("key", use_threads=False).aggregate([("row", "min"), ("row", "count"), *((n, "sum") for n in names)])
    return (sums["row_min"].to_numpy(), [sums[f"{n}_sum"].to_numpy() for n in names], sums["row_count"].to_numpy())


def bins(confidence: Any) -> Any:
    """Rule 5: the largest k in 0…19 with k/20 <= confidence, by comparisons; NULL for NaN and outside [0, 1]."""
    place = np.searchsorted(EDGES, confidence, side="right") - 1
    return np.where((confidence >= 0) & (confidence <= 1), np.minimum(place, BINS - 1), NULL).astype(np.int32)


def cells(facts: Facts) -> Any:
    """The cells, with their sums of confidences and weights."""
    import pyarrow as pa

    found, at, bin_ = facts.consensus, facts.number, bins(facts.confidence)
    columns = [facts.version, facts.predicted, bin_, found.label[at], found.origin[at], found.saw[at], facts.rank,
               found.split[at]]
    fixed = (np.where(bin_ == NULL, 0.0, facts.confidence) * CONFIDENCE_SCALE).astype(np.int64)
    weight = weights(found.probability[at])
    high, low = weight >> HALF, weight & (1 << HALF) - 1
    weighted = [(weight > 0).astype(np.int64), weight, high * high, high * low, low * low] if weight.any() else []
    row, sums, n = added(columns, [fixed, *weighted])
    version, predicted, bin_, label, origin, saw, rank, split = (c[row] for c in columns)
    return pa.table({
        "model_version": facts.versions.taken(version), "predicted": facts.classes.taken(predicted),
        "confidence_bin": pa.array(bin_, mask=bin_ == NULL), "label": facts.classes.taken(label), "origin": origins(origin),
        "saw_prediction": pa.array(saw == 1, mask=saw == NULL), "rank": pa.array(rank, mask=rank == 0),
        "split": pa.array(split == 1, mask=split == NULL), "n": n, "sum_confidence": sums[0],
        **sums_of_weights(sums[1:], len(n))})


def weights(probability: Any) -> Any:
    """floor(2^16 / p); 0 where p is unknown or out of its range."""
    known = (probability >= SMALLEST_P) & (probability <= 1)
    return np.where(known, np.floor(WEIGHT_SCALE / np.where(known, probability, 1.0)), 0).astype(np.int64)


def sums_of_weights(sums: Sequence[Any], cells_: int) -> dict[str, Any]:
    """The three columns of weights from the sums of (known, weight, high^2, high * low, low^2)."""
    from decimal import Decimal

    import pyarrow as pa

    exact = pa.decimal128(38, 0)
    n, weight, high, cross, low = sums or [np.zeros(cells_, np.int64)] * 5
    squares = pa.nulls(cells_, exact).fill_null(0)
    if sums:
        parts = (a.astype(object) for a in (high, cross, low))
        squares = pa.array([Decimal((h << 2 * HALF) + (c << HALF + 1) + s) for h, c, s in zip(*parts, strict=True)], exact)
    return {"n_weighted": n, "sum_weight": pa.array(weight).cast(pa.decimal128(19, 0)).cast(exact), "sum_weight_squared": squares}


def origins(classes: Any) -> Any:
    """The words of places in ORIGINS; NULL is null."""
    import pyarrow as pa

    return pa.array(ORIGINS).take(pa.array(classes.astype(np.int32), mask=classes == NULL))


def slices(facts: Facts) -> Any:
    """Predictions by the value of each declared slice."""
    import pyarrow as pa

    found = facts.consensus
    columns = [facts.version, found.origin[facts.number], facts.predicted, found.label[facts.number]]
    parts = [TABLES["slices"].arrow().empty_table()]
    for name, texts in facts.slices.items():
        coded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
        row, _, n = added([coded.indices.fill_null(NULL).to_numpy(), *columns], [])
        version, origin, predicted, label = (column[row] for column in columns)
        parts.append(pa.table([pa.repeat(name, len(n)),
                               coded.take(pa.array(row)).dictionary_decode(), facts.versions.taken(version), origins(origin),
                               facts.classes.taken(predicted), facts.classes.taken(label), pa.array(n)], schema=parts[0].schema))
    return pa.concat_tables(parts)


def people(facts: Facts) -> Any:
    """Votes of each labeler, and how many of them name the consensus."""
    import pyarrow as pa

    rows, votes = facts.labels, np.flatnonzero(facts.labels.status == VOTE)
    agrees = rows.label[votes] == facts.consensus.label[rows.number[votes]]
    row, (agreements,), n = added([rows.labeler[votes]], [agrees.astype(np.int64)])
    return pa.table({"labeler": facts.people.taken(rows.labeler[votes[row]]), "votes": n, "agreements": agreements})


def delays(facts: Facts) -> Any:
    """Votes by days since the prediction and origin class."""
    import pyarrow as pa

    rows, votes = facts.labels, np.flatnonzero(facts.labels.status == VOTE)
    days = (rows.t[votes] - facts.predicted_at[rows.number[votes]]) // US_PER_DAY
    row, _, n = added([days, rows.origin[votes]], [])
    return pa.table({"days": days[row], "origin": origins(rows.origin[votes[row]]), "n": n})


def coincidences(facts: Facts) -> Any:
    """Ordered pairs of deciding votes on one item, from how many named each label."""
    import pyarrow as pa

    tally = facts.tally
    starts, lengths = runs(tally.number)
    votes = np.add.reduceat(tally.n, starts) if len(starts) else tally.n
    # Of an item whose votes name k labels: k * k pairs of labels, each label beside itself, too.
    pairs = lengths * lengths
    pair, item = places(pairs)
    one, other = starts[item] + pair // lengths[item], starts[item] + pair % lengths[item]
    n = tally.n[one] * (tally.n[other] - (one == other))
    some = np.flatnonzero(n)
    label, other_label, votes = tally.label[one[some]], tally.label[other[some]], votes[item[some]]
    row, (sums,), _ = added([label, other_label, votes], [n[some]])
    return pa.table({"label": facts.classes.taken(label[row]), "other_label": facts.classes.taken(other_label[row]),
                     "votes": votes[row], "n": sums})
