"""What is said of an answer where thresholds are in force: accept, or review (docs/design.md#accept-or-review)."""

from typing import Any

from contract.accepting.thresholds import Thresholds


def decide(thresholds: Thresholds | None, answer: dict[str, Any], prediction_row: dict[str, Any]) -> None:
    """Adds `decision` to an answer and to the row that is logged of it; without thresholds nothing.

    The row says by which version, and of which label and confidence.
    """
    if thresholds is None:
        return
    decision = thresholds.decide(prediction_row["model_version"], prediction_row["predicted_label"], prediction_row["confidence"])
    answer["decision"] = decision
    prediction_row["decision"] = decision
