"""The row that is logged of an answer: one function for the service and for batch scoring (contract.records.PREDICTION)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from contract import layout

if TYPE_CHECKING:
    from inference.model.predictor import Predictor
    from inference.model.preprocess import ImageInfo

LOGGED_CLASSES = 5
# What a row says of the picture and of the request, whichever version computed it.
OF_THE_REQUEST = ("prediction_id", "predicted_at", "model", "image_sha256", "image_uri", "width", "height", "bytes", "client",
                  "request_id", "source_uri", "attributes", "redacted_by", "decoded_by")


def count_logged_classes(predictor: Predictor, log_all_classes: bool, asked: int = 0) -> int:
    """Returns how many classes a row holds: `asked`, but at least 5; all of the card's with `log_all_classes`."""
    return len(predictor.card.classes) if log_all_classes else max(LOGGED_CLASSES, asked)


def make_prediction_row(predictor: Predictor, top: list[tuple[str, float]], info: ImageInfo, size: int, sha256: str,
                        extension: str | None, *, prediction_id: str, at: int, role: str) -> dict[str, Any]:
    """Makes the row of what one version answered about one picture: `top`, (label, probability), best first.

    `info`, `size`: width, height and bytes of the picture as it came; `sha256`: of its stripped bytes; `extension`:
    of the stored picture, None when it is not stored; `at`: microseconds since 1970 UTC, of the id's own day; `role`:
    live, canary or batch.
    """
    card = predictor.card
    return {"prediction_id": prediction_id, "predicted_at": at, "model": card.model, "model_version": card.version,
            "predicted_label": top[0][0], "confidence": top[0][1], "role": role,
            "top_labels": [label for label, _ in top], "top_probabilities": [p for _, p in top],
            "image_sha256": sha256, "image_uri": layout.image(sha256, extension) if extension else None,
            "width": info.width, "height": info.height, "bytes": size, "weights_sha256": card.weights_sha256,
            "preprocess_hash": predictor.preprocess_hash}


def make_row_beside(answered: Mapping[str, Any], top: list[tuple[str, float]], *, version: str, weights_sha256: str,
                    preprocess_hash: str, role: str) -> dict[str, Any]:
    """Makes the row of what another version says of the picture of a row that was answered, in a role other than its own.

    `answered`: the row (make_prediction_row, with what the request brought); its id, moment, picture and request are kept, so
    both rows lie under one day and labels judge both. `top`: (label, probability), best first. There is no `latency_ms`:
    nobody waited.
    """
    kept = {name: answered.get(name) for name in OF_THE_REQUEST}
    return kept | {"model_version": version, "predicted_label": top[0][0], "confidence": top[0][1], "role": role,
                   "top_labels": [label for label, _ in top], "top_probabilities": [p for _, p in top],
                   "weights_sha256": weights_sha256, "preprocess_hash": preprocess_hash}
