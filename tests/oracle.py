"""The rules of counting (docs/design.md#the-rules-of-counting, version 2) once more, row by row: slow and literal.

It reads the Parquet files itself and shares no code with the engines, so that they can be checked against it.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PREDICTION = ("prediction_id", "predicted_at", "recorded_at", "model", "model_version", "predicted_label", "confidence",
              "role", "top_labels", "top_probabilities", "image_sha256", "image_uri", "width", "height", "bytes",
              "weights_sha256", "preprocess_hash", "latency_ms", "client", "request_id", "source_uri", "decision", "attributes")
LABEL = ("label_id", "prediction_id", "label", "labeler", "labeled_at", "recorded_at", "origin", "saw_prediction",
         "shown_label", "withdraws", "selection_probability", "strategy", "actor")
IDS = ("prediction_id", "label_id")
ROWS = ("predictions", "invalid_predictions", "misfiled_predictions", "future_predictions", "duplicate_predictions",
        "labels", "other_model", "unknown_role", "invalid", "misfiled", "future", "duplicate", "orphan", "other_answer",
        "superseded", "withdrawn", "vote", "impossible_predictions", "impossible_labels")
CLASSES = ("audit", "review", "import", "feedback")
ROLES = ("live", "shadow", "canary", "batch", "replay")
WRONG = "\u2260"  # ≠: the answer is wrong, the class is not named (rule 4a)
DAY_US = 86_400_000_000
YEAR_2000 = 10_957 * DAY_US
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


def find_role(word, roles):
    """Rule 2: the known role that a word means, in any case, itself or by the mapping; None = unknown.

    A null is live. An empty role is no id, so it does not count as null: it is another word. `roles` maps other words only, so
    it cannot give a known word another meaning.
    """
    if word is None:
        return "live"
    mapped = {other.lower(): known.lower() for other, known in roles.items()}
    known = word.lower() if word.lower() in ROLES else mapped.get(word.lower())
    return known if known in ROLES else None


def is_invalid_prediction(row):
    needed = (row["model"], row["model_version"], row["predicted_label"])
    return (row["prediction_id"] is None or row["predicted_at"] is None or not all(needed)
            or row["predicted_label"] == WRONG)


def judge_predictions(rows, day, as_of):
    """Rule 2: gives each row of the counted role its fate; None = a distinct prediction."""
    for row in rows:
        if is_invalid_prediction(row):
            row["fate"] = "invalid_predictions"
        elif is_misfiled(row["prediction_id"], day):
            row["fate"] = "misfiled_predictions"
        elif known_at(row, "predicted_at") > as_of:
            row["fate"] = "future_predictions"
        else:
            row["fate"] = None
    return keep_first_predictions(rows)


def keep_first_predictions(rows):
    """Rule 2, duplicates: gives the distinct predictions by id."""
    first = {}
    order = ("predicted_at", "model_version", "predicted_label", "confidence")
    for row in sorted((r for r in rows if r["fate"] is None), key=lambda r: row_key(r, order, PREDICTION)):
        if row["prediction_id"] in first:
            row["fate"] = "duplicate_predictions"
        else:
            first[row["prediction_id"]] = row
    return first


def judge_labels(rows, distinct, model, role, day, as_of):
    """Rule 3: gives each label row its fate."""
    judge_labels_alone(rows, distinct, model, day, as_of)
    mark_duplicates(rows)
    for row in rows:
        if row["fate"] is None and row["prediction_id"] not in distinct:
            row["fate"] = "orphan"
        elif row["fate"] is None and judges_another_answer(row, distinct[row["prediction_id"]], role):
            row["fate"] = "other_answer"
    find_votes(rows)


def judge_labels_alone(rows, distinct, model, day, as_of):
    """Rule 3 up to `future`: what does not depend on other label rows."""
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


def mark_duplicates(rows):
    seen = set()
    for row in sorted((r for r in rows if r["fate"] is None), key=lambda r: row_key(r, ("labeled_at", "label"), LABEL)):
        if row["label_id"] is not None:
            same = (row["prediction_id"], row["label_id"])
        else:
            same = repr([row[name] for name in LABEL])
        row["fate"] = "duplicate" if same in seen else None
        seen.add(same)


def judges_another_answer(row, prediction, role):
    """Rule 4a: a `≠` for an answer that is not this prediction's; the text asks nothing of `withdraws`.

    A null `shown_label` means the live row's answer. An empty one is not null (it is no id), so it is another text.
    """
    if row["label"] != WRONG:
        return False
    if row["shown_label"] is None:
        return role != "live"
    return row["shown_label"] != prediction["predicted_label"]


def find_votes(rows):
    """The end of rule 3: the newest row of each person in each origin class votes or withdraws."""
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
    """Rule 4; an audit row with `≠` counts as review (rule 4a), wherever classes matter: in rule 3 too."""
    origin = "import" if row["origin"] is None else row["origin"] if row["origin"] in CLASSES else "feedback"
    unseen = row["saw_prediction"] is False and row["label"] != WRONG
    return "review" if origin == "audit" and not unseen else origin


def deciding_votes(votes):
    """Rule 4: the votes of the highest class present."""
    highest = min((CLASSES.index(origin_class(v)) for v in votes), default=None)
    return [v for v in votes if CLASSES.index(origin_class(v)) == highest]


def order_labels(counted, weights):
    """Rule 4: the labels of (label, vote) pairs: most votes, then the latest of their newest votes, then by bytes.

    `weights` are votes of labelers in 65,536ths, or the `Scores` of a fit.
    """
    total, newest = Counter(), {}
    for label, vote in counted:
        newest[label] = max(newest.get(label, vote["labeled_at"]), vote["labeled_at"])
        if not isinstance(weights, Scores):
            total[label] += weights.get(vote["labeler"], 2**16)
    if isinstance(weights, Scores):
        total = {label: weights.prior.get(label, min(weights.prior.values())) + sum(
            weights.of(v["labeler"], said, label) for said, v in counted) for label in newest}
    return sorted(total, key=lambda label: (-total[label], -newest[label], label.encode()))


@dataclass
class Scores:
    """A fit of the full form (rule 4). `cells`: (who, said, label) -> score; `general`: who -> (hit, miss); None: everybody."""

    prior: dict
    general: dict
    cells: dict

    def of(self, labeler, said, label):
        who = labeler if labeler in self.general else None
        hit, miss = self.general[who]
        return self.cells.get((who, said, label), hit if said == label else miss)


def pair_with_labels(votes, predicted, weights):
    """Rule 4a: deciding votes, each with the label that it counts for."""
    named = order_labels([(v["label"], v) for v in votes if v["label"] != WRONG], weights)
    leading = next((label for label in named if label != predicted), WRONG)
    return [(leading if v["label"] == WRONG else v["label"], v) for v in votes]


def confidence_bin(confidence):
    if confidence is None or not 0 <= confidence <= 1:
        return None
    return max(k for k in range(20) if k / 20 <= confidence)


def rank(label, top_labels):
    """Rule 6; an empty list is no list. A consensus `≠` has -1 (rule 4a), whatever the list holds."""
    if label is None or not top_labels:
        return None
    if label == WRONG:
        return -1
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


def count(root, day, model, as_of, role="live", slices=(), weights=None, roles=None, version=None):
    """{"cells", "slices", "people", "coincidences", "delays": {key: values}, "rows", "known_through", "next_future"}.

    Keys and values are tuples in the order of docs/design.md#counts; `slices` are (name, expression), `weights` are votes of a
    labeler in 65,536ths, `roles` maps other words to known roles; with a `version` rows of others count as those of another role.
    """
    predictions, unknown, labels, items = judge(root, day, model, as_of, role, weights, roles, version)
    return {**count_tables(items, slices), "rows": count_rows(predictions, unknown, labels, model),
            **known_times(predictions, labels, as_of)}


def judge(root, day, model, as_of, role="live", weights=None, roles=None, version=None):
    """(prediction rows of the role, those of none, label rows, what `make_item` makes of each distinct prediction of ours)."""
    known, unknown = split_by_role(read(root, "predictions", day), roles or {})
    predictions, labels = known[role.lower()], read(root, "labels", day)
    predictions = [p for p in predictions if version is None or p["model_version"] == version]
    distinct = judge_predictions(predictions, day, as_of)
    judge_labels(labels, distinct, model, role.lower(), day, as_of)
    ours = [p for p in distinct.values() if p["model"] == model]
    items = [make_item(p, [r for r in labels if r["fate"] == "vote" and r["prediction_id"] == p["prediction_id"]],
                       weights or {}) for p in ours]
    return predictions, unknown, labels, items


def list_items(root, day, model, as_of, role="live", weights=None, roles=None, version=None):
    """(the labelled rows of docs/design.md#items as dicts, by the bytes of their ids, `known_times`)."""
    predictions, _, labels, items = judge(root, day, model, as_of, role, weights, roles, version)
    found = [show_item(item) for item in items if item["votes"]]
    return sorted(found, key=lambda row: row["prediction_id"].encode()), known_times(predictions, labels, as_of)


def show_item(item):
    p, first = item["prediction"], min(item["say"], key=newness)
    confidence = p["confidence"]
    return {"prediction_id": p["prediction_id"], "model_version": p["model_version"], "predicted": p["predicted_label"],
            "confidence": None if confidence is None or math.isnan(confidence) else confidence,
            "label": item["label"], "origin": item["origin"], "split": item["split"],
            "selection_probability": None if item["weight"] is None else first["selection_probability"],
            "image_sha256": p["image_sha256"], "image_uri": p["image_uri"], "client": p["client"],
            "votes": [{"labeler": v["labeler"], "label": v["label"], "labeled_at": v["labeled_at"], "origin": origin_class(v),
                       "saw_prediction": v["saw_prediction"],
                       "selection_probability": None if weight([v]) is None else v["selection_probability"]}
                      for v in sorted(item["votes"], key=newness)]}


def split_by_role(rows, roles):
    """({known role: its rows}, rows with another word)."""
    found = [(find_role(row["role"], roles), row) for row in rows]
    return ({role: [row for known, row in found if known == role] for role in ROLES},
            [row for known, row in found if known is None])


def count_rows(predictions, unknown, labels, model):
    """Rows by fate; a prediction row counts under its own model, one without a model under none."""
    mine = [p for p in predictions if p["model"] == model]
    found = Counter(r["fate"] for r in mine + labels)
    found["predictions"], found["labels"] = len(mine), sum(r["fate"] != "other_model" for r in labels)
    found["unknown_role"] = sum(p["model"] == model for p in unknown)
    # Of the rows that rules 2 and 3 look at beside others: duplicates, orphans and votes alike.
    found["impossible_predictions"] = sum(p["fate"] in (None, "duplicate_predictions") and is_impossible_prediction(p)
                                          for p in mine)
    found["impossible_labels"] = sum(r["fate"] not in ("other_model", "invalid", "misfiled", "future")
                                     and is_impossible_label(r) for r in labels)
    return {name: found[name] for name in ROWS}


def is_impossible_prediction(row):
    """A value that cannot be: a time before 2000, a confidence beyond rounding, a list whose first is not the answer."""
    wrong_first = bool(row["top_labels"]) and row["top_labels"][0] != row["predicted_label"]
    return row["predicted_at"] < YEAR_2000 or is_impossible_share(row["confidence"]) or wrong_first


def is_impossible_label(row):
    return row["labeled_at"] < YEAR_2000 or is_impossible_share(row["selection_probability"])


def is_impossible_share(value):
    return value is not None and (math.isnan(value) or value < -0.000001 or value > 1.000001)


def known_times(predictions, labels, as_of):
    times = [known_at(p, "predicted_at") for p in predictions
             if p["fate"] not in ("invalid_predictions", "misfiled_predictions")]
    times += [known_at(r, "labeled_at") for r in labels if r["fate"] not in ("other_model", "invalid", "misfiled")]
    return {"known_through": max((t for t in times if t <= as_of), default=0),
            "next_future": min((t for t in times if t > as_of), default=None)}


def make_item(prediction, votes, weights):
    """A prediction of ours with all its votes, those that decide, and what they decide."""
    say = deciding_votes(votes)
    counted = pair_with_labels(say, prediction["predicted_label"], weights)
    has_bin = confidence_bin(prediction["confidence"]) is not None
    return {"prediction": prediction, "votes": votes, "say": say, "weight": weight(say),
            "label": next(iter(order_labels(counted, weights)), None),
            "origin": origin_class(say[0]) if say else None,
            "saw": saw_prediction(say) if say else None,
            "split": len({label for label, _ in counted}) > 1 if say else None,
            "confidence": math.floor(prediction["confidence"] * 2**30) if has_bin else None}


def count_tables(items, slices):
    found = {"cells": {}, "slices": {}, "people": {}, "coincidences": {}, "delays": {}}
    shown = {name: find_shown_values([i["prediction"] for i in items], expression) for name, expression in slices}
    for item in items:
        add_cell(found["cells"], item)
        add_slices(found["slices"], item, slices, shown)
        add_people(found["people"], item)
        add_coincidences(found["coincidences"], item)
        add_delays(found["delays"], item)
    return found


def add_cell(cells, item):
    p, w, confidence = item["prediction"], item["weight"], item["confidence"]
    key = (p["model_version"], p["predicted_label"], confidence_bin(p["confidence"]), item["label"], item["origin"],
           item["saw"], rank(item["label"], p["top_labels"]), item["split"])
    add(cells, key, (1, confidence or 0, *count_weight(w), (w or 0) * (confidence or 0)))


def count_weight(w):
    """n_weighted, sum_weight and sum_weight_squared of one prediction."""
    return (0, 0, 0) if w is None else (1, w, w**2)


def add_slices(sliced, item, slices, shown):
    p = item["prediction"]
    for name, expression in slices:
        value = slice_value(p, expression)
        value = value if value is None or value in shown[name] else "other"
        key = (name, value, p["model_version"], item["origin"], p["predicted_label"], item["label"])
        add(sliced, key, (1, *count_weight(item["weight"])))


def add_people(people, item):
    """Votes, agreements with the consensus, pairs with other people's votes, agreeing pairs."""
    predicted = item["prediction"]["predicted_label"]
    for v in item["votes"]:
        others = [o for o in item["votes"] if o["labeler"] != v["labeler"]]
        agreeing = [o for o in others if agree_as_pair(v["label"], o["label"], predicted)]
        values = (1, int(agrees_with_consensus(v["label"], item["label"], predicted)), len(others), len(agreeing))
        add(people, (v["labeler"],), values)


def agrees_with_consensus(label, consensus, predicted):
    return consensus != predicted if label == WRONG else label == consensus


def agree_as_pair(a, b, predicted):
    """Equal labels agree, and a `≠` with every named label but the predicted one."""
    if a == b:
        return True
    return WRONG in (a, b) and predicted not in (a, b)


def add_coincidences(found, item):
    """Ordered pairs of deciding votes; `≠` is a value of its own."""
    say = item["say"]
    for i, a in enumerate(say):
        for j, b in enumerate(say):
            if i != j:
                add(found, (a["label"], b["label"], len(say)), (1,))


def add_delays(found, item):
    for v in item["votes"]:
        days = (v["labeled_at"] - item["prediction"]["predicted_at"]) // DAY_US
        add(found, (days, origin_class(v)), (1,))


def add(found, key, values):
    found[key] = tuple(a + b for a, b in zip(found.get(key, (0,) * len(values)), values, strict=True))
