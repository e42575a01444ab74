"""The section `anchoring`: which repeats it takes, feedback beside an audit by its items, and what people read."""

from datetime import timedelta

import pytest

from contract import clock, ids, layout
from contract.documents.repeat import BlindRepeat
from contract.records import LABEL, PREDICTION
from contract.sequence import NumberedDocuments
from contract.settings import EvaluateSettings, Settings
from contract.storage import open_root
from jobs.count_window import evaluate
from jobs.evaluate_text import write_text
from jobs.evaluation_request import request_of
from jobs.evidence.anchoring import describe_repeats
from jobs.reports import page
from tests.pipeline.roots import MODEL, put_rows

DAY = clock.day_of(clock.now() - timedelta(days=2))
NOON = clock.parse_moment(f"{DAY}T12:00:00Z")
EARLIER, OF_EARLIER = clock.day_of(NOON - timedelta(days=9)), ids.uuid7(NOON - timedelta(days=9))
FOUND = [ids.uuid7(NOON + timedelta(seconds=n), entropy=f"{n:010}".encode()) for n in range(8)]


def repeat(n, seen="a", blind="b", hours=2.0, day=DAY, role="live", **more):
    at = clock.iso(NOON + timedelta(hours=hours))
    return BlindRepeat(**{"model": MODEL, "role": role, "day": day, "prediction_id": FOUND[n % 8], "predicted": "a",
                          "image_sha256": "0" * 64, "labeler": "ada", "share": 0.05, "at": at, "seen": seen, "seen_at": at,
                          "blind": blind, "blind_at": at if blind else None} | more)


def put(storage, document, person="p"):
    NumberedDocuments(storage, layout.repeat(MODEL, person, document.prediction_id)).add(document.to_dict())


def ask(storage, root, as_of=None):
    settings = Settings(root=root, model=MODEL, evaluate=EvaluateSettings(evidence=["anchoring"], days=2))
    document = evaluate(storage, request_of(settings, as_of, (), "live", None, ()))[0]
    return document, document["evidence"]["anchoring"]


@pytest.fixture
def storage(tmp_root):
    """Eight predictions of "a"; an audit of the first six calls two wrong; feedback on four of these, and on the last."""
    made = open_root(tmp_root, create=True)
    put_rows(made, PREDICTION, "predictions", [
        {"prediction_id": i, "predicted_at": NOON, "model": MODEL, "model_version": "1", "predicted_label": "a",
         "confidence": 0.9} for i in FOUND], DAY)
    audit = [{"prediction_id": i, "label": "a" if n < 4 else "b", "labeler": "ada", "origin": "audit", "saw_prediction": False,
              "selection_probability": 0.5} for n, i in enumerate(FOUND[:6])]
    feedback = [(0, "x", "a", 1), (1, "x", "≠", 1), (4, "x", "b", 1), (5, "x", "a", 1), (7, "x", "b", 1),
                (0, "y", "b", 2), (0, "z", "a", 3),  # two of three call it right
                (4, "y", "a", 2)]  # a tie, of which the newest calls it right
    told = [{"prediction_id": FOUND[n], "label": label, "labeler": who, "origin": "feedback", "saw_prediction": True,
             "labeled_at": NOON + timedelta(minutes=minute)} for n, who, label, minute in feedback]
    rows = [{"label_id": f"{n}", "labeled_at": NOON} | row for n, row in enumerate([*audit, *told])]
    put_rows(made, LABEL, "labels", rows, DAY)
    return made


def test_pairs_are_those_of_the_window_the_role_and_the_moment(storage, tmp_root):
    for document in (repeat(0), repeat(1, blind="a"), repeat(2, hours=4), repeat(3, blind=None), repeat(4, seen=None),
                     repeat(5, day=EARLIER, prediction_id=OF_EARLIER), repeat(6, role="batch")):
        put(storage, document)
    document, found = ask(storage, tmp_root)
    assert {k: found[k] for k in ("pairs", "both", "only_seen", "only_blind", "neither", "waiting", "untold", "labelers")} == {
        "pairs": 3, "both": 1, "only_seen": 2, "only_blind": 0, "neither": 0, "waiting": 1, "untold": 0, "labelers": 1}
    early = ask(storage, tmp_root, clock.iso(NOON + timedelta(hours=3)))[1]
    assert (early["pairs"], early["only_seen"]) == (2, 1)
    assert found["sentence"] in write_text(document, "there")


def test_the_newest_state_of_a_repeat_holds(storage, tmp_root):
    put(storage, repeat(0, blind=None, hours=1))
    put(storage, repeat(0, blind="b", hours=2))
    put(storage, repeat(0, blind="a", hours=3))
    assert [ask(storage, tmp_root, clock.iso(NOON + timedelta(hours=h)))[1]["only_seen"] for h in (1, 2, 3)] == [0, 1, 0]


def test_feedback_is_held_against_the_audit_of_the_same_predictions(storage, tmp_root):
    document, found = ask(storage, tmp_root)
    told = found["feedback"]
    counts = ("audited", "audited_right", "both_right", "audit_right_feedback_wrong", "audit_wrong_feedback_right", "both_wrong")
    assert [told[name] for name in counts] == [6, 4, 1, 1, 2, 0]
    shares = ("wrong_of_right", "right_of_wrong", "given_of_right", "given_of_wrong", "judges")
    assert [told[name]["value"] for name in shares] == [1 / 2, 1.0, 2 / 4, 1.0, 1 / 4]
    assert told["bias"]["value"] is None and told["sentence"] in found["sentence"]


def test_what_it_takes_is_said_before_there_is_a_single_pair(storage, tmp_root):
    document, found = ask(storage, tmp_root)
    assert "about 6,020 reviews (301 of them repeated): 6,020 more than there are" in found["sentence"]
    assert [(n["points"], n["reviews"]) for n in found["says_after"]][1] == (0.06, 6020)
    html = page.render(document, None)
    assert "What seeing the answer does to labels" in html and "6,020" in html and "Feedback against audit" in html


@pytest.mark.parametrize(("kinds", "says"), [
    ((80, 0, 0, 20), "No effect of seeing the model's answer was found: +0.0 points"),
    ((60, 25, 2, 13), "labels agree with it more often than blind: +23.0 points"),
    ((60, 2, 25, 13), "labels agree with it less often than blind: -23.0 points")])
def test_what_was_found_is_said(kinds, says):
    said = (("a", "a"), ("a", "b"), ("≠", "a"), ("c", "b"))
    made = [repeat(0, *both) for n, both in zip(kinds, said, strict=True) for _ in range(n)]
    found = describe_repeats(made)
    assert says in found["sentence"] and found["pairs"] == 100
    assert found["found"] == ("No effect" not in says)


@pytest.mark.parametrize(("answered", "waiting", "says"), [
    (100, 0, "more than there are."), (100, 400, "once the 400 that wait are answered."), (500, 9, "repeated): as there are.")])
def test_what_is_missing_is_said(answered, waiting, says):
    made = [*[repeat(0, "a", "a") for _ in range(answered)], *[repeat(0, blind=None) for _ in range(waiting)]]
    assert describe_repeats(made)["sentence"].endswith(says)


def test_the_report_shows_what_was_found(storage, tmp_root):
    for n in range(6):
        put(storage, repeat(n, blind="a" if n else "b"))
    html = page.render(ask(storage, tmp_root)[0], None)
    assert "with its answer in sight" in html and "6 items of 1 person" in html
