"""The row that is logged of an answer: one function for the service and for batch scoring (contract.records.PREDICTION)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contract import layout

if TYPE_CHECKING:
    from inference.model.predictor import Predictor
    from inference.model.preprocess import ImageInfo

LOGGED_CLASSES = 5


def count_logged_classes(predictor: Predictor, log_all_classes: bool, asked: int = 0) -> int:
    """Returns how many classes a row holds: `asked`, but at least 5; all of the card's with `log_all_classes`."""
    return len(predictor.card.classes) if log_all_classes else max(LOGGED_CLASSES, asked)


def make_prediction_row(predictor: Predictor, top: list[tuple[str, float]], info: ImageInfo, size: int, sha256: str,
                        extension: str | None, *, prediction_id: str, at: int, role: str) -> dict[str, Any]:
    """Makes the row of what one version answered about one picture: `top`, (label, probability), best first.

    `info`, `size`: width, height and bytes of the picture as it came; `sha256`: of its stripped bytes; `extension`:
    of the stored picture, None when it is not stored; `at`: microseconds since 1970 UTC, of the id's own day; `role`:
    live or batch.
    """
    card = predictor.card
    return {"prediction_id": prediction_id, "predicted_at": at, "model": card.model, "model_version": card.version,
            "predicted_label": top[0][0], "confidence": top[0][1], "role": role,
            "top_labels": [label for label, _ in top], "top_probabilities": [p for _, p in top],
            "image_sha256": sha256, "image_uri": layout.image(sha256, extension) if extension else None,
            "width": info.width, "height": info.height, "bytes": size, "weights_sha256": card.weights_sha256,
            "preprocess_hash": predictor.preprocess_hash}
