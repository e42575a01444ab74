"""A root with two days of predictions and what people said of some of them, joined."""

import hashlib
from datetime import timedelta

from contract import clock, ids, layout
from contract.records import LABEL, PREDICTION
from tests.inference.pictures.joined import join
from tests.inference.small_service import CLASSES, MODEL, picture
from tests.pipeline.roots import put_rows

DAYS = ("2026-11-19", "2026-11-20")
NOW = clock.parse_moment("2026-11-21T13:00:00Z")
EACH = 40


def make(storage, joined=True):
    """40 predictions a day, of version 1 and 2, by two cameras; of the first day the first 16 are labelled, of the second 8.

    Prediction i says CLASSES[i % 4] with confidence i / 100; of the labelled ones every fourth is wrong. Returns ids by day.
    """
    made = {}
    for d, day in enumerate(DAYS):
        noon = clock.parse_moment(f"{day}T12:00:00Z")
        rows = [_predict(storage, noon + timedelta(seconds=i), d, i) for i in range(EACH)]
        put_rows(storage, PREDICTION, layout.PREDICTIONS, rows, day)
        labels = [_label(row, i) for i, row in enumerate(rows[:16 if d == 0 else 8])]
        put_rows(storage, LABEL, layout.LABELS, labels, day)
        made[day] = [row["prediction_id"] for row in rows]
    if joined:
        join(storage, MODEL, DAYS)
    return made


def _predict(storage, at, day, i):
    data = picture(100 * day + i)
    sha256 = hashlib.sha256(data).hexdigest()
    storage.put(layout.image(sha256, "png"), data)
    top = [CLASSES[(i + n) % 4] for n in range(4)]
    return {"prediction_id": ids.uuid7(at, entropy=f"p{day}{i:08d}".encode()), "predicted_at": at, "recorded_at": at,
            "model": MODEL, "model_version": str(1 + i % 2), "predicted_label": top[0], "confidence": i / 100, "role": "live",
            "top_labels": top, "top_probabilities": [0.5, 0.2, 0.2, 0.1], "image_sha256": sha256,
            "image_uri": layout.image(sha256, "png"), "client": "camera", "width": 32, "height": 32, "bytes": len(data),
            "attributes": [("camera", f"door-{i % 2}")]}


def _label(row, i):
    at = row["predicted_at"] + timedelta(hours=1)
    wrong = i % 4 == 3
    return {"label_id": ids.uuid7(at, entropy=f"l{i:09d}".encode()), "prediction_id": row["prediction_id"],
            "label": CLASSES[(i + 1) % 4] if wrong else row["predicted_label"], "labeler": "ana" if i % 2 else "ben",
            "labeled_at": at, "origin": "import" if i % 2 else "feedback", "saw_prediction": False}
