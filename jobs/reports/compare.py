"""Two evaluations side by side, or two versions of one: what differs, and whether that may be chance.

    trueup report A B --model digits

A and B are folders of evaluations, or versions of the newest evaluation that has them. Writes
`compare-<A>.html` beside the second one's `evaluation.json`.
"""

from collections.abc import Mapping
from typing import Any

from contract import layout
from contract.documents.evaluation import Evaluation
from contract.documents.version_figures import Estimate, Figure, OfOrigin, Version
from contract.errors import NotFound
from contract.evaluations import list_newest_first
from contract.stores.store import Storage
from contract.texts.words import name_top_k
from jobs.reports import view
from jobs.reports.page import load, render_template
from jobs.reports.sources import find_file, find_readable
from metrics.decomposition import change
from metrics.figure import independent_difference
from metrics.significance.exact_tests import divide_level

MOST = 200


def write_comparison(storage: Storage, model: str, first: str, second: str) -> tuple[str, dict[str, Any]]:
    """Renders the comparison; returns where it lies, and its document."""
    sides = [read_side(storage, model, name) for name in (first, second)]
    sides = [one | {"file": find_file(storage, model, one["id"])} for one in sides]
    document = compare(*sides)
    key = layout.comparison(model, sides[1]["id"], _file(sides[0]))
    storage.put(key, render_template("compare.html", {"c": document, "model": model, "most": MOST}).encode())
    return storage.uri(key), {"comparison": storage.uri(key), **document}


def _file(one: Mapping[str, Any]) -> str:
    return f"{one['id']}-version-{one['version']}" if str(one["version"]).isalnum() else one["id"]


def read_side(storage: Storage, model: str, name: str) -> dict[str, Any]:
    """One side: {"id", "version", "window", "as_of", "figures"}. NotFound says what there is."""
    if name.isdigit() and len(name) < 8:
        return _of_version(storage, model, name)
    evaluation, decision = load(storage, model, name)
    order = view.order_versions(evaluation, decision)
    if not order:
        raise NotFound(f"evaluation {name} of model {model!r} has no prediction, so there is nothing to compare.")
    return _side(name, evaluation, order[0])


def _of_version(storage: Storage, model: str, version: str) -> dict[str, Any]:
    for name in list_newest_first(storage, model):
        evaluation = find_readable(storage, model, name)
        if evaluation and version in evaluation["versions"]:
            return _side(name, evaluation, version)
    raise NotFound(f"{storage.root}: no evaluation of model {model!r} has a prediction of version {version}.")


def _side(name: str, evaluation: Evaluation, version: str) -> dict[str, Any]:
    return {"id": name, "version": version, "window": evaluation["window"], "as_of": evaluation["as_of"],
            "confidence": evaluation["confidence"], "figures": evaluation["versions"][version]}


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The document: both sides' figures, the change of their accuracy, that over all labels and its parts, differences by
    origin and by class.

    A class's difference is `clear` when its interval, at a level shared by all classes (Bonferroni), leaves out 0.
    """
    confidence = first["confidence"]
    a, b = first["figures"], second["figures"]
    shares = {o: (_find_share(a["by_origin"][o]), _find_share(b["by_origin"][o]))
              for o in a["by_origin"] if o in b["by_origin"]}
    origins = [{"origin": o, "difference": _difference(*both, confidence)} for o, both in shares.items()]
    classes = _classes(a, b, confidence)
    return {"sides": [{k: v for k, v in one.items() if k != "figures"} | {
                "figures": {k: one["figures"][k] for k in ("estimate", "accuracy", "predictions", "labelled", "coverage")},
                "rows": _rows(one["figures"])} for one in (first, second)],
            "accuracy": _compare_estimates(a["estimate"], b["estimate"], confidence),
            "change": change(a, b, confidence), "origins": origins, "classes": classes,
            "changed": [row["label"] for row in classes if row["clear"]]}


def _compare_estimates(before: Estimate, after: Estimate, confidence: float) -> dict[str, Any] | None:
    """The change of the estimated accuracy, which both sides show first; None where a side has none.

    An estimate is as good as `n_effective` rows drawn alike; `alike` says whether both rest on labels of one origin.
    """
    if before["value"] is None or after["value"] is None:
        return None
    sizes = [max(round(one["n_effective"]), 1) for one in (before, after)]
    difference = _difference((before["value"], sizes[0]), (after["value"], sizes[1]), confidence)
    difference["value"] = after["value"] - before["value"]  # without the rounding to whole rows
    return {"difference": difference, "alike": before["origin"] == after["origin"], "chance": not _excludes_zero(difference)}


def _rows(figures: Version) -> dict[str, Figure]:
    """The rows of the table of figures."""
    return {"Balanced accuracy": figures["balanced_accuracy"], "Macro F1": figures["macro"]["f1"],
            **{name_top_k(top["k"]): top for top in figures["top_k"]}}


def _find_share(of_origin: OfOrigin) -> tuple[float, int]:
    return of_origin["accuracy"]["value"] or 0.0, of_origin["labelled"]


def _excludes_zero(difference: Figure) -> bool:
    low, high = difference["low"], difference["high"]
    return low is not None and high is not None and not low <= 0 <= high


def _difference(before: tuple[float, int], after: tuple[float, int], confidence: float) -> Figure:
    """after - before of two shares of independent rows, with its interval."""
    (share_before, n_before), (share_after, n_after) = before, after
    return independent_difference((round(share_after * n_after), n_after), (round(share_before * n_before), n_before),
                                  confidence)


def _classes(a: Version, b: Version, confidence: float) -> list[dict[str, Any]]:
    """Classes that both have labels of, by the size of the difference of their recall, the clear ones first."""
    left, right = ({row["label"]: row for row in s["per_class"] if row["support"]} for s in (a, b))
    both = sorted(left.keys() & right.keys())
    shared, rows = 1 - divide_level(1 - confidence, len(both)), []
    for label in both:
        before, after = ((row["recall"]["value"] or 0.0, row["support"]) for row in (left[label], right[label]))
        wide = _difference(before, after, shared)
        rows.append({"label": label, "before": left[label]["recall"], "after": right[label]["recall"],
                     "support": [before[1], after[1]], "difference": _difference(before, after, confidence),
                     "clear": _excludes_zero(wide)})
    return sorted(rows, key=lambda row: (not row["clear"], -abs(row["difference"]["value"]), row["label"]))
