"""The rules in plain Python: each by an example whose answer is worked out by hand from docs/design.md#the-rules-of-counting."""

import math

import pytest

from jobs.engines import rules
from jobs.engines.question import Question

QUESTION = Question("m", as_of=1_000)
KEPT = {"prediction_id": "a", "predicted_at": 10, "model": "m", "model_version": "1", "predicted_label": "cat",
        "confidence": 0.5}


def vote(label, at, labeler="ann", **more):
    return {"label_id": None, "prediction_id": "a", "label": label, "labeler": labeler, "labeled_at": at} | more


def judged(labels, predictions=(KEPT,), question=QUESTION):
    found = {}
    for table, key, values in rules.count_prediction_id(list(predictions), [("ok", row) for row in labels], question):
        found.setdefault(table, []).append((key, values))
    return found


def rows(found):
    """Rows by their fate; the times of these examples are small numbers, so that all of them are before the year 2000."""
    return {key[0]: values[0] for key, values in found["rows"] if key[0] != "impossible_labels"}


@pytest.mark.parametrize("confidence, bin_", [(0.0, 0), (-0.0, 0), (math.nextafter(0.15, 0), 2), (0.15, 3), (1.0, 19),
                                              (math.nan, None), (None, None), (1.5, None), (-0.1, None)])
def test_confidence_bin_compares_with_the_doubles(confidence, bin_):
    assert rules.confidence_bin(confidence) == bin_


def test_orders_put_nulls_first_and_nan_last():
    assert sorted([math.nan, 2.0, None, -1.0], key=rules.sort_key)[:3] == [None, -1.0, 2.0]
    assert sorted(["\U0001f436", "\ufb01", "Z", None], key=rules.sort_key) == [None, "Z", "\ufb01", "\U0001f436"]


@pytest.mark.parametrize("origin, saw, class_", [(None, None, "import"), ("crowd", None, "feedback"), ("", None, "feedback"),
                                                 ("audit", False, "audit"), ("audit", None, "review"),
                                                 ("audit", True, "review"), ("Audit", False, "feedback")])
def test_origin_class(origin, saw, class_):
    assert rules.origin_class({"origin": origin, "saw_prediction": saw}) == class_


def test_a_tie_goes_to_the_label_whose_newest_vote_is_newest_then_to_the_bytes():
    assert rules.choose_label([vote("b", 1), vote("a", 2, "bob")], ["b", "a"], QUESTION) == "a"
    assert rules.choose_label([vote("b", 2), vote("a", 2, "bob")], ["b", "a"], QUESTION) == "a"
    weighted = Question("m", 1_000, labeler_weights={"ann": 2**17})
    assert rules.choose_label([vote("b", 1), vote("a", 2, "bob")], ["b", "a"], weighted) == "b"


def test_a_later_withdrawal_supersedes_and_is_no_vote():
    found = judged([vote("cat", 20), vote(None, 30, withdraws=True)])
    assert rows(found) == {"superseded": 1, "withdrawn": 1, "labels": 2}
    assert found["cells"][0][0][3] is None  # unlabelled


def test_only_the_highest_class_decides_the_others_stay_votes():
    found = judged([vote("dog", 20, origin="audit", saw_prediction=False), vote("cat", 21, "bob"), vote("cat", 22, "eve")])
    assert found["cells"][0][0][3:5] == ("dog", "audit")
    assert found["people"] == [
        (("ann",), (1, 1, 2, 0)), (("bob",), (1, 0, 2, 1)), (("eve",), (1, 0, 2, 1))]


def test_without_a_label_id_only_equal_rows_are_one():
    found = judged([vote("cat", 20), vote("cat", 20), vote("cat", 20, strategy="x")])
    assert rows(found) == {"duplicate": 1, "superseded": 1, "vote": 1, "labels": 3}


def test_labels_of_another_models_prediction_are_tested_first():
    other = KEPT | {"model": "other"}
    found = rules.count_prediction_id([other], [("invalid", vote(None, 1)), ("future", vote("x", 5_000))], QUESTION)
    assert list(found) == [("rows", ("other_model",), (2,))]


def test_coincidences_are_ordered_pairs_of_different_votes():
    found = judged([vote("cat", 1), vote("cat", 2, "bob"), vote("dog", 3, "eve")])
    assert dict(found["coincidences"]) == {("cat", "cat", 3): (2,), ("cat", "dog", 3): (2,), ("dog", "cat", 3): (2,)}


@pytest.mark.parametrize("p, weight", [(1.0, 65536), (0.1, 655360), (2.0**-20, 2**36), (2.0**-21, None), (1.5, None),
                                       (math.nan, None), (None, None), (0.0, None)])
def test_weight(p, weight):
    assert rules.weight_of(p) == weight


@pytest.mark.parametrize("tops, rank", [(["a", "cat"], 2), (["a", "b"], -2), ([], None), (None, None), ([None], -1)])
def test_rank(tops, rank):
    assert rules.rank_of("cat", tops) == rank


def test_a_verdict_holds_the_votes_the_deciding_ones_and_their_label():
    rows = [vote("dog", 20, origin="audit", saw_prediction=False), vote("cat", 21, "bob"), vote("cat", 22, "bob")]
    verdict = rules.resolve_labels(KEPT, [("ok", row) for row in rows], QUESTION)
    assert (verdict.votes, verdict.deciding) == ([rows[0], rows[2]], rows[:1])
    assert (verdict.label, verdict.origin, verdict.endings["superseded"]) == ("dog", "audit", 1)


def test_without_votes_nothing_is_decided():
    verdict = rules.resolve_labels(KEPT, [("future", vote("cat", 5_000))], QUESTION)
    assert (verdict.votes, verdict.label, verdict.origin, verdict.endings["future"]) == ([], None, None, 1)
    assert rules.resolve_labels(None, [("ok", vote("cat", 20))], QUESTION).endings["orphan"] == 1
