"""A few counts worked out by hand from docs/design.md#the-rules-of-counting, so that the oracle itself is not taken on trust."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import oracle

DAY, START = "2026-11-20", 1_795_132_800_000_000
MINUTE = 60_000_000


def rows(root, table, *made):
    folder = root / table / f"dt={DAY}"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(list(made)), folder / "a.parquet")


def prediction(prediction_id="p", minute=0, **more):
    return {"prediction_id": prediction_id, "predicted_at": START + minute * MINUTE, "model": "m", "model_version": "1",
            "predicted_label": "cat", "confidence": 0.5} | more


def label(label_, labeler, minute, prediction_id="p", **more):
    return {"prediction_id": prediction_id, "label": label_, "labeler": labeler, "labeled_at": START + minute * MINUTE,
            "origin": "import", "saw_prediction": None, "withdraws": None, "selection_probability": None} | more


def counted(root, predictions, labels):
    rows(root, "predictions", *predictions)
    if labels:
        rows(root, "labels", *labels)
    found = oracle.count(root, DAY, "m", START + oracle.DAY_US)
    return found, {name: n for name, n in found["rows"].items() if n}


def test_a_tie_goes_to_the_newest_vote_and_an_audit_outranks_feedback(tmp_path):
    votes = [label("cat", "ann", 1), label("dog", "bob", 2), label("cat", "cyd", 3, origin="feedback")]
    found, counts = counted(tmp_path, [prediction()], votes)
    assert found["cells"] == {("1", "cat", 10, "dog", "import", None, None, True): (1, 2**29, 0, 0, 0)}
    assert counts == {"predictions": 1, "labels": 3, "vote": 3}
    assert found["people"] == {("ann",): (1, 0), ("bob",): (1, 1), ("cyd",): (1, 0)}
    assert found["coincidences"] == {("cat", "dog", 2): (1,), ("dog", "cat", 2): (1,)}
    assert found["delays"] == {(0, "import"): (2,), (0, "feedback"): (1,)}


def test_a_person_who_changes_and_withdraws(tmp_path):
    votes = [label("cat", "ann", 1), label("dog", "ann", 2), label(None, "ann", 3, withdraws=True),
             label("cat", "bob", 4, prediction_id="nobody"), label("cat", None, 10_000)]
    found, counts = counted(tmp_path, [prediction()], votes)
    assert counts == {"predictions": 1, "labels": 5, "superseded": 2, "withdrawn": 1, "orphan": 1, "future": 1}
    assert list(found["cells"]) == [("1", "cat", 10, None, None, None, None, None)]
    assert (found["known_through"], found["next_future"]) == (START + 4 * MINUTE, START + 10_000 * MINUTE)


def test_an_audit_that_saw_the_answer_is_a_review_and_the_earliest_vote_weighs(tmp_path):
    votes = [label("cat", "ann", 2, origin="audit", saw_prediction=True, selection_probability=0.5),
             label("cat", "bob", 1, origin="audit", saw_prediction=None, selection_probability=0.25)]
    found, _ = counted(tmp_path, [prediction(confidence=math.nextafter(0.15, 0))], votes)
    ((key, value),) = found["cells"].items()
    assert key == ("1", "cat", 2, "cat", "review", True, None, False)
    assert value[2:] == (1, 2**18, 2**36)


@pytest.mark.parametrize("confidence, place", [(1.0, 19), (0.0, 0), (0.15, 3), (math.nan, None), (1.01, None)])
def test_bins(confidence, place):
    assert oracle.confidence_bin(confidence) == place


def test_repeated_predictions_and_other_models(tmp_path):
    made = [prediction(minute=1), prediction(minute=0, model="other"), prediction("q"), prediction("q"),
            prediction("s", role="shadow"), prediction("", model="m")]
    made = [{"role": None} | row for row in made]
    found, counts = counted(tmp_path, made, [label("dog", "ann", 5), label("dog", "ann", 5, "s")])
    assert counts == {"predictions": 4, "invalid_predictions": 1, "duplicate_predictions": 2, "labels": 1,
                      "other_model": 1, "orphan": 1}
    assert sum(v[0] for v in found["cells"].values()) == 1
