"""Recounts against counting again files from which somebody's rows were taken."""

import math
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from contract.errors import Mismatch
from contract.evidence.recounts import CLIENT, LABELER, read_changes
from contract.records import LABEL
from contract.rows.items import make_schema
from contract.settings import EvaluateSettings, Settings
from contract.storage import open_storage
from jobs.count_window import evaluate
from jobs.engines.embedded.engine import count, list_items
from jobs.engines.question import ITEM_COLUMNS, Question
from jobs.evaluation_request import request_of
from jobs.evidence.left_out import DayVotes
from jobs.reports.page import render
from tests import generate
from tests.engines import counted
from tests.pipeline.roots import MODEL, make_root, put_rows, rows
from tests.test_engines_agree import WEIGHTS
from tests.test_items_agree import listed

DAY = "2026-11-20"
QUESTION = Question("m", generate.start_of(DAY) + 2 * generate.DAY_US, labeler_weights=WEIGHTS)
CELL = ("model_version", "predicted", "label", "origin")
VALUES = ("n", "n_weighted", "sum_weight", "sum_weight_squared")


def awkward_root(root: Path, seed: int) -> Path:
    """A day of awkward rows. No label_id: that of somebody's duplicate would come to life when the first is taken away."""
    log = generate.log(random.Random(seed), DAY, predictions=60, labels=250)
    for row in log.labels:
        row["label_id"] = None
    generate.write(log, root, random.Random(seed))
    return root


def take_away(root: Path, table: str, is_gone) -> None:
    for path in (root / table).rglob("*.parquet"):
        rows = pq.read_table(path)
        kept = pa.array([not is_gone(row) for row in rows.to_pylist()], pa.bool_())
        pq.write_table(rows.filter(kept), path)


def labelled(root: Path) -> Counter:
    """(cell, value) -> sum over the labelled cells."""
    table = counted(count, root, [DAY], QUESTION)[0].tables["cells"]
    found = Counter()
    for row in table.filter(pc.is_valid(table["label"])).to_pylist():
        for name in VALUES:
            found[(*(row[c] for c in CELL), name)] += int(row[name])
    return +found


def changed(before: Counter, votes: DayVotes, kind: str, name: str | None) -> Counter:
    """The sums that changes make of those before."""
    found = Counter(before)
    for version in votes.versions:
        for (predicted, label, origin, p), n in votes.find_changes(kind, name, version).items():
            if label is not None:
                weight = math.floor(2**16 / p) if p else 0
                for value, by in zip(VALUES, (1, int(p is not None), weight, weight**2), strict=True):
                    found[(version, predicted, label, origin, value)] += n * by
    assert min(found.values()) >= 0
    return +found


@pytest.mark.parametrize("seed", range(2))
def test_what_is_left_without_a_labeler_is_what_counting_without_their_rows_gives(tmp_path, seed):
    people = [None, "ann", "bob", "dan"]  # ann and bob have a weight
    whole = awkward_root(tmp_path / "whole", seed)
    before, votes = labelled(whole), DayVotes(listed(list_items, whole, [DAY], QUESTION)[0].table, QUESTION)
    assert sum(votes.count_labelers().values()) == len(votes.labeler)
    for name in people:
        without = awkward_root(tmp_path / f"without-{name!r}", seed)
        take_away(without, "labels", lambda row, name=name: row.get("labeler") == name)
        assert changed(before, votes, LABELER, name) == labelled(without), name


def test_what_is_left_without_a_client_is_what_its_predictions_leave(tmp_path):
    seed = 1  # of a log whose files have the column
    whole = awkward_root(tmp_path / "whole", seed)
    items = listed(list_items, whole, [DAY], QUESTION)[0].table
    before, votes = labelled(whole), DayVotes(items, QUESTION)
    for name in ("k1", "k2", "é"):
        sent = {row["prediction_id"].lower() for row in items.to_pylist() if row["client"] == name}
        assert sent
        without = awkward_root(tmp_path / f"without-{name}", seed)
        take_away(without, "predictions", lambda row, sent=sent: (row["prediction_id"] or "").lower() in sent)
        assert changed(before, votes, CLIENT, name) == labelled(without), name
    assert ITEM_COLUMNS[-1].expression == "client"


def votes_of(rows):
    """DayVotes of (client, [(labeler, label), ...]) with predicted label "a" throughout."""
    items = [{"prediction_id": str(n), "model_version": "1", "predicted": "a", "label": "a", "origin": "audit", "client": client,
              "votes": [{"labeler": who, "label": label, "labeled_at": at, "origin": "audit", "saw_prediction": False}
                        for at, (who, label) in enumerate(given)]} for n, (client, given) in enumerate(rows)]
    return DayVotes(pa.Table.from_pylist(items, make_schema()), QUESTION)


def test_a_key_stands_for_what_it_sent_and_for_what_its_people_judged():
    votes = votes_of([("k", [("x", "a")]), ("other", [("k/anna", "a")]), ("other", [("k/bert", "a"), ("x", "b")]),
                      ("other", [("k", "a"), ("y", "a")]), ("other", [("kk/anna", "a")])])
    assert votes.count_clients() == {("k", "1"): 4, ("other", "1"): 4, ("kk", "1"): 1}
    assert votes.find_changes(CLIENT, "k", "1") == {
        ("a", "a", "audit", None): -3, ("a", None, None, None): 1, ("a", "b", "audit", None): 1}
    assert votes.find_changes(LABELER, "k/anna", "1") == {("a", "a", "audit", None): -1, ("a", None, None, None): 1}
    assert votes.find_changes(LABELER, "y", "1") == {}


def test_an_evaluation_says_who_was_left_out_and_its_report_shows_it(tmp_root):
    make_root(tmp_root, right=180, n=200)
    storage = open_storage(tmp_root)
    _, labels = rows(200, 180, 200)  # the last 20 are the wrong ones
    for n, row in enumerate(labels):
        row["labeler"] = "mallory" if n >= 180 else None if n >= 170 else f"key/person {n % 30:02}"
    put_rows(storage, LABEL, "labels", labels, writer="1")
    settings = Settings(root=tmp_root, model=MODEL, evaluate=EvaluateSettings(evidence=["recounts"]))
    document, folder = evaluate(storage, request_of(settings, None, (), "live", None, ()))
    found = document["evidence"]["recounts"]
    by = {(p["kind"], p["name"]): p for p in found["people"]}
    assert [p["votes"] for p in found["people"]] == [20, 10, *[6] * 18, 170]  # the 20 largest of 32 labelers, and one key
    assert by[LABELER, "mallory"]["accuracy"]["value"] == 1.0 and by[LABELER, "mallory"]["share"] == 0.1
    assert by[CLIENT, "key"]["votes"] == 170 and by[LABELER, None]["votes"] == 10
    assert found["days_left_out"] == [] and "at most 100.0% (without labeler mallory)" in found["sentence"]
    changes = read_changes(storage, document, folder.rstrip("/").rpartition("/")[2])
    mine = [row for row in changes.to_pylist() if row["name"] == "mallory"]
    assert sum(row["n"] for row in mine if row["label"]) == -20 and sum(row["n"] for row in mine if not row["label"]) == 20
    shown = render(document)
    assert "Without each person" in shown and "mallory" in shown and "not named" in shown


def test_recounts_whose_table_is_gone_are_missed(tmp_root):
    make_root(tmp_root, right=18, n=20)
    storage = open_storage(tmp_root)
    settings = Settings(root=tmp_root, model=MODEL, evaluate=EvaluateSettings(evidence=["recounts"]))
    document, folder = evaluate(storage, request_of(settings, None, (), "live", None, ()))
    storage.delete(f"{folder}recounts.parquet")
    with pytest.raises(Mismatch, match="expected the recounts that the evaluation promises"):
        read_changes(storage, document, folder.rstrip("/").rpartition("/")[2])
