"""What changed between two evaluations: accuracy over all labels, split into class mix and per-class accuracy.

A - B = sum over classes of (a) the change of the class's share of the labels, at its average accuracy measured from the
average of both totals, and (b) the change of its accuracy, at its average share: the symmetric decomposition of Kitagawa
(1955). The parts add up exactly but for rounding. A class that only one side has labels of changes the mix alone.
"""

from collections.abc import Mapping
from math import fsum
from typing import Any

from metrics.figure import independent_difference, missing


def change(before: Mapping[str, Any], after: Mapping[str, Any], confidence: float = 0.95) -> dict[str, Any]:
    """From two `versions.<v>` of evaluation.json: `total` (a figure), `mix`, `accuracy`, and every class's two parts.

    `classes` is ordered by the size of the class's part of the change, largest first. Null with a reason where one side
    has no label.
    """
    first, second = _counts(before), _counts(after)
    sizes = [sum(n for _, n in side.values()) for side in (first, second)]
    if not all(sizes):
        reason = f"no labels {'before' if not sizes[0] else 'after'}"
        return {"total": missing(reason), "mix": None, "accuracy": None, "classes": [], "reason": reason}
    rights = [sum(right for right, _ in side.values()) for side in (first, second)]
    middle = (rights[0] / sizes[0] + rights[1] / sizes[1]) / 2
    rows = [_parts(label, first.get(label, (0, 0)), second.get(label, (0, 0)), sizes, middle)
            for label in sorted(first.keys() | second.keys())]
    rows.sort(key=lambda row: (-abs(row["mix"] + row["accuracy"]), row["label"]))
    total = independent_difference((rights[1], sizes[1]), (rights[0], sizes[0]), confidence)
    return {"total": total, "mix": fsum(r["mix"] for r in rows), "accuracy": fsum(r["accuracy"] for r in rows),
            "labels": sizes, "classes": rows}


def _counts(version: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """(right, labels) of every label; one that the card does not know is never right."""
    known = {row["label"]: (row["right"], row["support"]) for row in version["per_class"]}
    return known | {row["label"]: (0, row["count"]) for row in version["new_labels"]}


def _parts(label: str, before: tuple[int, int], after: tuple[int, int], sizes: list[int], middle: float) -> dict[str, Any]:
    share = [n / size for (_, n), size in zip((before, after), sizes, strict=True)]
    right = [r / n if n else None for r, n in (before, after)]
    then, now = (value if value is not None else other for value, other in (right, right[::-1]))
    then, now = then or 0.0, now or 0.0
    return {"label": label, "share": share, "right": right, "mix": (share[1] - share[0]) * ((then + now) / 2 - middle),
            "accuracy": (share[0] + share[1]) / 2 * (now - then)}
