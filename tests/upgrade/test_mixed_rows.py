"""Replicas of two releases write into one day: files without the newer columns beside files with them.

Every engine against the oracle, to the unit.
"""

import io
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import clock, ids, layout
from contract.counts import UNNAMED
from contract.records import LABEL, PREDICTION
from contract.storage import open_root
from jobs.engines.question import Question
from tests import oracle
from tests.engines import counted, differences, embedded, mapreduce, spark_here
from tests.upgrade.of_rules_1 import CLASSES, DAYS, MODEL, NOW, make_label, unpack

DAY = DAYS[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The day of the release before, and rows of this one: answers called wrong, a `≠` of the other's prediction, a
    correction of the other's label, a word for a role that only this release knows."""
    made = unpack(tmp_path_factory.mktemp("mixed"))
    at, storage = clock.parse_moment(f"{DAY}T15:00:00Z"), open_root(made)
    old = pq.read_table(f"{made}/{next(e.key for e in storage.list(layout.day_folder('predictions', DAY)))}").to_pylist()
    names = [ids.uuid7(at + timedelta(seconds=i), entropy=f"n{i:09d}".encode()) for i in range(12)]
    put(storage, PREDICTION, [{"prediction_id": name, "predicted_at": at, "recorded_at": at, "model": MODEL, "model_version": "2",
                               "predicted_label": CLASSES[i % 2], "confidence": 0.75,
                               "role": ("live", "canary", "LIVE", "production")[i // 3]} for i, name in enumerate(names)])
    wrong = [make_label(name, at, UNNAMED, f"w{i:09d}", origin="review", saw_prediction=True) | {"shown_label": CLASSES[i % 2]}
             for i, name in enumerate(names[:4])]
    of_old = [make_label(old[i]["prediction_id"], at, UNNAMED, f"o{i:09d}", origin="review", saw_prediction=True)
              | {"shown_label": shown} for i, shown in ((1, CLASSES[0]), (57, CLASSES[0]), (58, CLASSES[1]), (59, None))]
    twice = [make_label(old[0]["prediction_id"], at, CLASSES[0], "t000000000", hours=9)]
    put(storage, LABEL, wrong + of_old + twice)
    return made


def put(storage, record, rows):
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=record.arrow()), sink)
    storage.put(layout.row_file(record.name, DAY, "new", 1, len(rows)), sink.getvalue())


def test_the_files_of_the_two_releases_differ(root):
    first, last = (pq.read_schema(f"{root}/{e.key}").names for e in sorted(
        open_root(root).list(layout.day_folder("labels", DAY)), key=lambda e: "old" not in e.key))
    assert set(last) - set(first) == {"shown_label"}


@pytest.mark.parametrize("engine", [embedded(), mapreduce, spark_here], ids=["embedded", "mapreduce", "spark"])
def test_a_day_of_both_is_counted_right(root, engine):
    as_of = NOW + 86_400_000_000
    counts, = counted(engine, root, [DAY], Question(MODEL, as_of, "live"))
    assert not (lines := differences(counts, oracle.count(root, DAY, MODEL, as_of, "live", [], None, None))), lines
    found = {name: n for name, n in counts.rows.items() if n}
    # 60 of the release before, 6 live ones of this; 3 with a word that means no role
    assert (found["predictions"], found["unknown_role"], found["other_answer"]) == (66, 3, 1)
