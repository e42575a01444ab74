"""Every reader that counts nothing takes the distinct predictions of rule 2 as the oracle does: replays, picks and labels."""

import math
import random
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import layout
from contract.records import PREDICTION
from contract.storage import open_storage
from jobs.accepting.rows import Taken, find_labels
from jobs.engines.distinct import read_distinct
from jobs.engines.question import Question
from jobs.imports.placing.predicted import find_predictions
from jobs.picking.candidates import list_answers
from jobs.replaying.part import KEPT
from tests import generate, oracle

DAY = "2026-11-20"
AS_OF = generate.start_of(DAY) + generate.DAY_US // 2
AT = datetime(2026, 11, 20, 6, tzinfo=UTC)
ROW = {"prediction_id": "one", "predicted_at": AT, "model": "m", "model_version": "1", "predicted_label": "a", "role": "live"}


def show(row):
    confidence = row["confidence"]
    return (row["prediction_id"], row["model"], row["model_version"], row["predicted_label"],
            "NaN" if confidence is not None and math.isnan(confidence) else confidence)


def read_labels(storage, day, question):
    """The labels of a day, where every answer that is a probability is taken for right."""
    thresholds = dict.fromkeys([*generate.NAMES, *generate.NEARLY_WRONG, "a"], 0.0)
    return [row | {"model": "m"} for row in find_labels(storage, question, day, thresholds, Taken())]


def write(root, *rows):
    file = root / layout.row_file("predictions", DAY, "w", 1, 2)
    file.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(list(rows), PREDICTION.arrow()), file)
    return open_storage(str(root))


@pytest.fixture
def judged(tmp_path, request):
    """A storage with a generated day, and what the oracle takes for distinct in it, by the bytes of the ids."""
    seed, role, version = request.param
    rng = random.Random(seed)
    log = generate.log(rng, DAY, predictions=300, labels=1)
    for row in log.predictions:
        row["role"] = rng.choice([role, role.upper(), row["role"], "live"])
    generate.write(log, tmp_path, rng)
    items = oracle.judge(tmp_path, DAY, "m", AS_OF, role, version=version)[3]
    expected = sorted((show(item["prediction"]) for item in items), key=lambda row: row[0].encode())
    assert len(expected) > 3
    return open_storage(str(tmp_path)), Question("m", AS_OF, role, version=version), expected


SEEDS = [0, 1, 3, 4, 5, 6]  # of each some rows are answers of the model


@pytest.mark.parametrize("judged", [(n, *of) for n in SEEDS for of in (("live", None), ("replay", "2"))], indirect=True)
def test_a_replay_repeats_the_distinct_predictions_of_the_oracle(judged):
    storage, question, expected = judged
    assert [show(row) for row in read_distinct(storage, DAY, question, KEPT).to_pylist()] == expected


@pytest.mark.parametrize("judged", [(n, "live", None) for n in SEEDS], indirect=True)
def test_picks_choose_among_the_distinct_predictions_of_the_oracle(judged):
    storage, question, expected = judged
    assert [show(row) for row in list_answers(storage, DAY, question)] == expected


@pytest.mark.parametrize("judged", [(n, "live", None) for n in SEEDS], indirect=True)
def test_labels_that_are_accepted_are_those_of_the_distinct_predictions_of_the_oracle(judged):
    storage, question, expected = judged
    by_people = {row["prediction_id"] for row in read_labels(storage, DAY, question) if row["labelled_by"] == "people"}
    found = [show(row) for row in read_labels(storage, DAY, question) if row["labelled_by"] != "people"]
    assert found == [row for row in expected if row[0] not in by_people and row[4] not in (None, "NaN") and 0 <= row[4] <= 1]


@pytest.mark.parametrize("read", [lambda *of: read_distinct(*of).to_pylist(), lambda *of: list(list_answers(*of)), read_labels])
def test_of_the_rows_of_an_id_the_one_with_nan_comes_last(tmp_path, read):
    rows = [ROW | {"recorded_at": AT, "confidence": math.nan},
            ROW | {"recorded_at": AT + timedelta(hours=1), "confidence": 0.75}]
    storage = write(tmp_path, *rows)
    assert [row["confidence"] for row in read(storage, DAY, Question("m", AS_OF, "live"))] == [0.75]


@pytest.mark.parametrize("first", [0, 1])
def test_a_label_that_is_imported_meets_the_row_that_counts(tmp_path, first):
    rows = [ROW | {"confidence": math.nan}, ROW | {"confidence": 0.75}]
    storage = write(tmp_path, rows[first], rows[1 - first])
    found = min(find_predictions(storage, ["one"], [DAY])["one"], key=lambda p: p.order)
    assert found.confidence == 0.75


def test_a_file_that_cannot_be_read_is_named_and_left_out_of_picks(tmp_path, caplog):
    storage = write(tmp_path, ROW | {"confidence": 0.75})
    storage.put(layout.row_file("predictions", DAY, "x", 1, 2), b"no Parquet")
    assert [row["confidence"] for row in list_answers(storage, DAY, Question("m", AS_OF, "live"))] == [0.75]
    assert "passed over" in caplog.text
