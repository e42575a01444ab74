"""Held-out rows give the figures of scikit-learn, and those of an evaluation of the same rows."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_recall_fscore_support

from contract import clock, ids, jsonio
from contract.records import LABEL, PREDICTION
from jobs.evaluate import main as evaluate
from metrics.held_out import FIGURES, HeldOutRows, cells, figures

DAY = "2026-11-20"
CLASSES = ["ant", "bee", "cow", "dog", "never"]
SEEN = CLASSES[:4]


def rows_of(seed, n=400):
    """Answers that are right about 70% of the time, with confidences on and beside the edges of bins, and some NaN."""
    rng = np.random.default_rng(seed)
    label = rng.choice([*SEEN, "new"], n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    predicted = np.where(rng.random(n) < 0.7, np.where(label == "new", "ant", label), rng.choice(SEEN, n))
    confidence = rng.random(n)
    confidence[:20] = np.arange(1, 21) / 20
    confidence[20:40] = np.nextafter(confidence[:20], 0)
    confidence[40:43] = np.nan
    p = np.where(rng.random(n) < 0.5, np.nan, rng.choice([0.1, 0.25, 1.0], n))
    return HeldOutRows(predicted.tolist(), confidence, label.tolist(), rng.choice(["audit", "import"], n).tolist(), p)


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_are_scikit_learns(seed):
    rows = rows_of(seed)
    found = figures(rows, "1", CLASSES)
    names = sorted({*rows.label, *rows.predicted})
    theirs = precision_recall_fscore_support(rows.label, rows.predicted, labels=SEEN, zero_division=0)
    ours = {row["label"]: row for row in found["per_class"]}
    for name, *expected in zip(SEEN, *theirs, strict=True):
        mine = [ours[name][score]["value"] for score in ("precision", "recall", "f1")] + [ours[name]["support"]]
        assert mine == pytest.approx(expected)
    for kind in ("macro", "weighted"):
        *expected, _ = precision_recall_fscore_support(rows.label, rows.predicted, labels=names, average=kind, zero_division=0)
        assert [found[kind][score]["value"] for score in ("precision", "recall", "f1")] == pytest.approx(expected)
    assert found["accuracy"]["value"] == pytest.approx(accuracy_score(rows.label, rows.predicted))
    assert found["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(rows.label, rows.predicted))
    assert ours["never"]["recall"] == {"value": None, "low": None, "high": None, "reason": "no label names this class"}
    assert found["new_labels"] == [{"label": "new", "count": rows.label.count("new")}]


@pytest.mark.parametrize("seed", range(2))
def test_an_evaluation_of_the_same_rows_says_the_same(tmp_root, capsys, seed):
    rows = rows_of(seed)
    write_log(tmp_root, rows)
    assert evaluate(["--root", tmp_root, "--model", "m", "--json"]) == 0
    document = jsonio.loads(capsys.readouterr().out)
    evaluated = document["versions"]["1"]
    assessed = jsonio.loads(jsonio.dumps(figures(rows, "1", None)))
    assert {name: evaluated[name] for name in FIGURES} == assessed


def test_weights_and_bins_of_single_rows():
    rows = HeldOutRows(["a"] * 4, np.array([0.45, np.nextafter(0.45, 0), np.nan, 1.5]), ["a"] * 4, ["audit"] * 4,
                       np.array([0.3, np.nan, 2.0, 2.0**-21]))
    found = cells(rows, "1").to_pylist()
    assert sorted((row["confidence_bin"], row["n"]) for row in found if row["confidence_bin"]) == [(8, 1), (9, 1)]
    assert sum(row["n"] for row in found if row["confidence_bin"] is None) == 2
    assert [(int(row["n_weighted"]), int(row["sum_weight"])) for row in found if row["n_weighted"]] == [
        (1, int(2**16 / 0.3))]


def write_log(root, rows):
    """The same rows as the service and people would have logged them."""
    predictions, labels = [], []
    columns = (rows.predicted, rows.confidence, rows.label, rows.origin, rows.p)
    for i, (predicted, confidence, label, origin, p) in enumerate(zip(*columns, strict=True)):
        at = clock.parse_moment(f"{DAY}T12:00:00Z") + timedelta(seconds=i)
        name = ids.uuid7(at, entropy=f"{i:010d}".encode())
        predictions.append({"prediction_id": name, "predicted_at": at, "model": "m", "model_version": "1",
                            "predicted_label": predicted, "confidence": float(confidence)})
        labels.append({"label_id": ids.uuid7(at, entropy=f"l{i:09d}".encode()), "prediction_id": name, "label": label,
                       "labeler": "ann", "labeled_at": at + timedelta(hours=1), "origin": origin, "saw_prediction": False,
                       "selection_probability": None if np.isnan(p) else float(p)})
    for record, name, made in ((PREDICTION, "predictions", predictions), (LABEL, "labels", labels)):
        folder = Path(root, name, f"dt={DAY}")
        folder.mkdir(parents=True)
        full = [dict.fromkeys(record.arrow().names) | row for row in made]
        pq.write_table(pa.Table.from_pylist(full, record.arrow()), folder / "w-0-1.parquet")
