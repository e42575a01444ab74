"""Files that the service wrote, read by everybody who reads them: pandas, DuckDB, Spark and mrjob see the same rows."""

import duckdb
import pandas as pd
import pytest

from contract import clock
from contract.days import prediction_days
from contract.records import LABEL, PREDICTION
from contract.storage import open_root
from jobs.engines import day_files
from jobs.engines.mapreduce import engine
from jobs.engines.question import Question
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A root in which a real service logged five predictions and two labels; the root's path and the answers."""
    folder = tmp_path_factory.mktemp("round trip")
    root = str(folder / "a root")
    publish_tiny(root)
    with serving(root, folder / "outbox") as client:
        headers = IMAGE | {"X-Request-Id": "r-1", "X-Attributes": '{"camera": "gate-3"}'}
        said = [client.post("/v1/predictions", content=picture(n), headers=headers).json() for n in range(5)]
        labels = [{"prediction_id": s["prediction_id"], "label": "größe", "labeler": "anna"} for s in said[:2]]
        assert client.post("/v1/labels", json={"labels": labels}).status_code == 201
    return folder / "a root", sorted(s["prediction_id"] for s in said)


def paths(root, table):
    return sorted(map(str, (root / table).glob("dt=*/*.parquet")))


def by_pandas(root, table, columns):
    frame = pd.concat([pd.read_parquet(p, columns=columns) for p in paths(root, table)])
    return frame.sort_values(columns[0]).astype(object).to_numpy().tolist()


def by_duckdb(root, table, columns):
    query = f"SELECT {', '.join(columns)} FROM read_parquet(?) ORDER BY 1"
    with duckdb.connect() as connection:
        return [list(row) for row in connection.execute(query, [paths(root, table)]).fetchall()]


def by_spark(spark, root, table, record, columns):
    rows = spark.read.schema(record.spark()).parquet(*(f"file://{p}" for p in paths(root, table))).select(*columns)
    return [list(row) for row in rows.orderBy(columns[0]).collect()]


def test_pandas_duckdb_and_spark_read_the_same(written, spark):
    root, ids = written
    for table, record, columns in (("predictions", PREDICTION, ["prediction_id", "model_version", "predicted_label",
                                                                "confidence", "bytes", "request_id"]),
                                   ("labels", LABEL, ["prediction_id", "label", "labeler", "origin"])):
        found = by_pandas(root, table, columns)
        assert found == by_duckdb(root, table, columns) == by_spark(spark, root, table, record, columns)
        if table == "predictions":
            assert [row[0] for row in found] == ids
        else:
            assert [row[1] for row in found] == ["größe"] * 2


def test_times_are_the_same_moment_everywhere(written, spark):
    root, _ = written
    pandas = [t.value // 1000 for t in pd.concat([pd.read_parquet(p) for p in paths(root, "predictions")]).predicted_at]
    spark_rows = spark.read.schema(PREDICTION.spark()).parquet(*(f"file://{p}" for p in paths(root, "predictions")))
    micros = [row[0] for row in spark_rows.selectExpr("unix_micros(predicted_at)").collect()]
    with duckdb.connect() as connection:
        other = connection.execute("SELECT epoch_us(predicted_at) FROM read_parquet(?)", [paths(root, "predictions")])
        assert sorted(pandas) == sorted(micros) == sorted(row[0] for row in other.fetchall())


def test_mrjob_counts_them(written):
    root, _ = written
    storage = open_root(str(root))
    days = day_files.read_footers(storage, [day_files.list_day(storage, d) for d in prediction_days(storage)], ())[0]
    found = list(engine.count(storage, days, Question("m", clock.now_us()), runner="inline"))
    assert sum(c.rows["predictions"] for c in found) == 5 and sum(c.rows["vote"] for c in found) == 2
