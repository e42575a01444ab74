"""The Spark engine against the mapreduce engine, which shares no rule with it, on awkward logs."""

import dataclasses
import random
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.errors import Mismatch
from contract.records import LABEL, PREDICTION
from contract.storage import open_storage
from jobs.engines.mapreduce import engine
from jobs.engines.question import DayFiles, Question
from tests.jobs import awkward


def spark_count(*arguments, **options):
    from jobs.engines.spark.engine import count

    return [awkward.as_python(c) for c in count(*arguments, **options)]


def test_same_counts_as_mapreduce_on_awkward_logs(spark, tmp_path):
    root = str(tmp_path / "a root [x]%20")
    awkward.write(root, awkward.rows_of(7), 7)
    storage, days = awkward.day_files(root)
    wanted = [awkward.as_python(c) for c in engine.count(storage, days, awkward.QUESTION, runner="inline")]
    assert spark_count(storage, days, awkward.QUESTION) == wanted


def test_a_day_too_big_for_one_task_is_counted_in_parts(spark, tmp_path, monkeypatch):
    from jobs.engines.spark import tasks

    awkward.write(str(tmp_path), awkward.rows_of(12), 12)
    storage, days = awkward.day_files(str(tmp_path))
    wanted = [awkward.as_python(c) for c in engine.count(storage, days, awkward.QUESTION, runner="inline")]
    small = tasks.count_values(days[0])
    monkeypatch.setattr(tasks, "MOST_HERE", small - 1)
    monkeypatch.setattr(tasks, "count_whole_day", lambda *_: pytest.fail("read as a whole"))
    assert spark_count(storage, days, awkward.QUESTION) == wanted


def test_days_of_both_kinds_come_in_their_order(spark, tmp_path, monkeypatch):
    from jobs.engines.spark import tasks

    rows = awkward.rows_of(13, 20)
    for n, day in enumerate(awkward.DAYS):
        rows[day] = {name: of[:len(of) // (n + 1)] for name, of in rows[day].items()}
    awkward.write(str(tmp_path), rows, 13)
    storage, days = awkward.day_files(str(tmp_path))
    monkeypatch.setattr(tasks, "MOST_HERE", tasks.count_values(days[0]) - 1)
    monkeypatch.setattr(tasks, "AT_ONCE", 2)
    asked = [days[1], days[0], days[1], days[1], days[1]]
    wanted = {c.day: awkward.as_python(c) for c in engine.count(storage, days, awkward.QUESTION, runner="inline")}
    assert spark_count(storage, asked, awkward.QUESTION) == [wanted[day.day] for day in asked]


def test_logs_with_only_the_required_columns(spark, tmp_path):
    r, root = random.Random(9), tmp_path / "root"
    for table, record, rows in zip(("predictions", "labels"), (PREDICTION, LABEL), awkward.rows_of(9)[awkward.DAYS[0]].values(),
                                   strict=True):
        folder = root / table / f"dt={awkward.DAYS[0]}"
        folder.mkdir(parents=True)
        schema = pa.schema([record.arrow().field(name) for name in record.required])
        pq.write_table(pa.Table.from_pylist(r.sample(rows, len(rows)), schema), folder / "only.parquet")
    question = Question("m", awkward.AS_OF)
    storage, days = awkward.day_files(str(root), question, awkward.DAYS[:1])
    wanted = [awkward.as_python(c) for c in engine.count(storage, days, question, runner="inline")]
    assert spark_count(storage, days, question) == wanted


def test_the_users_session_keeps_its_own_settings(spark):
    from jvm import session

    before = spark.conf.get("spark.sql.caseSensitive")
    ours = session.get_session({"spark.sql.shuffle.partitions": "3"})
    assert (ours.conf.get("spark.sql.caseSensitive"), ours.conf.get("spark.sql.shuffle.partitions")) == ("true", "3")
    assert spark.conf.get("spark.sql.caseSensitive") == before


@pytest.mark.parametrize("most, said", [(None, "predictions/.*: expected .* rows of .* start again"),
                                        (1, "predictions of 2026-11-19: expected .* Spark read")], ids=["task", "shuffle"])
def test_rows_that_the_footers_promise_must_be_read(spark, tmp_path, monkeypatch, most, said):
    from jobs.engines.spark import tasks

    root = str(tmp_path / "root")
    awkward.write(root, awkward.rows_of(8, n=5), 8, files=1)
    question = Question("m", awkward.AS_OF)
    storage, (day, *_) = awkward.day_files(root, question)
    more = tuple(dataclasses.replace(file, rows=file.rows + 1) for file in day.predictions)
    if most:
        monkeypatch.setattr(tasks, "MOST_HERE", tasks.count_values(day) - 1)
    with pytest.raises(Mismatch, match=said):
        spark_count(storage, [DayFiles(day.day, more, day.labels)], question)


def test_a_big_day_that_is_empty_by_now_is_told_as_such(spark, tmp_path, monkeypatch):
    from jobs.engines.spark import tasks

    awkward.write(str(tmp_path), awkward.rows_of(8, n=5), 8, files=1)
    storage, (day, *_) = awkward.day_files(str(tmp_path))
    for file in day.predictions + day.labels:
        path = storage.path(file.key)
        pq.write_table(pq.read_table(path, partitioning=None).slice(0, 0), path)
    monkeypatch.setattr(tasks, "MOST_HERE", tasks.count_values(day) - 1)
    with pytest.raises(Mismatch, match="Spark read 0"):
        spark_count(storage, [day], awkward.QUESTION)


def test_a_day_without_files_has_empty_counts(spark, tmp_path):
    (empty,) = spark_count(open_storage(str(tmp_path)), [DayFiles("2026-11-20", (), ())], Question("m", 0))
    assert not any(empty["rows"].values()) and empty["cells"] == [] and empty["known"] == (0, None)


def test_a_wave_that_nobody_will_take_is_stopped(spark, tmp_path, monkeypatch):
    """A day that cannot be read ends the count at once, not when the days that were begun beside it are counted."""
    from jobs.engines.spark import tasks

    ended = tmp_path / "ended"

    def count_serialized(at, day, question, work):
        if day == "bad":
            return tasks.serialize(Mismatch("changed"))
        time.sleep(30)
        return ended.touch()

    monkeypatch.setattr(tasks, "_count_serialized", count_serialized)
    monkeypatch.setattr(tasks, "AT_ONCE", 1)
    context = spark.sparkContext
    wave = ["bad"] * context.defaultParallelism
    counts = tasks._count_in_waves(context, None, [*wave, "slow"], None, tasks.COUNTS)
    with pytest.raises(Mismatch, match="changed"):
        next(counts)
    assert not ended.exists() and not context.statusTracker().getActiveJobsIds()
