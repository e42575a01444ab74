"""Values that no classifier can have given: probabilities outside 0 to 1, lists that are not best first, negative sizes.

A difference that rounding explains is no mistake.
"""

from collections.abc import Sequence
from typing import Any

from contract.counts import ROUNDING
from jobs.imports.context import Context

SIZES = ("width", "height", "bytes", "latency_ms")
Row = dict[str, Any]


def check_row(row: Row, context: Context) -> Row:
    """Returns the row, its probabilities within 0 and 1. ValueError names the column of the first impossible value."""
    row = dict(row)
    if row.get("confidence") is not None:
        row["confidence"] = _check_probability("confidence", row["confidence"], context)
    if row.get("top_probabilities") is not None:
        row["top_probabilities"] = [_check_probability("top_probabilities", p, context) for p in row["top_probabilities"]]
    p = row.get("selection_probability")
    if p is not None and not 0 < _check_probability("selection_probability", p, context) <= 1:
        raise ValueError(f"column 'selection_probability': expected more than 0 and at most 1, got {p}")
    _check_lists(row)
    for name in SIZES:
        if row.get(name) is not None and not row[name] >= 0:
            raise ValueError(f"column {name!r}: expected 0 or more, got {row[name]}")
    return row


def _check_probability(name: str, value: float, context: Context) -> float:
    if 0 <= value <= 1:
        return value
    nearest = 0.0 if value < 0 else 1.0
    if abs(value - nearest) <= ROUNDING:
        context.column = name
        context.changed("rounding", value, nearest)
        return nearest
    percent = " A percentage? Divide the column by 100." if 1 < value <= 100 else ""
    raise ValueError(f"column {name!r}: expected 0 to 1, got {value}.{percent}")


def _check_lists(row: Row) -> None:
    names, probabilities = row.get("top_labels"), row.get("top_probabilities")
    if names:
        _check_names(names, row["predicted_label"])
    if probabilities is None:
        return
    if names is not None and len(names) != len(probabilities):
        raise ValueError(f"column 'top_probabilities': expected as many as top_labels, {len(names)}, got {len(probabilities)}")
    for before, after in zip(probabilities, probabilities[1:], strict=False):
        if after > before + ROUNDING:
            raise ValueError(f"column 'top_probabilities': expected the best first, got {after} after {before}")
    confidence = row.get("confidence")
    if probabilities and confidence is not None and abs(confidence - probabilities[0]) > ROUNDING:
        raise ValueError(f"column 'confidence': expected the first of top_probabilities, {probabilities[0]}, got {confidence}")


def _check_names(names: Sequence[str], predicted: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise ValueError(f"column 'top_labels': expected each class once, got {twice!r} twice")
    if names[0] != predicted:
        raise ValueError(f"column 'top_labels': expected the predicted label {predicted!r} first, got {names[0]!r}")
