"""Datasets as Spark makes them, with suspects kept, dropped and sent to people."""

import json

import pytest

from command.load_settings import load
from contract import clock, layout
from contract.documents.manifest import read_index
from contract.review import listed
from contract.review.suspects import Suspect, Suspects
from contract.sequence import NumberedDocuments
from contract.storage import open_root
from jobs import dataset as dataset_job
from jobs.datasets.doubted import REASON
from tests.training.loop_root import LoopRoot, digits, png

AS_OF = clock.parse_moment("2026-11-25T00:00:00Z")
FOUND = "2026-11-24T08:00:00.000000Z"


def make(root, suspects, at=AS_OF):
    settings = load(root=root, model="digits", overrides=["dataset.files=2", f"dataset.suspects={suspects}"])
    return dataset_job.make(open_root(root), settings, None, None, at)


@pytest.fixture
def kept(tmp_root, spark, monkeypatch):
    """A dataset of 90 digits of three classes, made before anything was suspected."""
    monkeypatch.setattr(clock, "now", lambda: AS_OF)
    pixels, labels = digits()
    LoopRoot(tmp_root).day("2026-11-20", [png(p) for p in pixels[:90]], [str(int(label) % 3) for label in labels[:90]])
    return make(tmp_root, "keep")


@pytest.mark.slow("spark")
def test_drop_review_and_keep(kept, tmp_root):
    storage = open_root(tmp_root)
    rows = read_index(storage, kept).to_pylist()
    doubted = [next(row for row in rows if row["split"] == split) for split in ("train", "validation", "holdout")]
    assert make(tmp_root, "drop") == kept, "nothing was suspected yet: the same dataset"
    suspects = [Suspect(image_sha256=row["image_sha256"], image_uri=row["image_uri"], prediction_id=row["prediction_id"],
                        day=row["day"], split=row["split"], given=row["label"], likely="x", score=0.1, judge="version 1",
                        dataset=kept.dataset, since=FOUND) for row in doubted]
    document = Suspects(model="digits", dataset=kept.dataset, created_at=FOUND, near_bits=2, folds=5, rows=90, judged=90,
                        not_judged={}, judges=[], suspects=suspects)
    NumberedDocuments(storage, layout.suspects("digits")).add(document.to_dict())
    assert make(tmp_root, "keep") == kept
    made = make(tmp_root, "drop")
    gone = {row["image_sha256"] for row in rows} - {row["image_sha256"] for row in read_index(storage, made).to_pylist()}
    assert gone == {row["image_sha256"] for row in doubted[:2]} and made.dataset != kept.dataset
    assert made.left_out == {REASON: 2} and made.rows["holdout"] == kept.rows["holdout"]
    reasons = {entry["image_sha256"]: entry["detail"] for entry in json.loads(storage.read(made.listed.key))}
    assert reasons == {row["image_sha256"]: f"{row['label']}: version 1 says 'x'" for row in doubted[:2]}
    assert make(tmp_root, "drop") == made
    assert make(tmp_root, "drop", clock.parse_moment("2026-11-23T00:00:00Z")).dataset == kept.dataset
    assert listed.read(storage, "digits", "2026-11-20", blind=True) == {}
    assert make(tmp_root, "review") == kept
    assert set(listed.read(storage, "digits", "2026-11-20", blind=True)) == {row["prediction_id"] for row in doubted}
