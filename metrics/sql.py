"""The tables of a root for SQL engines on S3 (Athena, Glue's catalogue, Spark SQL), from the records themselves.

    python -m metrics.sql > docs/tables.sql

Predictions and labels are partitioned by day, the tables of evaluations by model and evaluation (`trueup report` puts
them there). Partitions are projected, so nothing has to be registered when a day or an evaluation comes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from contract import layout
from contract.counts import CELLS, CONFIDENCE_SCALE, DELAYS, PEOPLE, ROWS, SLICES, DayCounts, canonical, empty_tables
from contract.records import LABEL, PREDICTION, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

TYPES = {"timestamp": "timestamp", "int32": "int", "int64": "bigint", "bool": "boolean", "list<string>": "array<string>",
         "list<float>": "array<float>", "map<string,string>": "map<string,string>"}
ARROW = {"string": "string", "int64": "bigint", "double": "double", "bool": "boolean"}
ROOT = "s3://BUCKET/PREFIX"
HEAD = """-- Made by `python -m metrics.sql`. Put your root for s3://BUCKET/PREFIX, and your models for MODELS.
-- The same without Athena: DuckDB reads the files as they lie,
--   SELECT version, label, recall, recall_low, recall_high, support
--   FROM read_parquet('demo-root/tables/per_class/*/*/*.parquet', hive_partitioning = true) ORDER BY recall;
-- Texts are as people wrote them; times are UTC.
"""
DAYS = {"projection.enabled": "true", "projection.dt.type": "date", "projection.dt.format": "yyyy-MM-dd",
        "projection.dt.interval": "1", "projection.dt.interval.unit": "DAYS", "projection.dt.range": "2020-01-01,NOW+1DAYS"}
EVALUATIONS = {"projection.enabled": "true", "projection.model.type": "enum", "projection.model.values": "MODELS",
               "projection.evaluation.type": "injected"}


# Tables in which a file has the column only when a figure of it could not be computed.
REASONED = ("top_k", "trend")


def definitions() -> str:
    """Writes all CREATE TABLE statements."""
    made = [HEAD]
    for record in (PREDICTION, LABEL):
        columns = [(f.name, TYPES.get(f.type, f.type), f.meaning) for f in record.fields]
        location = f"{ROOT}/{layout.table_folder(record.name)}"
        made.append(statement(record.name, columns, [("dt", "string")], location, "dt=${dt}", DAYS))
    for name, schema in evaluation_schemas().items():
        columns = [(field.name, ARROW[str(field.type)], "") for field in schema]
        made.append(statement(f"evaluation_{name}", columns, [("model", "string"), ("evaluation", "string")],
                              f"{ROOT}/{layout.sql_tables(name)}", "model=${model}/evaluation=${evaluation}", EVALUATIONS))
    return "\n".join(made)


def statement(name: str, columns: list[tuple[str, str, str]], partitions: list[tuple[str, str]], location: str,
              template: str, properties: dict[str, str]) -> str:
    """Writes one CREATE EXTERNAL TABLE over Parquet files.

    `columns` are (name, SQL type, meaning), `partitions` (name, SQL type); `template` is the partition's folder.
    """
    lines = ",\n".join(f"  `{column}` {kind}" + (f" COMMENT '{_quoted(meaning)}'" if meaning else "")
                       for column, kind, meaning in columns)
    keys = ", ".join(f"`{column}` {kind}" for column, kind in partitions)
    given = {**properties, "storage.location.template": location + template}
    options = ",\n".join(f"  '{key}' = '{value}'" for key, value in given.items())
    return (f"CREATE EXTERNAL TABLE trueup_{name} (\n{lines}\n)\nPARTITIONED BY ({keys})\nSTORED AS PARQUET\n"
            f"LOCATION '{location}'\nTBLPROPERTIES (\n{options}\n);\n")


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def evaluation_schemas() -> dict[str, pa.Schema]:
    """Returns table -> Arrow schema of an evaluation's tables.

    They are those of a small evaluation in which each has a row, with the columns that some evaluations lack (a reader by
    name sees null).
    """
    import pyarrow as pa

    from metrics.evaluation import Background, Scope, build
    from metrics.tables import tables
    from metrics.version import Rules
    from metrics.window import WindowCounts

    day = example_day()
    window = WindowCounts.of([day])
    document = build(Scope("m", (day.day, day.day), 0, "embedded", "live", {}), window, Background(), Rules())
    found = {name: table.schema for name, table in sorted(tables(document, window).items())}
    return {name: schema if "reason" in schema.names or name not in REASONED else schema.append(
        pa.field("reason", pa.string())) for name, schema in found.items()}


def example_day() -> DayCounts:
    """Makes a day with a row in every table of counts that evaluations show."""
    def rows(record: TableSchema, *given: dict[str, Any]) -> pa.Table:
        import pyarrow as pa

        return canonical(record.name, pa.Table.from_pylist(list(given), record.arrow()))

    cell = {"model_version": "1", "predicted": "a", "confidence_bin": 19, "label": "a", "origin": "audit",
            "saw_prediction": False, "rank": 1, "split": False, "n": 40, "sum_confidence": 39 * CONFIDENCE_SCALE,
            "n_weighted": 40, "sum_weight": 40, "sum_weight_squared": 40, "sum_weight_confidence": 39 * CONFIDENCE_SCALE}
    piece = {"slice": "camera", "value": "north", "model_version": "1", "origin": "audit", "predicted": "a", "label": "a",
             "n": 40, "n_weighted": 40, "sum_weight": 40, "sum_weight_squared": 40}
    made = {"cells": rows(CELLS, cell), "slices": rows(SLICES, piece),
            "people": rows(PEOPLE, {"labeler": "ana", "votes": 40, "agreements": 40, "pairs": 40, "agreeing_pairs": 40}),
            "delays": rows(DELAYS, {"days": 0, "origin": "audit", "n": 40})}
    return DayCounts("2026-01-01", empty_tables() | made, dict.fromkeys(ROWS, 0))


if __name__ == "__main__":
    sys.stdout.write(definitions())
