import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support

from tests.figures import cell, day, document, random_cells


def one(cells, **options):
    return document(day(cells), **options)["versions"]["1"]


def pairs(cells):
    return zip(*[(c["label"], c["predicted"]) for c in cells if c["label"] is not None for _ in range(c["n"])],
               strict=True)


@pytest.mark.parametrize("seed", range(4))
def test_classes_and_averages_equal_scikit_learn(seed):
    cells = random_cells(seed, classes=6, n=200)
    labels, predicted = pairs(cells)
    found = one(cells)
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, zero_division=0)
    assert len(found["per_class"]) == len(support) == 6
    for i, row in enumerate(found["per_class"]):
        assert row["support"] == support[i]
        assert [row[k]["value"] for k in ("precision", "recall", "f1")] == pytest.approx([precision[i], recall[i], f1[i]])
    for kind in ("macro", "weighted"):
        expected = precision_recall_fscore_support(labels, predicted, average=kind, zero_division=0)[:3]
        assert [found[kind][k]["value"] for k in ("precision", "recall", "f1")] == pytest.approx(expected)
    assert found["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found["accuracy"]["value"] == pytest.approx(np.mean(np.array(labels) == np.array(predicted)))


def test_a_class_never_seen_has_a_row_of_the_card_and_says_why_it_has_no_ratio():
    rows = one([cell("a", "a"), cell("b", "z")], classes={"1": ["c", "b", "a"]})["per_class"]
    assert [r["label"] for r in rows] == ["a", "b", "c"]
    assert rows[2]["precision"] == {"value": None, "low": None, "high": None,
                                    "reason": "no labelled prediction names this class"}
    assert rows[2]["recall"]["reason"] == "no label names this class"
    assert rows[1]["precision"]["value"] == 0.0


def test_without_a_card_every_label_and_unlabelled_prediction_has_a_row_by_its_bytes():
    found = one([cell("é"), cell("b", "Z"), cell("z", "a")])
    assert [r["label"] for r in found["per_class"]] == ["Z", "a", "b", "z", "é"]
    assert found["new_labels"] == []
    assert one([cell("a", "q", n=3)], classes={"1": ["a"]})["new_labels"] == [{"label": "q", "count": 3}]


def test_top_k_rests_on_the_rows_that_can_tell():
    ranks = {1: 5, 2: 3, 4: 1, -2: 7, -5: 2, None: 11}
    cells = [cell("a", "b", rank=rank, n=n) for rank, n in ranks.items()]
    found = {r["k"]: (r["right"], r["count"]) for r in one(cells, classes={"1": list("abcdefg")})["top_k"]}
    assert found == {1: (5, 18), 3: (8, 11), 5: (9, 11)}
    found = {r["k"]: (r["right"], r["count"]) for r in one(cells, classes={"1": ["a", "b"]})["top_k"]}
    assert found == {1: (5, 18), 3: (8, 18), 5: (9, 18)}


def test_confusion_is_ordered_and_says_what_it_leaves_out():
    cells = [cell(f"p{i:04d}", f"l{i % 7}", n=1 + i % 3) for i in range(10_050)]
    found = one(cells)
    order = [(-r["count"], r["label"], r["predicted"]) for r in found["confusion"]]
    assert order == sorted(order) and len(order) == 10_000
    assert found["confusion_omitted"] == 50
    assert found["most_confused"] == found["confusion"][:20]


def test_an_empty_window_says_so():
    found = document()
    assert (found["versions"], found["reason"]) == ({}, "no data")
    assert document(day([]))["reason"] == "no data"
    assert "reason" not in document(day([cell()]))


def test_unlabelled_predictions_only():
    found = one([cell("a", n=3, confidence=0.4)])
    assert (found["predictions"], found["labelled"]) == (3, 0)
    assert found["accuracy"] == {"value": None, "low": None, "high": None, "reason": "no labels"}
    assert found["estimate"]["origin"] is None and found["estimate"]["reason"] == "no labels"
    assert found["confusion"] == [] and found["calibration"]["reason"] == "no labelled row has a confidence"
