"""The question of an evaluation is the one that was asked, whoever restores it from the document."""

from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image

from contract import clock, ids, layout
from contract.counts import WEIGHT_SCALE
from contract.records import LABEL, PREDICTION
from contract.settings import ReportSettings
from contract.storage import open_root
from jobs import count_window
from jobs.engines.question import Question, Slice, restore_question
from jobs.evaluation_request import Request
from jobs.reports.examples import find_examples
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows

NOON = clock.parse_moment(f"{DAY}T12:00:00Z")
SHA = "ab" * 32


@pytest.fixture
def root(tmp_path):
    """Version 1 is live; both it and version 2 replayed one picture, whose label is b: version 2 took it for a."""
    storage = open_root(make_root(str(tmp_path / "root"), right=3, n=4), create=True)
    name, sink = ids.uuid7(NOON, entropy=b"replayed 1"), BytesIO()
    Image.new("RGB", (30, 10)).save(sink, "PNG")
    storage.put(layout.image(SHA, "png"), sink.getvalue())
    row = {"prediction_id": name, "predicted_at": NOON, "model": MODEL, "confidence": 0.8, "role": "replay", "image_sha256": SHA,
           "image_uri": layout.image(SHA, "png")}
    for version, said in (("1", "b"), ("2", "a")):
        put_rows(storage, PREDICTION, layout.PREDICTIONS, [row | {"model_version": version, "predicted_label": said}], DAY,
                 f"replay{version}")
    label = {"label_id": ids.uuid7(NOON, entropy=b"label 0001"), "prediction_id": name, "label": "b", "labeler": "ana",
             "labeled_at": NOON + timedelta(hours=1), "origin": "audit"}
    put_rows(storage, LABEL, layout.LABELS, [label], DAY, "replayed")
    return storage


def evaluate(storage, question):
    return count_window.make(storage, Request(question, first=DAY, last=DAY))[0]


@pytest.mark.parametrize("more", [
    {}, {"labeler_weights": {"ana": WEIGHT_SCALE // 3}, "fit": "f", "roles": {"production": "live"}},
    {"role": "replay", "version": "2"}, {"slices": (Slice("client", "client"),)}])
def test_the_question_of_an_evaluation_is_restored_from_its_document(root, more):
    asked = Question(MODEL, clock.now_us() // 1_000_000 * 1_000_000, **more)
    assert restore_question(evaluate(root, asked), slices=asked.slices) == asked


def test_a_report_shows_the_mistakes_of_the_one_version_that_was_counted(root):
    evaluation = evaluate(root, Question(MODEL, clock.now_us(), role="replay", version="2"))
    [cell] = find_examples(root, evaluation, "2", ReportSettings())
    assert (cell["label"], cell["predicted"], [image["sha256"] for image in cell["images"]]) == ("b", "a", [SHA])
