"""The same content as tidy Parquet tables beside `evaluation.json`, for SQL and notebooks: one row, one fact.

Every figure becomes three columns: `<name>`, `<name>_low`, `<name>_high`. The confusion is whole here, where the
document holds its 10,000 largest cells.
"""

from collections.abc import Mapping, Set
from typing import Any

from metrics.window import WindowCounts

FIGURES = {"precision", "recall", "f1", "accuracy", "estimate", "agreement", "coverage"}
TEXTS = {"labeler", "value", "estimate_origin", "origin"}  # the type of a column that is all null


def tables(document: Mapping[str, Any], window: WindowCounts) -> dict[str, Any]:
    """Name -> Arrow table: versions, per_class, class_trend, confusion, confidence_buckets, confidence_thresholds, top_k,
    reliability, trend, slices, labelers, delays. Tables without rows are left out."""
    made: dict[str, list[dict[str, Any]]] = {"versions": []}
    for version, figures in document["versions"].items():
        made["versions"].append(_flat({"version": version, **{k: v for k, v in figures.items() if _scalar(k, v)}}))
        for name in ("per_class", "confidence_buckets", "confidence_thresholds", "top_k"):
            made.setdefault(name, []).extend(_flat({"version": version, **row}) for row in figures[name])
        curve = figures["calibration"]["reliability"]
        made.setdefault("reliability", []).extend(
            _flat({"version": version, **row, "confidence_mean": row["confidence"]}, {"confidence"}) for row in curve)
    for name in ("trend", "slices", "labelers"):
        made[name] = [_flat(row) for row in document[name]]
    made["delays"] = document["delays"]["labels"]
    found = {name: _table(rows) for name, rows in made.items() if rows}
    trends = class_trend({day.day: day.classes for day in window.days})
    found |= {"class_trend": trends} if trends.num_rows else {}
    whole = confusion_table(window.total("pairs"))
    return found | ({"confusion": whole} if whole.num_rows else {})


def confusion_table(cells: Any) -> Any:
    """Every (version, label, predicted) with its count, largest first, ties by label and predicted."""
    import pyarrow.compute as pc

    part = cells.filter(pc.is_valid(cells["label"])).select(["model_version", "label", "predicted", "n"])
    part = part.rename_columns(["version", "label", "predicted", "count"])
    return part.sort_by([("version", "ascending"), ("count", "descending"), ("label", "ascending"),
                         ("predicted", "ascending")])


def class_trend(days: Mapping[str, Any]) -> Any:
    """(version, label, day, right, labels), a row for each class and day that has labels, in this order.

    `days`: day -> its labelled predictions by class (`window_counts.by_class`).
    """
    import pyarrow as pa

    parts = [_day_schema().empty_table()]
    for day, part in days.items():
        columns = [part["version"], part["label"], pa.repeat(day, part.num_rows), part["right"], part["n"]]
        parts.append(pa.table(columns, schema=_day_schema()))
    return pa.concat_tables(parts).sort_by([(name, "ascending") for name in ("version", "label", "day")])


def _day_schema() -> Any:
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("version", "label", "day")]
    return pa.schema([*texts, ("right", pa.int64()), ("labels", pa.int64())])


def class_days(days: Mapping[str, Any]) -> dict[str, dict[str, list[tuple[str, int, int]]]]:
    """Version -> label -> [(day, right, labels)] by day."""
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


def _table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _column(name, [row.get(name) for row in rows]) for name in names})


def _column(name: str, values: list[Any]) -> Any:
    import pyarrow as pa

    column = pa.array(values)
    return column.cast(pa.string() if name in TEXTS else pa.float64()) if pa.types.is_null(column.type) else column
