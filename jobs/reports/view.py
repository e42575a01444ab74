"""What the report shows, made from the documents: which rows, in which order, rounded how.

The template (templates/report.html) only lays it out. No figure of the report is computed here but sums and shares of its rows.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from contract.documents.evaluation import Delay, Evaluation, SinceDataset, Window
from contract.documents.version_figures import Figure, OfClass, Version
from contract.evaluations import find_bound
from contract.evidence.automatic import choose_accepted
from contract.texts import figures as figure_text
from contract.texts.gates import say_test, write_gate
from contract.texts.pictures_link import link_to_picture, link_to_pictures, link_to_suspects
from contract.texts.words import name_top_k
from jobs.evidence.sections import SECTIONS
from jobs.reports import charts
from jobs.reports.heatmap import make_heat_map
from jobs.reports.picture_drift import show_pictures
from metrics.figure import ratio

MOST_CLASSES, MOST_CHECKED, MOST_ROWS, MOST_PAIRS, NAMED = 1000, 200, 200, 10, 3
OPEN, OPEN_DAYS = 20, 14  # rows of a table that are shown until all are asked for
QUALITY_EDGES = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
PREDICTION_ROWS = {"invalid_predictions": "invalid", "misfiled_predictions": "under the wrong day",
                   "future_predictions": "not known yet", "duplicate_predictions": "repeated",
                   "impossible_predictions": "with a value that cannot be"}
LABEL_ROWS = {"invalid": "invalid", "misfiled": "under the wrong day", "future": "not known yet",
              "duplicate": "repeated", "orphan": "without a prediction", "superseded": "replaced by a later one",
              "withdrawn": "taken back", "vote": "counted as votes",
              "impossible_labels": "with a value that cannot be"}
ORIGIN_TEXT = {"audit": "a random audit, answered blind", "review": "reviewed items", "import": "imported labels",
               "feedback": "feedback from users"}

NOISE_CHECKS = {  # metrics/noise/checks.py: what each expects, as the end of "If mistakes are independent, …"
    "classes": "two votes agree alike, whatever the class", "triples": "three votes agree as often as pairs say",
    "answers": "two votes both name the answer as often as single votes say",
    "confidence": "two votes agree as often where the model is unsure",
    "rejected": "two votes agree as often where a third rejects the answer",
    "selected": "predictions with two votes are like the others", "gold": "gold votes are wrong as often",
    "gold where wrong": "gold votes are wrong as often where the model is wrong"}


def write_interval(figure: Figure) -> str:
    """Writes the interval of a share; why there is none, when there is none."""
    return figure_text.write_interval(figure) or figure.get("reason") or ""


def write_edge(value: float | None) -> str:
    """An edge of confidence, 0.95; a dash for null."""
    return figure_text.write_number(value, 2)


def order_as(found: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """What a section says of each version, in the order in which the report shows them."""
    return [(v["name"], found[v["name"]]) for v in shown if v["name"] in found]


def order_people(people: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows that name a version, in the order in which the report shows versions."""
    places = {v["name"]: n for n, v in enumerate(shown)}
    return sorted(people, key=lambda row: places.get(row["version"], len(places)))


FILTERS = {"percent": figure_text.write_share, "interval": write_interval, "number": figure_text.write_number, "edge": write_edge,
           "moment": figure_text.write_moment, "points": figure_text.write_change, "in_points": figure_text.write_points,
           "share": figure_text.write_percent, "size": figure_text.write_size,
           "bound": figure_text.write_bound, "gate_texts": write_gate, "test_text": say_test, "top_k": name_top_k,
           "count": figure_text.write_count, "figure": figure_text.write_figure, "cost": figure_text.write_cost,
           "price": figure_text.write_price,
           "chance": figure_text.write_chance,
           "bar": charts.draw_bar, "versions_in": order_as, "rows_in": order_people}
NOTHING: dict[str, Any] = {"before": None, "lineage": [], "class_days": {}, "examples": [], "checking": {},
                           "unusual": {}, "erased": frozenset(), "first_holdout": None, "replays": [], "suspects": None}


def order_versions(evaluation: Evaluation, decision: Mapping[str, Any] | None) -> list[str]:
    """The versions of an evaluation, the judged one first, then by number."""
    order = sorted(evaluation["versions"], key=_version_order, reverse=True)
    judged = decision and decision.get("version")
    return sorted(order, key=lambda version: version != judged)


def page(evaluation: Evaluation, decision: Mapping[str, Any] | None,
         sources: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values of the template; `sources` is what jobs/reports/sources.py found beside the document."""
    beside = NOTHING | dict(sources or {})
    bound = find_bound(decision)
    versions = [_version(name, evaluation["versions"][name], beside["class_days"].get(name, {}),
                         beside["checking"].get(name))
                for name in order_versions(evaluation, decision)]
    return {
        "evaluation": evaluation, "decision": decision, "rows": _rows(evaluation["rows"]), "versions": versions,
        "trend": charts.draw_trend(evaluation["trend"], bound),
        "narrow_trend": charts.draw_trend(evaluation["trend"], bound, charts.PHONE),
        "trend_rows": evaluation["trend"][:-MOST_ROWS - 1:-1], "origin_text": ORIGIN_TEXT,
        "trend_omitted": max(len(evaluation["trend"]) - MOST_ROWS, 0), "open": OPEN, "open_days": OPEN_DAYS,
        "slices": evaluation["slices"][:MOST_ROWS], "slices_omitted": max(len(evaluation["slices"]) - MOST_ROWS, 0),
        "labelers": sorted(evaluation["labelers"], key=lambda r: -r["votes"])[:MOST_ROWS],
        "labelers_omitted": max(len(evaluation["labelers"]) - MOST_ROWS, 0),
        "delays": _delays(evaluation["delays"]["labels"]), "level": figure_text.write_bound(evaluation["confidence"]),
        "since": _show_since(evaluation["since_dataset"]), "before": _show_before(beside["before"]), "lineage": beside["lineage"],
        "replays": beside["replays"], "first_holdout": beside["first_holdout"], "suspects": beside["suspects"],
        "suspects_page": link_to_suspects(evaluation["model"]),
        "picture_of": lambda one: link_to_picture(evaluation["model"], one.prediction_id, one.image_sha256),
        "examples": [cell for cell in beside["examples"] if cell["images"]],
        "wishes": [row for row in ((decision or {}).get("wishes") or {"rows": []})["rows"]][:MOST_PAIRS],
        "evidence": evaluation.get("evidence") or {}, "evidence_titles": {name: s.title for name, s in SECTIONS.items()},
        "evidence_short": {name: s.short or s.title for name, s in SECTIONS.items()}, "noise_checks": NOISE_CHECKS,
        "combined": _find_combined(evaluation, decision), "accepted": _find_accepted(evaluation),
        "picture_drift": show_pictures((evaluation.get("evidence") or {}).get("pictures"), beside["unusual"], beside["erased"]),
        "pictures_of_id": lambda prediction_id: link_to_pictures(evaluation["model"], {"prediction_id": prediction_id}),
        "gate_windows": any("days" in gate for gate in (decision or {}).get("gates", ())),
        "pictures": partial(_find_pictures, evaluation["model"], evaluation["window"]),
    }


def _find_combined(evaluation: Evaluation, decision: Mapping[str, Any] | None) -> dict[str, Any]:
    """Version -> its combined estimate, where that is what the accuracy gate judges; versions without one are left out."""
    judged = any(gate.get("estimate") == "combined" for gate in (decision or {}).get("gates", ()))
    section = (evaluation.get("evidence") or {}).get("combined") if judged else None
    return {name: v for name, v in section["versions"].items() if v["value"] is not None} if section else {}


def _find_accepted(evaluation: Evaluation) -> dict[str, Any]:
    """Version -> what thresholds accept of it, for versions for which they hold: over days whose labels did not choose the
    thresholds, where these days have labels."""
    section = (evaluation.get("evidence") or {}).get("automatic")
    return {name: choose_accepted(v) for name, v in section["versions"].items() if v["hold"]} if section else {}


def _find_pictures(model: str, window: Window, version: str, day: str | None = None,
                   bin: Mapping[str, float] | None = None, **filters: str) -> str:
    """Writes the address of pictures of a version: those of the window or of one day, of a bin of confidence or of all."""
    edges = {"confidence_from": f"{bin['low']:g}", "confidence_to": f"{bin['high']:g}"} if bin else {}
    days = {"from": day, "to": day} if day else {"from": window["from"], "to": window["to"]}
    return link_to_pictures(model, {"version": version, **days, **edges, **filters})


def _show_since(since: SinceDataset | None) -> dict[str, Any] | None:
    """The labels since the live version's dataset, with the classes that have most mismatches."""
    if since is None:
        return None
    worst = sorted((r for r in since["per_class"] if r["mismatches"]), key=lambda r: (-r["mismatches"], r["label"]))
    return {**since, "worst": worst[:MOST_PAIRS], "others": len(worst[MOST_PAIRS:])}


def _show_before(before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What changed since, with the classes that changed it most."""
    if before is None:
        return None
    moved = [row for row in before["change"]["classes"] if row["mix"] or row["accuracy"]]
    return {**before, "named": moved[:NAMED], "others": len(moved[NAMED:]),
            "rest": [sum(row[part] for row in moved[NAMED:]) for part in ("mix", "accuracy")]}


def _version_order(name: str) -> tuple[int, str]:
    return (int(name) if name.isascii() and name.isdigit() else -1, name)


def _rows(rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"predictions": [(text, rows[name]) for name, text in PREDICTION_ROWS.items()],
            "labels": [(text, rows[name]) for name, text in LABEL_ROWS.items()]}


def _version(name: str, figures: Version, days: Mapping[str, Sequence[tuple[str, int, int]]],
             checking: Mapping[str, Any] | None = None) -> dict[str, Any]:
    classes = sorted(figures["per_class"], key=lambda row: (-sum(_count_mistakes(row)), row["label"]))
    shown, checked = classes[:MOST_CLASSES], classes[:MOST_CHECKED]
    sparks = charts.draw_sparks({row["label"]: days.get(row["label"], ()) for row in shown})
    return {"name": name, **figures, "classes": [_class(row) for row in shown], "classes_omitted": len(classes) - len(shown),
            "checked_omitted": len(classes) - len(checked), "sparks": sparks, "map": make_heat_map(figures["confusion"]),
            "quality": _quality(figures, [row["label"] for row in checked], checking),
            "curve": charts.draw_reliability(figures["calibration"]["reliability"])}


def _count_mistakes(row: OfClass) -> tuple[int, int]:
    """Counts rows of the class that were taken for others, and rows of others that were taken for it."""
    return row["support"] - row["right"], row["predicted"] - row["right"]


def _class(row: OfClass) -> dict[str, Any]:
    missed, false = _count_mistakes(row)
    return {**row, "missed": missed, "false": false}


def _quality(figures: Version, labels: Sequence[str], checking: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The table that checks labels: per predicted class how many were confirmed, in all and by confidence.

    `checking`: the counts by other buckets, or with split ones as incorrect (jobs/reports/checking.py).
    """
    edges = checking["edges"] if checking else QUALITY_EDGES
    buckets = list(zip(edges, edges[1:], strict=False))
    found = {row["label"]: (row["predicted"], row["predicted"] - row["right"], row["split"])
             for row in figures["per_class"]}
    by_bucket = _read_checking(checking, found) if checking else _read_buckets(figures, buckets)
    thresholds = {row["predicted"]: row for row in figures["confidence_thresholds"]}
    empty = [[0, 0] for _ in buckets]
    rows = {name: _quality_row(name, *sums, by_bucket.get(name, empty)) for name, sums in found.items()}
    whole = (sum(total for total, _, _ in found.values()), sum(wrong for _, wrong, _ in found.values()),
             sum(split for _, _, split in found.values()))
    columns = [[sum(r["buckets"][i][j] for r in rows.values()) for j in (0, 1)] for i in range(len(buckets))]
    return {"buckets": buckets, "edges": edges, "split_wrong": bool(checking and checking["split_wrong"]),
            "rows": [rows[name] | {"threshold": thresholds[name]} for name in labels],
            "total": _quality_row("All", *whole, columns), "average": _average(list(rows.values()), len(buckets))}


def _read_buckets(figures: Version, buckets: Sequence[tuple[float, float]]) -> dict[str, list[list[int]]]:
    """Class -> [count, wrong] of each bucket, from the document."""
    by_bucket: dict[str, list[list[int]]] = {}
    for row in figures["confidence_buckets"]:
        place = max(i for i, (low, _) in enumerate(buckets) if low <= row["low"])
        cell = by_bucket.setdefault(row["predicted"], [[0, 0] for _ in buckets])[place]
        cell[0], cell[1] = cell[0] + row["count"], cell[1] + row["wrong"]
    return by_bucket


def _read_checking(checking: Mapping[str, Any], found: dict[str, tuple[int, int, int]]) -> dict[str, list[list[int]]]:
    """The same from counts, and puts what they say of whole classes into `found`: split ones may be wrong there."""
    by_bucket: dict[str, list[list[int]]] = {}
    for name, rows in checking["classes"].items():
        *of_bucket, whole = rows
        found[name] = (whole["count"], whole["incorrect"], whole["split"])
        by_bucket[name] = [[row["count"], row["incorrect"]] for row in of_bucket]
    return by_bucket


def _quality_row(name: str, total: int, wrong: int, split: int, buckets: Sequence[Sequence[int]]) -> dict[str, Any]:
    return {"label": name, "total": total, "confirmed": total - wrong, "wrong": wrong, "split": split,
            "share": ratio(total - wrong, total, None),
            "buckets": [(n, bad, ratio(n - bad, n, None)) for n, bad in buckets]}


def _average(rows: Sequence[Mapping[str, Any]], buckets: int) -> dict[str, Any]:
    """The mean over classes of the share that is correct, in all and per bucket, where a class has rows."""
    def mean(values: list[float | None]) -> float | None:
        known = [v for v in values if v is not None]
        return ratio(sum(known), len(known), None)

    return {"share": mean([r["share"] for r in rows]), "buckets": [mean([r["buckets"][i][2] for r in rows])
                                                                   for i in range(buckets)]}


def _delays(labels: Sequence[Delay]) -> list[dict[str, Any]]:
    """Labels by how late they came, in five steps."""
    steps = [("the same 24 hours", 0, 0), ("1 day", 1, 1), ("2–6 days", 2, 6), ("7–13 days", 7, 13),
             ("14 days or more", 14, 10**9)]
    total = sum(r["n"] for r in labels)
    counts = [sum(r["n"] for r in labels if low <= max(r["days"], 0) <= high) for _, low, high in steps]
    if not total:
        return []
    return [{"text": text, "n": n, "share": ratio(n, total)} for (text, _, _), n in zip(steps, counts, strict=True)]
