"""A root whose live version answered stored pictures on two days, with labels of several origins: for `trueup replay`."""

import hashlib
from datetime import timedelta

import pytest

from command.load_settings import load
from contract import clock, ids, layout
from contract.records import LABEL, PREDICTION
from contract.registry import Registry
from contract.storage import open_root
from inference.model.predictor import Predictor
from jobs.evaluation_request import request_of
from jobs.replaying import command, part
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.pipeline.roots import put_rows

DAYS = ("2026-11-10", "2026-11-11")
CLASSES = ("a", "b", "c")
AS_OF = "2026-11-20T00:00:00Z"


def predictor(root, version):
    """The version, loaded in this process."""
    return Predictor(*Registry(open_root(root), "m").load(version))


def answer(model, data):
    """(label, confidence) of one picture."""
    return model.top(model.probabilities(model.stack([model.prepare(data)]))[0], 1)[0]


def make(root, per_day=20, versions=3):
    """`versions` published ones, the first live; it answered `per_day` pictures on each of DAYS; returns the live rows.

    Of each ten pictures of a day one was not stored and one is gone. Labels: two of three have one, of audit, review or
    feedback; number 7 of a day is called wrong without a class.
    """
    storage = open_root(root, create=True)
    for seed in range(1, versions + 1):
        publish_tiny(storage, classes=CLASSES, seed=seed)
    registry, made = Registry(storage, "m"), []
    registry.promote("1", by="test", reason="test", expected_live=registry.live())
    live = predictor(root, "1")
    for k, day in enumerate(DAYS):
        rows = [_make_row(storage, live, day, k * per_day + i, i) for i in range(per_day)]
        put_rows(storage, PREDICTION, "predictions", rows, day, "w1")
        put_rows(storage, LABEL, "labels", [label for i, row in enumerate(rows) for label in _make_labels(row, i)], day, "w1")
        made += rows
    return made


def request(root):
    """What the command makes of its options, all days as they were known at AS_OF."""
    return request_of(load(root=root, model="m"), AS_OF, (), "live", None, ())


def compute_here(storage, job, waiting, _):
    """The parts in this process, in order."""
    model = part.open_predictor(storage, job)
    return [part.replay_part(storage, job, model, one) | {"worker": 1, "loaded": 0} for one in waiting]


def replay_here(root, version="2"):
    """`trueup replay` with the parts in this process instead of Spark's tasks: (id, what --json prints)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "compute", compute_here)
        return command.replay(open_root(root), load(root=root, model="m"), request(root), version, batch=8)


def _make_row(storage, live, day, seed, i):
    at = clock.parse_moment(f"{day}T10:00:00Z") + timedelta(seconds=i)
    data = picture(seed=seed)
    sha256 = hashlib.sha256(data).hexdigest()
    label, confidence = answer(live, data)
    if i % 10 not in (3, 4):
        storage.put(layout.image(sha256, "jpg"), data)
    return {"prediction_id": ids.uuid7(at, entropy=f"p{seed:09d}".encode()), "predicted_at": at, "recorded_at": at,
            "model": "m", "model_version": "1", "predicted_label": label, "confidence": confidence, "role": "live",
            "image_sha256": sha256, "image_uri": None if i % 10 == 3 else layout.image(sha256, "jpg"), "width": 64, "height": 48,
            "bytes": len(data), "client": "k1", "attributes": [("camera", f"c{i % 2}")]}


def _make_labels(row, i):
    if i % 3 == 2:
        return []
    origin = ("audit", "review", "feedback")[i % 3 if i % 4 else 2]
    at = row["predicted_at"] + timedelta(hours=2)
    return [{"label_id": ids.uuid7(at, entropy=f"l{i:09d}".encode()), "prediction_id": row["prediction_id"],
             "label": "≠" if i == 7 else CLASSES[i % 3 if i % 2 else 1], "labeler": "ana", "labeled_at": at, "origin": origin,
             "saw_prediction": False, "shown_label": row["predicted_label"] if i == 7 else None,
             "selection_probability": 0.5 if origin == "audit" and i % 2 else None}]
