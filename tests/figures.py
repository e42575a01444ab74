"""Days of counts made from plain rows, for tests of everything that divides."""

import random

import pyarrow as pa

from contract.counts import (
    CELLS,
    CONFIDENCE_SCALE,
    ROWS,
    TABLES,
    VALUES_OF,
    WEIGHT_SCALE,
    DayCounts,
    canonical,
    empty_tables,
)
from metrics.evaluation import Background, Scope, build
from metrics.version import Rules
from metrics.window import WindowCounts

DAY, AS_OF = "2026-11-20", 1_795_392_000_000_000  # 2026-11-23T00:00:00Z


def cell(predicted="a", label=None, confidence=None, origin=None, p=None, version="1", rank=None, split=False, n=1):
    """`n` predictions that fell into one cell; `p` is the selection probability."""
    weight = int(WEIGHT_SCALE / p) if p else 0
    fixed = None if confidence is None else int(confidence * CONFIDENCE_SCALE) * n
    place = None if confidence is None else max(k for k in range(20) if k / 20 <= confidence)
    origin = (origin or "import") if label is not None else None
    return {"model_version": version, "predicted": predicted, "confidence_bin": place, "label": label,
            "origin": origin, "saw_prediction": None, "rank": rank if label is not None else None,
            "split": split if label is not None else None, "n": n, "sum_confidence": fixed or 0,
            "n_weighted": n if p else 0, "sum_weight": weight * n, "sum_weight_squared": weight * weight * n,
            "sum_weight_confidence": weight * (fixed or 0)}


def table(name, rows):
    """Rows as the Arrow table of that name, in canonical form; counts that are not named are 0."""
    rows = [dict.fromkeys(VALUES_OF[name], 0) | row for row in rows]
    return canonical(name, pa.Table.from_pylist(rows, TABLES[name].arrow())) if rows else TABLES[name].arrow(
    ).empty_table()


def day(cells, name=DAY, **others):
    """A DayCounts of these cells; other tables by name, as rows."""
    made = {k: table(k, v) for k, v in others.items()} | {"cells": table(CELLS.name, cells)}
    rows = dict.fromkeys(ROWS, 0) | {"predictions": sum(c["n"] for c in cells)}
    return DayCounts(name, empty_tables() | made, rows)


def document(*days, window_counts=None, **options):
    """evaluation.json of these days; `options` are fields of Scope, Background and Rules."""
    days = {d.day: d for d in days}
    window = (min(days, default=DAY), max(days, default=DAY))
    given = {"model": "m", "window": window, "as_of": AS_OF, "engine": "embedded", "role": "live",
             "counts": {d: f"{'0' * 16}/1" for d in days}} | options
    scope, background, rules = (kind(**{name: given.pop(name) for name in kind.__dataclass_fields__.keys() & given.keys()})
                                for kind in (Scope, Background, Rules))
    assert not given, f"nobody knows {', '.join(given)}"
    return build(scope, window_counts or WindowCounts.of(days.values()), background, rules)


def random_cells(seed, classes=4, n=500, labelled=0.8, **same):
    """Cells of random predictions: right about 70% of the time, with confidence and rank."""
    rng, rows = random.Random(seed), []
    names = [f"class {i}" for i in range(classes)]
    for _ in range(n):
        predicted = rng.choice(names)
        label = (predicted if rng.random() < 0.7 else rng.choice(names)) if rng.random() < labelled else None
        rows.append(cell(predicted, label, round(rng.random(), 3), rank=rng.choice([1, 2, 3, -5, None]), **same))
    return rows
