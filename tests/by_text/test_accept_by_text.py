"""What thresholds accept, how much of it is right, and the table by class, from the rows themselves (docs/accept.md)."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from contract.documents.history import ThresholdsOf
from contract.registry import Registry
from contract.storage import open_storage
from tests.by_text.log import MODEL, evaluate, read_items, run, write_log
from tests.by_text.random_log import CLASSES, DAYS, make_rows


def weigh(rows, weighted):
    return sum(math.floor(2**16 / row["selection_probability"]) if weighted else 1 for row in rows)


def accepts(row, thresholds):
    return row["predicted"] in thresholds and row["confidence"] >= thresholds[row["predicted"]]


def put_thresholds(root, at, version="1", first=DAYS[0], last=DAYS[0]):
    """A history with thresholds, of a model whose versions nobody published."""
    of = ThresholdsOf(version=version, evaluation="e", first=first, last=last)
    Registry(open_storage(str(root)), MODEL).change({"kind": "thresholds"}, {"thresholds": at, "thresholds_of": of}, None)


def check(told, said, labelled, thresholds, weighted):
    """`said`: all predictions, `labelled`: rows of the origin."""
    taken = [row for row in said if accepts(row, thresholds)]
    known = [row for row in labelled if accepts(row, thresholds) and not (weighted and row["selection_probability"] is None)]
    right = [row for row in known if row["label"] == row["predicted"]]
    assert (told["predictions"], told["accepted"], told["labelled"]) == (len(said), len(taken), len(known))
    assert told["share"] == (pytest.approx(len(taken) / len(said)) if said else None)
    if known:
        assert told["accuracy"]["value"] == pytest.approx(weigh(right, weighted) / weigh(known, weighted))
        assert told["accuracy"]["low"] <= told["accuracy"]["value"] <= told["accuracy"]["high"]
        assert told["accuracy"]["low"] < told["accuracy"]["high"]
    else:
        assert told["accuracy"]["value"] is None and told["accuracy"]["reason"] == "no labels"


def compare(capsys, root, seed, n):
    rng = np.random.default_rng(seed)
    predictions, labels = make_rows(seed, n, accuracy=0.75, uneven=seed % 2 == 0)
    for row in predictions[::7]:
        row["confidence"] = float(rng.integers(0, 21)) / 20  # the edges themselves
    write_log(root, predictions, labels)
    thresholds = {name: float(rng.integers(4, 20)) / 20 for name in CLASSES[:2]}
    put_thresholds(root, thresholds)
    found = evaluate(capsys, root, options=("--items",))
    section = found["evidence"]["automatic"]
    assert section["chosen_by"]["version"] == "1"
    for version, told in section["versions"].items():
        basis, held = found["versions"][version]["estimate"], thresholds if version == "1" else {}
        said = [row | {"predicted": row["predicted_label"]} for row in predictions if row["model_version"] == version]
        day_of = {row["prediction_id"]: row["day"] for row in said}
        items = [row for row in read_items(root) if (row["model_version"], row["origin"]) == (version, basis["origin"])]
        assert told["hold"] == bool(held)
        check(told["all"], said, items, held, basis["weighted"])
        assert {row["predicted"] for row in told["per_class"]} == ({row["predicted"] for row in said} if held else set())
        assert len(told["curve"]) == 20
        for row in told["per_class"]:
            mine = [r for r in said if r["predicted"] == row["predicted"]]
            assert row["threshold"] == held.get(row["predicted"])
            check(row, mine, [r for r in items if r["predicted"] == row["predicted"]], held, basis["weighted"])
        if held:
            check(told["afterwards"], [row for row in said if row["day"] == DAYS[1]],
                  [row for row in items if day_of[row["prediction_id"]] == DAYS[1]], held, basis["weighted"])
        for row in told["curve"]:
            check(row | {"predictions": len(said)}, said, items, dict.fromkeys(CLASSES, row["threshold"]), basis["weighted"])
    return section


def test_shares_and_accuracy_are_those_of_the_rows(capsys, tmp_root):
    section = compare(capsys, tmp_root, 2, 300)  # of weighted rows
    assert set(section["versions"]) == {"1", "2"} and "of another version" in section["versions"]["2"]["sentence"]


@pytest.mark.slow("seeds")
@pytest.mark.parametrize("seed", range(3, 20))
def test_more_logs(capsys, tmp_root, seed):
    compare(capsys, tmp_root, seed, 400)


@pytest.mark.parametrize(("options", "split_wrong"), [((), False), (("--split-wrong",), True)])
def test_the_table_by_class_is_that_of_the_rows(capsys, tmp_path, options, split_wrong):
    from jobs.report import main

    root = tmp_path / "root"
    predictions, labels = make_rows(5, 300)
    write_log(root, predictions, labels)
    evaluate(capsys, root, options=("--items",))
    items, edges = read_items(root), (0, 0.8, 0.85, 0.9, 0.95, 1)
    for name in ("table.csv", "table.json"):
        run(capsys, main, root, "--buckets", "80-85-90-95-100", *options, "--by-class", str(tmp_path / name))
    rows = list(csv.DictReader(Path(tmp_path, "table.csv").read_text().splitlines()))
    asked = json.loads(Path(tmp_path, "table.json").read_text())
    assert [row["predicted"] for row in asked["rows"]] == [row["predicted"] for row in rows]
    assert len(rows) == 2 * len(CLASSES) * 6 and any(item["split"] for item in items)
    for row in rows:
        whole = row["low"] == ""
        mine = [item for item in items if (item["model_version"], item["predicted"]) == (row["version"], row["predicted"])
                and (whole or float(row["low"]) <= item["confidence"] < float(row["high"]) or
                     item["confidence"] == float(row["high"]) == 1)]
        assert whole or (float(row["low"]), float(row["high"])) in zip(edges, edges[1:], strict=False)
        wrong = [i for i in mine if i["label"] != i["predicted"] or (split_wrong and i["split"])]
        assert (int(row["count"]), int(row["incorrect"]), int(row["split"])) == (
            len(mine), len(wrong), sum(i["split"] for i in mine))
        assert row["correct"] == "" if not mine else float(row["correct"]) == pytest.approx(1 - len(wrong) / len(mine))
