"""The rules of counting (docs/design.md#the-rules-of-counting) once more, row by row in plain Python: slow and literal.

It reads the Parquet files itself and shares no code with the engines, so that they can be checked against it.
"""

import math
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PREDICTION = ("prediction_id", "predicted_at", "recorded_at", "model", "model_version", "predicted_label", "confidence",
              "role", "top_labels", "top_probabilities", "image_sha256", "image_uri", "width", "height", "bytes",
              "weights_sha256", "preprocess_hash", "latency_ms", "client", "request_id", "source_uri", "attributes")
LABEL = ("label_id", "prediction_id", "label", "labeler", "labeled_at", "recorded_at", "origin", "saw_prediction",
         "withdraws", "selection_probability", "strategy", "actor")
IDS = ("prediction_id", "label_id")
ROWS = ("predictions", "invalid_predictions", "misfiled_predictions", "future_predictions", "duplicate_predictions",
        "labels", "other_model", "invalid", "misfiled", "future", "duplicate", "orphan", "superseded", "withdrawn",
        "vote")
CLASSES = ("audit", "review", "import", "feedback")
DAY_US = 86_400_000_000
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)


def read(root, table, day):
    """All rows of a day as dicts: missing columns null, times in whole microseconds, versions as text."""
    names, rows = (PREDICTION if table == "predictions" else LABEL), []
    for path in sorted((Path(root) / table / f"dt={day}").glob("*.parquet")):
        if path.name[0] in "._":
            continue
        file = pq.ParquetFile(path).read()
        columns = {n: values(file.column(n)) if n in file.column_names else [None] * file.num_rows for n in names}
        rows += [{n: columns[n][i] for n in names} for i in range(file.num_rows)]
    for row in rows:
        for name in set(IDS) & set(row):
            row[name] = row[name] or None
        if isinstance(row.get("model_version"), int):
            row["model_version"] = str(row["model_version"])
    return rows


def values(column):
    if pa.types.is_timestamp(column.type):
        per_us = {"s": (1_000_000, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}[column.type.unit]
        return [None if t is None else t * per_us[0] // per_us[1] for t in column.cast(pa.int64()).to_pylist()]
    return column.to_pylist()


def sort_key(value):
    """A key for `sorted`: nulls first, numbers ascending, NaN last, strings by their bytes, lists by their elements."""
    if value is None:
        return (0,)
    if isinstance(value, str):
        return (1, value.encode())
    if isinstance(value, list | tuple):
        return (1, [sort_key(part) for part in value])
    return (2,) if value != value else (1, value)


def row_key(row, first, schema):
    """The order by some columns, ties by the remaining ones in schema order."""
    return [sort_key(row[name]) for name in (*first, *(n for n in schema if n not in first))]


def known_at(row, event):
    return row[event] if row["recorded_at"] is None else max(row[event], row["recorded_at"])


def is_misfiled(prediction_id, day):
    if not UUID7.fullmatch(prediction_id):
        return False
    ms = int(prediction_id.replace("-", "")[:12], 16)
    return ms // 86_400_000 != (date.fromisoformat(day) - date(1970, 1, 1)).days


def judge_predictions(rows, day, as_of):
    """Rule 2: gives each row its fate; None = a distinct prediction."""
    for row in rows:
        if row["prediction_id"] is None or row["predicted_at"] is None or not all(
                (row["model"], row["model_version"], row["predicted_label"])):
            row["fate"] = "invalid_predictions"
        elif is_misfiled(row["prediction_id"], day):
            row["fate"] = "misfiled_predictions"
        elif known_at(row, "predicted_at") > as_of:
            row["fate"] = "future_predictions"
        else:
            row["fate"] = None
    first = {}
    order = ("predicted_at", "model_version", "predicted_label", "confidence")
    for row in sorted((r for r in rows if r["fate"] is None), key=lambda r: row_key(r, order, PREDICTION)):
        if row["prediction_id"] in first:
            row["fate"] = "duplicate_predictions"
        else:
            first[row["prediction_id"]] = row
    return first


def judge_labels(rows, distinct, model, day, as_of):
    """Rule 3: gives each label row its fate."""
    for row in rows:
        prediction = distinct.get(row["prediction_id"])
        if prediction is not None and prediction["model"] != model:
            row["fate"] = "other_model"
        elif row["prediction_id"] is None or row["labeled_at"] is None or not (row["label"] or row["withdraws"]):
            row["fate"] = "invalid"
        elif is_misfiled(row["prediction_id"], day):
            row["fate"] = "misfiled"
        elif known_at(row, "labeled_at") > as_of:
            row["fate"] = "future"
        else:
            row["fate"] = None
    seen = set()
    for row in sorted((r for r in rows if r["fate"] is None), key=lambda r: row_key(r, ("labeled_at", "label"), LABEL)):
        if row["label_id"] is not None:
            same = (row["prediction_id"], row["label_id"])
        else:
            same = repr([row[name] for name in LABEL])
        row["fate"] = "duplicate" if same in seen else None
        seen.add(same)
    for row in rows:
        if row["fate"] is None and row["prediction_id"] not in distinct:
            row["fate"] = "orphan"
    newest = {}
    for row in sorted((r for r in rows if r["fate"] is None), key=newness):
        person = (row["prediction_id"], origin_class(row), row["labeler"])
        if person in newest:
            newest[person]["fate"] = "superseded"
        newest[person] = row
    for row in newest.values():
        row["fate"] = "withdrawn" if row["withdraws"] else "vote"


def newness(row):
    return row_key(row, ("labeled_at", "label_id", "label"), LABEL)


def origin_class(row):
    origin = "import" if row["origin"] is None else row["origin"] if row["origin"] in CLASSES else "feedback"
    return "review" if origin == "audit" and row["saw_prediction"] is not False else origin


def deciding_votes(votes):
    """Rule 4: the votes of the highest class present."""
    highest = min((CLASSES.index(origin_class(v)) for v in votes), default=None)
    return [v for v in votes if CLASSES.index(origin_class(v)) == highest]


def choose_label(votes, weights):
    """The label with most votes; on a tie the one whose newest vote is newest, then the first by its bytes."""
    total, newest = Counter(), {}
    for vote in votes:
        total[vote["label"]] += weights.get(vote["labeler"], 2**16)
        newest[vote["label"]] = max(newest.get(vote["label"], vote["labeled_at"]), vote["labeled_at"])
    return min(total, key=lambda label: (-total[label], -newest[label], label.encode()), default=None)


def confidence_bin(confidence):
    if confidence is None or not 0 <= confidence <= 1:
        return None
    return max(k for k in range(20) if k / 20 <= confidence)


def rank(label, top_labels):
    if label is None or not top_labels:
        return None
    return top_labels.index(label) + 1 if label in top_labels else -len(top_labels)


def saw_prediction(votes):
    saw = [v["saw_prediction"] for v in votes]
    return True if True in saw else None if None in saw else False


def weight(votes):
    p = min(votes, key=newness)["selection_probability"] if votes else None
    return math.floor(2**16 / p) if p is not None and 2**-20 <= p <= 1 else None


BANDS = {"image_size": (64, 256, 512, 1024, 2048, 4096), "latency": (10, 25, 50, 100, 250, 1000)}


def slice_value(row, expression):
    """The value of a declared slice for one prediction, or None."""
    if expression.startswith("attributes."):
        return dict(row["attributes"] or []).get(expression.removeprefix("attributes."))
    if expression == "hour":
        return f"{row['predicted_at'] // 3_600_000_000 % 24:02}"
    if expression == "latency":
        return name_band("latency", row["latency_ms"])
    if expression == "image_size":
        return name_band("image_size", max((s for s in (row["width"], row["height"]) if s is not None), default=None))
    return row[expression]


def name_band(name, value):
    edges = BANDS[name]
    if value is None or value != value:
        return None
    if value < edges[0]:
        return f"<{edges[0]}"
    if value >= edges[-1]:
        return f">={edges[-1]}"
    return next(f"{low}-{high}" for low, high in zip(edges, edges[1:], strict=False) if low <= value < high)


def find_shown_values(predictions, expression):
    """At most 200 values of a slice, the rest is "other"; null is none of the 200."""
    found = Counter(slice_value(p, expression) for p in predictions)
    found.pop(None, None)
    return set(sorted(found, key=lambda value: (-found[value], value.encode()))[:200])


def count(root, day, model, as_of, role="live", slices=(), weights=None):
    """{"cells", "slices", "people", "coincidences", "delays": {key: values}, "rows", "known_through", "next_future"}.

    Keys and values are tuples in the order of docs/design.md#counts; `slices` are (name, expression), `weights` are votes of a
    labeler in 65,536ths.
    """
    predictions = [r for r in read(root, "predictions", day)
                   if r["role"] == role or (role == "live" and r["role"] is None)]
    labels = read(root, "labels", day)
    distinct = judge_predictions(predictions, day, as_of)
    judge_labels(labels, distinct, model, day, as_of)
    votes = {}
    for row in labels:
        if row["fate"] == "vote":
            votes.setdefault(row["prediction_id"], []).append(row)
    ours = [p for p in distinct.values() if p["model"] == model]
    return {**count_tables(ours, votes, slices, weights or {}), "rows": count_rows(predictions, labels, model),
            **known_times(predictions, labels, as_of)}


def count_rows(predictions, labels, model):
    mine = [p for p in predictions if p["model"] == model]
    found = Counter(r["fate"] for r in mine + labels)
    found["predictions"], found["labels"] = len(mine), sum(r["fate"] != "other_model" for r in labels)
    return {name: found[name] for name in ROWS}


def known_times(predictions, labels, as_of):
    times = [known_at(p, "predicted_at") for p in predictions
             if p["fate"] not in ("invalid_predictions", "misfiled_predictions")]
    times += [known_at(r, "labeled_at") for r in labels if r["fate"] not in ("other_model", "invalid", "misfiled")]
    return {"known_through": max((t for t in times if t <= as_of), default=0),
            "next_future": min((t for t in times if t > as_of), default=None)}


def count_tables(predictions, votes, slices, weights):
    cells, sliced, people, pairs, delays = {}, Counter(), {}, Counter(), Counter()
    shown = {name: find_shown_values(predictions, expression) for name, expression in slices}
    for p in predictions:
        all_votes = votes.get(p["prediction_id"], [])
        say = deciding_votes(all_votes)
        label = choose_label(say, weights)
        origin = origin_class(say[0]) if say else None
        key = (p["model_version"], p["predicted_label"], confidence_bin(p["confidence"]), label, origin,
               saw_prediction(say) if say else None, rank(label, p["top_labels"]),
               len({v["label"] for v in say}) > 1 if say else None)
        w, has_bin = weight(say), confidence_bin(p["confidence"]) is not None
        add(cells, key, (1, math.floor(p["confidence"] * 2**30) if has_bin else 0, int(w is not None), w or 0,
                         (w or 0) ** 2))
        for name, expression in slices:
            value = slice_value(p, expression)
            value = value if value is None or value in shown[name] else "other"
            sliced[name, value, p["model_version"], origin, p["predicted_label"], label] += 1
        for v in all_votes:
            add(people, (v["labeler"],), (1, int(v["label"] == label)))
            delays[(v["labeled_at"] - p["predicted_at"]) // DAY_US, origin_class(v)] += 1
        for i, a in enumerate(say):
            for j, b in enumerate(say):
                if i != j:
                    pairs[a["label"], b["label"], len(say)] += 1
    return {"cells": cells, "people": people, **{name: {k: (n,) for k, n in found.items()} for name, found in
                                                 (("slices", sliced), ("coincidences", pairs), ("delays", delays))}}


def add(found, key, values):
    found[key] = tuple(a + b for a, b in zip(found.get(key, (0,) * len(values)), values, strict=True))
