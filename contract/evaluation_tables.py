"""The same content as tidy Parquet tables beside `evaluation.json`, for SQL and notebooks: one row, one fact.

Every figure becomes three columns: `<name>`, `<name>_low`, `<name>_high`. The confusion is whole here, where the
document holds its 10,000 largest cells.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from contract.counts import DayCounts, listed_cells

FIGURES = {"precision", "recall", "f1", "accuracy", "estimate", "agreement", "coverage"}
TEXTS = {"labeler", "value", "estimate_origin", "origin"}  # the type of a column that is all null


def tables(document: Mapping[str, Any], days: Iterable[DayCounts]) -> dict[str, Any]:
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
    days = list(days)
    trends = class_trend(days)
    found |= {"class_trend": trends} if trends.num_rows else {}
    whole = confusion_table(listed_cells(days))
    return found | ({"confusion": whole} if whole.num_rows else {})


def confusion_table(cells: Any) -> Any:
    """Every (version, label, predicted) with its count, largest first, ties by label and predicted."""
    import pyarrow.compute as pc

    part = cells.filter(pc.is_valid(cells["label"])).select(["model_version", "label", "predicted", "n"])
    part = part.group_by(["model_version", "label", "predicted"]).aggregate([("n", "sum")])
    part = part.select(["model_version", "label", "predicted", "n_sum"])
    part = part.rename_columns(["version", "label", "predicted", "count"])
    return part.sort_by([("version", "ascending"), ("count", "descending"), ("label", "ascending"),
                         ("predicted", "ascending")])


def class_trend(days: Iterable[DayCounts]) -> Any:
    """(version, label, day, right, labels), a row for each class and day that has labels, in this order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [_day_schema().empty_table()]
    for counts in days:
        cells = counts.tables["cells"]
        cells = cells.filter(pc.is_valid(cells["label"]))
        right = pc.multiply(pc.equal(cells["label"], cells["predicted"]).cast(pa.int64()), cells["n"])
        part = pa.table([cells["model_version"], cells["label"], right, cells["n"]], ["version", "label", "right", "n"])
        part = part.group_by(["version", "label"]).aggregate([("right", "sum"), ("n", "sum")])
        day = pa.array([counts.day] * part.num_rows, pa.string())
        parts.append(pa.table([part["version"], part["label"], day, part["right_sum"], part["n_sum"]], schema=_day_schema()))
    return pa.concat_tables(parts).sort_by([(name, "ascending") for name in ("version", "label", "day")])


def _day_schema() -> Any:
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("version", "label", "day")]
    return pa.schema([*texts, ("right", pa.int64()), ("labels", pa.int64())])


def class_days(days: Iterable[DayCounts]) -> dict[str, dict[str, list[tuple[str, int, int]]]]:
    """Version -> label -> [(day, right, labels)] by day."""
    found: dict[str, dict[str, list[tuple[str, int, int]]]] = {}
    for version, label, *point in zip(*(column.to_pylist() for column in class_trend(days).columns), strict=True):
        found.setdefault(version, {}).setdefault(label, []).append(tuple(point))
    return found


def _scalar(name: str, value: Any) -> bool:
    return name in FIGURES or not isinstance(value, list | dict)


def _flat(row: Mapping[str, Any], without: set[str] = frozenset()) -> dict[str, Any]:
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
