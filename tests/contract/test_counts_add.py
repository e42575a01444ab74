"""Counts added up: to the unit, in any order, in any split, and beyond what 64 bits hold."""

import random
from collections import Counter

import pyarrow as pa
import pytest

from contract.counts import ROWS, TABLES, VALUES_OF, DayCounts, add, canonical, empty_tables, keys_of, sum_by


def cells_of(rng, rows, largest):
    """Random cells over few keys, sums of weights up to `largest`."""
    made = [{"model_version": rng.choice("12"), "predicted": rng.choice("ab"), "confidence_bin": rng.choice([None, 0, 19]),
             "label": rng.choice([None, "a", "b"]), "origin": rng.choice([None, "audit"]), "saw_prediction": None,
             "rank": None, "split": rng.choice([None, True, False]), "n": rng.randrange(9), "sum_confidence": rng.randrange(99),
             "n_weighted": rng.randrange(3), "sum_weight": rng.randrange(largest), "sum_weight_squared": rng.randrange(largest),
             "sum_weight_confidence": rng.randrange(largest)}
            for _ in range(rows)]
    schema = TABLES["cells"].arrow()
    columns = [[row[f.name] for row in made] for f in schema]
    return pa.table([pa.array(c, pa.decimal128(38, 0) if pa.types.is_decimal(f.type) else f.type)
                     for c, f in zip(columns, schema, strict=True)], schema=schema)


@pytest.mark.parametrize("rows", [1, 33, 5000])
def test_equal_keys_become_one_row_also_where_they_are_null(rows):
    rng = random.Random(rows)
    keys = ["version", "bin", "flag", "label"]
    made = pa.table([pa.array([rng.choice("12") for _ in range(rows)]), pa.nulls(rows, pa.int32()),
                     pa.array([rng.choice([None, True, False]) for _ in range(rows)], pa.bool_()),
                     pa.array([rng.choice([None, "a"]) for _ in range(rows)], pa.string()),
                     pa.array([rng.randrange(9) for _ in range(rows)])], [*keys, "n"])
    expected = Counter()
    for row in made.to_pylist():
        expected[tuple(row[k] for k in keys)] += row["n"]
    found = [(tuple(row[k] for k in keys), row["n"]) for row in sum_by(made, keys).to_pylist()]
    assert len(found) == len(dict(found)) and dict(found) == expected
    order = [tuple((value is not None, value or 0 if not isinstance(value, str) else value) for value in key) for key, _ in found]
    assert order == sorted(order)


def test_a_sum_that_64_bits_do_not_hold_is_an_error():
    made = pa.table([["a", "a"], pa.array([2**62, 2**62], pa.int64())], ["label", "n"])
    with pytest.raises(pa.ArrowInvalid):
        sum_by(made, ["label"])


def by_hand(tables):
    keys, values = keys_of("cells"), [n for n in TABLES["cells"].names if n in VALUES_OF["cells"]]
    found = {v: Counter() for v in values}
    for row in (r for t in tables for r in t.to_pylist()):
        for v in values:
            found[v][tuple(row[k] for k in keys)] += int(row[v])
    return {key: tuple(found[v][key] for v in values) for key in found["n"]}


@pytest.mark.parametrize("largest", [2**20, 2**61, 2**63, 10**30])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_sums_are_exact_however_large_and_however_split(largest, parts):
    rng = random.Random(largest + parts)
    tables = [cells_of(rng, 60, largest) for _ in range(parts)]
    none = dict.fromkeys(ROWS, 0)
    days = [DayCounts(str(i), empty_tables() | {"cells": canonical("cells", t)}, none) for i, t in enumerate(tables)]
    whole, _ = add(days)
    values = [n for n in TABLES["cells"].names if n in VALUES_OF["cells"]]
    found = {tuple(r[k] for k in keys_of("cells")): tuple(int(r[v]) for v in values) for r in whole["cells"].to_pylist()}
    assert found == by_hand(tables)
    assert add(reversed(days))[0]["cells"].equals(whole["cells"])
