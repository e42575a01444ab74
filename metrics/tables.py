"""The same content as tidy Parquet tables beside `evaluation.json`, for SQL and notebooks: one row, one fact.

Every figure becomes three columns: `<name>`, `<name>_low`, `<name>_high`. The confusion is whole here, where the
document holds its 10,000 largest cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from itertools import chain
from typing import TYPE_CHECKING, Any

from contract.documents.evaluation import Evaluation
from metrics.window import WindowCounts

if TYPE_CHECKING:
    import pyarrow as pa

FIGURES = {"precision", "recall", "f1", "accuracy", "estimate", "agreement", "coverage"}
TEXTS = {"labeler", "value", "estimate_origin", "origin"}  # the type of a column that is all null


def tables(document: Evaluation, window: WindowCounts) -> dict[str, pa.Table]:
    """Renders the document as tables by name: versions, per_class, class_trend, confusion, confidence_buckets,
    confidence_thresholds, top_k, reliability, trend, slices, labelers, delays. Tables without rows are left out.

    `window` are the counts that the document was built from.
    """
    rows: dict[str, list[dict[str, Any]]] = {"versions": []}
    for version, figures in document["versions"].items():
        rows["versions"].append(_flat({"version": version, **{k: v for k, v in figures.items() if _scalar(k, v)}}))
        lists: dict[str, Sequence[Mapping[str, Any]]] = {
            "per_class": figures["per_class"], "confidence_buckets": figures["confidence_buckets"],
            "confidence_thresholds": figures["confidence_thresholds"], "top_k": figures["top_k"]}
        for name, found in lists.items():
            rows.setdefault(name, []).extend(_flat({"version": version, **row}) for row in found)
        curve = figures["calibration"]["reliability"]
        rows.setdefault("reliability", []).extend(
            _flat({"version": version, **bin_, "confidence_mean": bin_["confidence"]}, {"confidence"}) for bin_ in curve)
    rows["trend"] = [_flat(point) for point in document["trend"]]
    rows["slices"] = [_flat(value) for value in document["slices"]]
    rows["labelers"] = [_flat(labeler) for labeler in document["labelers"]]
    rows["delays"] = [_flat(delay) for delay in document["delays"]["labels"]]
    made = {name: _table(found) for name, found in rows.items()}
    made["class_trend"] = class_trend({day.day: day.classes for day in window.days})
    made["confusion"] = confusion_table(window.total("pairs"))
    return {name: table for name, table in made.items() if table.num_rows}


def confusion_table(cells: pa.Table) -> pa.Table:
    """Returns every (version, label, predicted) with its count, largest first, ties by label and predicted."""
    import pyarrow.compute as pc

    part = cells.filter(pc.is_valid(cells["label"])).select(["model_version", "label", "predicted", "n"])
    part = part.rename_columns(["version", "label", "predicted", "count"])
    return part.sort_by([("version", "ascending"), ("count", "descending"), ("label", "ascending"),
                         ("predicted", "ascending")])


def class_trend(days: Mapping[str, pa.Table]) -> pa.Table:
    """Returns (version, label, day, right, labels), a row for each class and day that has labels, in this order.

    `days`: day -> its labelled predictions by class (`metrics.window.by_class`).
    """
    import pyarrow as pa

    parts = [_day_schema().empty_table()]
    for day, part in days.items():
        columns = [part["version"], part["label"], pa.repeat(day, part.num_rows), part["right"], part["n"]]
        parts.append(pa.table(columns, schema=_day_schema()))
    return pa.concat_tables(parts).sort_by([(name, "ascending") for name in ("version", "label", "day")])


def _day_schema() -> pa.Schema:
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("version", "label", "day")]
    return pa.schema([*texts, ("right", pa.int64()), ("labels", pa.int64())])


def class_days(days: Mapping[str, pa.Table]) -> dict[str, dict[str, list[tuple[str, int, int]]]]:
    """Returns version -> label -> [(day, right, labels)] by day; `days` as for `class_trend`."""
    found: dict[str, dict[str, list[tuple[str, int, int]]]] = {}
    for version, label, *point in zip(*(column.to_pylist() for column in class_trend(days).columns), strict=True):
        found.setdefault(version, {}).setdefault(label, []).append(tuple(point))
    return found


def _scalar(name: str, value: Any) -> bool:
    return name in FIGURES or not isinstance(value, list | dict)


def _flat(row: Mapping[str, Any], without: Set[str] = frozenset()) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name in FIGURES and isinstance(value, dict):
            found |= {name: value["value"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
            found |= {f"{name}_origin": value["origin"]} if "origin" in value else {}
        elif name not in without and not isinstance(value, list | dict):
            found[name] = value
    return found


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    names = list(dict.fromkeys(chain.from_iterable(rows)))
    return pa.table({name: _column(name, [row.get(name) for row in rows]) for name in names})


def _column(name: str, values: list[Any]) -> pa.Array:
    import pyarrow as pa

    column = pa.array(values)
    return column.cast(pa.string() if name in TEXTS else pa.float64()) if pa.types.is_null(column.type) else column
