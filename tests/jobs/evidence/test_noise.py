"""The section `noise` of an evaluation: which votes it takes from a root, and what report and terminal show of it."""

from datetime import timedelta

import numpy as np
import pytest

from benchmarks.label_noise import _err
from contract import clock, ids
from contract.documents.evaluation import parse
from contract.documents.gold import GoldAnswer, add_gold
from contract.jsonio import dumps
from contract.records import LABEL, PREDICTION
from contract.settings import EvaluateSettings, Settings
from contract.storage import open_root
from jobs.count_window import evaluate
from jobs.evaluate_text import write_text
from jobs.evaluation_request import request_of
from jobs.reports.page import render
from tests.pipeline.roots import MODEL, put_rows

DAY = clock.day_of(clock.now() - timedelta(days=2))
NOON = clock.parse_moment(f"{DAY}T12:00:00Z")
CLASSES, N = 4, 600
NAMES = [ids.uuid7(NOON + timedelta(seconds=n), entropy=f"{n:010}".encode()) for n in range(N)]


@pytest.fixture(scope="module")
def made():
    """Truth, answers and two blind votes of each of 600 predictions, votes wrong in 10%."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, CLASSES, N)
    return truth, *(_err(truth, np.full(N, 0.1), CLASSES, rng) for _ in range(3))


def put(root, made, blind=True, origin="audit", extra=()):
    storage = open_root(root, create=True)
    truth, predicted, *votes = made
    put_rows(storage, PREDICTION, "predictions", [
        {"prediction_id": i, "predicted_at": NOON, "model": MODEL, "model_version": "1", "predicted_label": f"c{p}",
         "confidence": 0.5 + n % 7 / 20} for n, (i, p) in enumerate(zip(NAMES, predicted, strict=True))], DAY)
    put_rows(storage, LABEL, "labels", [
        {"label_id": f"{who} {i}", "prediction_id": i, "label": f"c{v}", "labeler": who, "labeled_at": NOON, "origin": origin,
         "saw_prediction": None if blind is None else not blind}
        for who, of in zip(("ada", "bob"), votes, strict=True) for i, v in zip(NAMES, of, strict=True)] + list(extra), DAY)
    return storage


def ask(storage):
    settings = Settings(root=storage.root, model=MODEL, evaluate=EvaluateSettings(evidence=["noise"]))
    return evaluate(storage, request_of(settings, None, (), "live", None, ()))


def test_two_blind_people_tell_what_lies_behind_their_votes(tmp_root, made):
    storage = put(tmp_root, made)
    document, key = ask(storage)
    found = document["evidence"]["noise"]["versions"]["1"]
    truth, predicted, ada, bob = made
    assert (found["votes"], found["items"], found["paired"], found["tripled"], found["classes"]) == (2 * N, N, N, 0, CLASSES)
    assert found["raw"]["value"] == pytest.approx(((ada == predicted).mean() + (bob == predicted).mean()) / 2)
    assert found["method"] == "pairs" and found["corrected"]["low"] <= (truth == predicted).mean() <= found["corrected"]["high"]
    assert found["raw"]["high"] < (truth == predicted).mean()
    assert found["error_rate"]["value"] == pytest.approx(1 - found["ceiling"]["value"])
    assert "behind the votes' own mistakes" in write_text(document, "there")
    assert parse(dumps(document), "it")["evidence"]["noise"] == document["evidence"]["noise"]
    page = render(document, None)
    assert "Accuracy behind label noise" in page and "no gate judges by it" in page
    assert storage.read(f"{key}evaluation.json")


def test_three_blind_people_tell_a_rate_for_each_class(tmp_root, made):
    truth, rng = made[0], np.random.default_rng(9)
    third = _err(truth, np.full(N, 0.1), CLASSES, rng)
    extra = [{"label_id": f"cyd {i}", "prediction_id": i, "label": f"c{v}", "labeler": "cyd", "labeled_at": NOON,
              "origin": "audit", "saw_prediction": False} for i, v in zip(NAMES, third, strict=True)]
    document, _ = ask(put(tmp_root, made, extra=extra))
    found = document["evidence"]["noise"]["versions"]["1"]
    assert found["method"] == "triples" and found["tripled"] == N
    votes = np.concatenate(list(made[2:]) + [third])
    for row, code in zip(found["per_class"], range(CLASSES), strict=True):
        wrong = (votes != np.tile(truth, 3))[np.tile(truth, 3) == code].mean()
        assert row["label"] == f"c{code}" and abs(row["error_rate"]["value"] - wrong) < 0.04
    page = render(document, None)
    assert "names another" in page and "do the votes contradict independent mistakes?" in page


@pytest.mark.parametrize("blind", [None, False])
def test_votes_that_are_not_known_to_be_blind_tell_nothing(tmp_root, made, blind):
    storage = put(tmp_root, made, blind=blind, origin="import")
    found = ask(storage)[0]["evidence"]["noise"]["versions"]["1"]
    assert found["votes"] == 0 and found["corrected"]["value"] is None and "no blind votes" in found["sentence"]


def test_blind_votes_of_another_origin_are_not_added(tmp_root, made):
    """Reviews were chosen, so they do not speak for the predictions that an audit speaks for."""
    _, predicted, *_ = made
    extra = [{"label_id": f"cyd {i}", "prediction_id": i, "label": f"c{p}", "labeler": "cyd", "labeled_at": NOON,
              "origin": "review", "saw_prediction": False} for i, p in zip(NAMES[:50], predicted, strict=False)]
    storage = put(tmp_root, made, extra=extra)
    assert ask(storage)[0]["evidence"]["noise"]["versions"]["1"]["votes"] == 2 * N


def test_gold_items_are_measured_by_blind_votes_of_all_days(tmp_root, made):
    storage = put(tmp_root, made)
    truth, predicted, ada, bob = made
    for n in range(40):
        add_gold(storage, GoldAnswer(model=MODEL, prediction_id=NAMES[n], label=f"c{truth[n]}", predicted=f"c{predicted[n]}",
                                     bin=10, image_sha256="0" * 64, at=clock.iso(clock.now()), by="eve"))
    gold = ask(storage)[0]["evidence"]["noise"]["versions"]["1"]["gold"]
    right = truth[:40] == predicted[:40]
    assert gold["right"] == 2 * right.sum() and gold["wrong"] == 2 * (~right).sum()
    assert gold["right_known"] == sum((v[:40] == truth[:40])[right].sum() for v in (ada, bob))
    assert gold["wrong_hits"] == sum((v[:40] == predicted[:40])[~right].sum() for v in (ada, bob))


def test_a_version_without_labels_has_no_noise(tmp_root):
    storage = open_root(tmp_root, create=True)
    put_rows(storage, PREDICTION, "predictions", [{"prediction_id": ids.uuid7(NOON), "predicted_at": NOON, "model": MODEL,
                                                   "model_version": "1", "predicted_label": "c0", "confidence": 0.9}], DAY)
    found = ask(storage)[0]["evidence"]["noise"]["versions"]["1"]
    assert found["origin"] is None and "no blind votes" in found["corrected"]["reason"]
