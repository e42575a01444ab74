"""The Spark engine against the mapreduce engine, which shares no rule with it, on awkward logs."""

import dataclasses
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.errors import Mismatch
from contract.records import LABEL, PREDICTION
from contract.storage import open_storage
from jobs.engines import mapreduce
from jobs.engines.question import DayFiles, Question
from tests.jobs import awkward


def spark_count(*arguments, **options):
    from jobs.engines.spark import count

    return [awkward.as_python(c) for c in count(*arguments, **options)]


def test_same_counts_as_mapreduce_on_awkward_logs(spark, tmp_path):
    root = str(tmp_path / "a root [x]%20")
    awkward.write(root, awkward.rows_of(7), 7)
    storage, days = awkward.day_files(root)
    wanted = [awkward.as_python(c) for c in mapreduce.count(storage, days, awkward.QUESTION, runner="inline")]
    assert spark_count(storage, days, awkward.QUESTION) == wanted


def quiet_rows(seed: int, n: int = 150) -> dict:
    """Rows of which most ids have one prediction and up to three labels, told apart by their times."""
    made = awkward.rows_of(seed, n)
    for tables in made.values():
        of = list({row["prediction_id"]: row for row in tables["predictions"]}.values())
        tables["predictions"], ids = of, [row["prediction_id"] for row in of]
        tables["labels"] = [row | {"prediction_id": ids[(k // 2 + k % 3) % len(ids)], "label_id": f"l{k}",
                                   "origin": row["origin"] if k % 4 == 0 else "review",
                                   "labeled_at": row["labeled_at"] and row["labeled_at"] + k}
                            for k, row in enumerate(tables["labels"][:n])]
    return made


@pytest.mark.parametrize("rows", [awkward.rows_of(12), quiet_rows(13)], ids=["awkward", "mostly common ids"])
def test_the_plan_in_numbers_counts_the_same(spark, tmp_path, rows):
    awkward.write(str(tmp_path), rows, 12)
    question = Question("m", awkward.AS_OF)
    storage, days = awkward.day_files(str(tmp_path), question)
    wanted = [awkward.as_python(c) for c in mapreduce.count(storage, days, question, runner="inline")]
    assert spark_count(storage, days, question) == wanted


def test_only_rare_ids_are_left_to_the_general_plan(spark, tmp_path):
    from jobs import session
    from jobs.engines import spark, spark_ids, spark_said, spark_tables

    awkward.write(str(tmp_path), quiet_rows(14), 14)
    question = Question("m", awkward.AS_OF)
    storage, days = awkward.day_files(str(tmp_path), question)
    ours = session.get()
    tables = {r.name: spark_tables.table(ours, storage, days, r) for r in (PREDICTION, LABEL)}
    found, _, rest = spark.in_numbers(ours, tables, days, question)
    kinds, n = found["r"].to_numpy(), found["n"].to_numpy()
    assert 0 < spark_said.rare(found) < n[kinds == spark_ids.CELL].sum() / 2 and rest.num_rows
    assert n[kinds == spark_ids.PAIR].sum() > 20


def test_words_whose_codes_collide_get_another_salt(spark, monkeypatch):
    from jobs.engines import spark_codes

    monkeypatch.setattr(spark_codes, "_hash", lambda salt, column: f"if({salt} < 9, 7, hash({column}))")
    salts = iter([3, 8, 9, 10, 11, 12, 13, 14])
    monkeypatch.setattr(spark_codes.secrets, "randbelow", lambda _: next(salts))
    codes = spark_codes.learn([spark.createDataFrame([("cat",), ("dog",), (None,)], "s string")])
    assert codes.salt == 9 and codes.texts(codes.numbers).to_pylist() == codes.words.to_pylist()
    with pytest.raises(Mismatch, match="A file changed"):
        codes.texts(codes.numbers + 1)


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
    wanted = [awkward.as_python(c) for c in mapreduce.count(storage, days, question, runner="inline")]
    assert spark_count(storage, days, question) == wanted


def test_the_users_session_keeps_its_own_settings(spark):
    from jobs import session

    before = spark.conf.get("spark.sql.caseSensitive")
    ours = session.get({"spark.sql.shuffle.partitions": "3"})
    assert (ours.conf.get("spark.sql.caseSensitive"), ours.conf.get("spark.sql.shuffle.partitions")) == ("true", "3")
    assert spark.conf.get("spark.sql.caseSensitive") == before


def test_rows_that_the_footers_promise_must_be_read(spark, tmp_path):
    root = str(tmp_path / "root")
    awkward.write(root, awkward.rows_of(8, n=5), 8, files=1)
    question = Question("m", awkward.AS_OF)
    storage, (day, *_) = awkward.day_files(root, question)
    more = tuple(dataclasses.replace(file, rows=file.rows + 1) for file in day.predictions)
    with pytest.raises(Mismatch, match="predictions of 2026-11-19: expected .* Spark read"):
        spark_count(storage, [DayFiles(day.day, more, day.labels)], question)


def test_a_day_without_files_has_empty_counts(spark, tmp_path):
    (empty,) = spark_count(open_storage(str(tmp_path)), [DayFiles("2026-11-20", (), ())], Question("m", 0))
    assert not any(empty["rows"].values()) and empty["cells"] == [] and empty["known"] == (0, None)
