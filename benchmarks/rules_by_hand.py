"""Limits of an evaluation's time: programs that do a part of it, on the files of the generated workload, and nothing else.

    python -m benchmarks.rules_by_hand start|columns|rules|report|engine ROOT [--out FOLDER]

`start` imports DuckDB. `columns` reads every column that the rules of counting need, and looks at each value. `rules` is a
program of DuckDB alone, written by hand, that applies the rules of counting to the workload: what became of each row, and the
cells; `report` goes on to the plain program's report, made of these cells by its own functions (common.py of TRUEUP_PEERS).
`engine` imports the embedded engine and lets it count the days; nothing is added up, divided or written.

By hand it is as short as the workload allows. It trusts a hash of 64 bits to be the id; it knows that ids are UUIDv7 and that
the files lack the columns that may be missing (so: one origin class, no roles, no lists, no weights, nothing withdrawn); it
stops at a label that is `≠`. It makes cells, and none of the other tables. With --out it writes them as Parquet:
benchmarks/limits.py compares them with the counts of the engine.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

AS_OF = "TIMESTAMPTZ '2100-01-01 00:00:00Z'"
MODEL = "bench"
KEY = "hash(prediction_id)"
UUID7 = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
CORES, MOST_ROWS = 2, 1_000_000
OK, INVALID, MISFILED, FUTURE, REPEATS = range(5)

# Rule 3: the label rows with what is wrong with each, and how many rows a prediction has.
LABELS = """CREATE TEMP TABLE l AS SELECT {key} AS k, label_id, label, labeler, epoch_us(labeled_at) AS t,
    (CASE WHEN prediction_id <> '' AND labeled_at IS NOT NULL AND label <> '' THEN {timely_label} ELSE {INVALID} END)::TINYINT
    AS state FROM {labels}"""
ONE = "CREATE TEMP TABLE one AS SELECT k, count(*) AS votes, any_value(label) AS label FROM l WHERE state = {OK} GROUP BY k"
# Those of a prediction that has several: the first of each label_id, of these each person's last, and which label they name.
SEVERAL = """CREATE TEMP TABLE several AS SELECT l.* FROM l SEMI JOIN (SELECT k FROM one WHERE votes > 1) USING (k)
    WHERE state = {OK}"""
ANSWERS = """CREATE TEMP TABLE answers AS SELECT k, label_id, label, labeler, t FROM several
    QUALIFY row_number() OVER (PARTITION BY k, label_id ORDER BY t, label, labeler) = 1"""
VOTES = """CREATE TEMP TABLE votes AS SELECT k, label, labeler, t FROM answers
    QUALIFY row_number() OVER (PARTITION BY k, labeler ORDER BY t DESC, label_id DESC, label DESC) = 1"""
CONSENSUS = """CREATE TEMP TABLE consensus AS SELECT k, votes, label, false AS split FROM one WHERE votes = 1 UNION ALL
    SELECT k, sum(n), arg_min(label, (-n, -newest, label)), count(*) > 1
    FROM (SELECT k, label, count(*) AS n, max(t) AS newest FROM votes GROUP BY k, label) GROUP BY k"""
# Rule 2, of all models.
ROWS = """SELECT {key} AS k, dt, model = '{MODEL}' AS ours, predicted_at, model_version, predicted_label AS predicted, confidence,
    (CASE WHEN prediction_id <> '' AND predicted_at IS NOT NULL AND model <> '' AND model_version <> '' AND
        predicted_label <> '' AND predicted_label <> '≠' THEN {timely_prediction} ELSE {INVALID} END)::TINYINT AS state
    FROM {predictions}"""
REPEATED = "SELECT count(*) FROM (SELECT {key} AS k FROM {predictions} GROUP BY k HAVING count(*) > 1)"
FIRST_OF_EACH = """SELECT * REPLACE ((CASE WHEN state = {OK} AND row_number() OVER (PARTITION BY k, state
    ORDER BY predicted_at, model_version, predicted, confidence NULLS FIRST) > 1 THEN {REPEATS} ELSE state END)::TINYINT AS state)
    FROM ({rows})"""
# Rule 5: floor(20 x) is one off just below some edges. Rows of all states and models, so that all are told of.
CELLS = """CREATE TEMP TABLE cells AS SELECT dt, ours, state, model_version, predicted, label, split,
    place - (place / 2e1 > confidence)::TINYINT + (place < 19 AND (place + 1) / 2e1 <= confidence)::TINYINT AS confidence_bin,
    count(*) AS n, sum(floor(confidence * 1073741824)::BIGINT) AS sum_confidence, sum(votes)::BIGINT AS votes
    FROM (SELECT *, least(floor(confidence * 20), 19)::TINYINT AS place FROM ({rows})) LEFT JOIN consensus USING (k)
    GROUP BY ALL"""
STEPS = (LABELS, ONE, SEVERAL, ANSWERS, VOTES, CONSENSUS, CELLS)
PREDICTION_ENDINGS = f"""SELECT {", ".join(f"sum(n) FILTER (ours AND state = {s})" for s in range(5))},
    sum(votes) FILTER (ours AND state = 0), sum(votes) FILTER (NOT ours AND state = 0) FROM cells"""
# What the plain program groups by: labelled rows, and buckets that begin at .5, .8, .85, .9 and .95.
REPORTED = """SELECT model_version, dt, predicted, label,
    CASE WHEN confidence_bin < 10 THEN 0 ELSE greatest(confidence_bin - 14, 1) END AS bucket, sum(n)::BIGINT FROM cells
    WHERE ours AND state = 0 AND label IS NOT NULL GROUP BY ALL"""
LABEL_ENDINGS = f"""SELECT {", ".join(f"count(*) FILTER (state = {s})" for s in range(4))}, count(*) FILTER (label = '≠'),
    (SELECT count(*) FROM several) - (SELECT count(*) FROM answers), (SELECT count(*) FROM answers) - (SELECT count(*) FROM votes)
    FROM l"""


def main(argv: list[str] | None = None) -> int:
    """Runs one of the programs and prints what it found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(argv)
    print(PARTS[given.part](given.root, given.out))
    return 0


def connect() -> Any:
    """A database."""
    import duckdb

    db = duckdb.connect()
    db.execute("SET threads = 2; SET preserve_insertion_order = false")
    return db


def scan(root: Path, table: str, days: Sequence[str]) -> str:
    """The SQL that reads the rows of some days."""
    listed = ", ".join(f"'{root}/{table}/dt={day}/*.parquet'" for day in days)
    return f"read_parquet([{listed}], hive_partitioning = true, hive_types = {{'dt': VARCHAR}})"


def list_days(root: Path) -> list[str]:
    """The days that have predictions."""
    return sorted(path.name.removeprefix("dt=") for path in (root / "predictions").iterdir())


def import_duckdb(root: Path, out: Path | None) -> str:
    """Imports DuckDB and answers one trivial query."""
    return str(connect().execute("SELECT 1").fetchall())


def read_columns(root: Path, out: Path | None) -> str:
    """Every column that the rules need of these files, each value looked at as cheaply as DuckDB can."""
    db, days = connect(), list_days(root)
    of_prediction = ("strlen(prediction_id)", "epoch_us(predicted_at)", "strlen(model)", "strlen(model_version)",
                     "strlen(predicted_label)", "confidence")
    of_label = ("strlen(prediction_id)", "strlen(label_id)", "strlen(label)", "strlen(labeler)", "epoch_us(labeled_at)")
    return str([db.execute(f"SELECT {', '.join(f'sum({c})' for c in columns)} FROM {scan(root, table, days)}").fetchall()
                for table, columns in (("predictions", of_prediction), ("labels", of_label))])


def count_cells(root: Path, out: Path | None) -> str:
    """The rules by hand: what became of the rows, and the cells."""
    return json.dumps(add_rows([rows for _, rows in count_chunks(root, out)]))


def make_report(root: Path, out: Path | None) -> str:
    """The same, and the plain program's report of the cells; prints its digest."""
    sys.path.insert(0, os.environ["TRUEUP_PEERS"])
    common = import_module("common")
    found = count_chunks(root, out)
    report = common.report_from_cells(row for db, _ in found for row in db.execute(REPORTED).fetchall())
    return json.dumps({**add_rows([rows for _, rows in found]), "digest": common.digest(report)})


def add_rows(found: Sequence[dict[str, int]]) -> dict[str, int]:
    """The rows of all days by name."""
    return {name: sum(rows[name] for rows in found) for name in found[0]}


def count_chunks(root: Path, out: Path | None) -> list[tuple[Any, dict[str, int]]]:
    """Counts some days at a time, whose tables fit into a core's cache; (the connection that has the cells, the rows) of each."""
    db, days = connect(), list_days(root)
    rows = db.execute(f"SELECT sum(num_rows) FROM parquet_file_metadata('{root}/predictions/*/*.parquet')").fetchall()[0][0]
    parts = max(CORES, min(len(days), rows // MOST_ROWS))
    chunks = [days[len(days) * n // parts:len(days) * (n + 1) // parts] for n in range(parts)]
    with ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(lambda days: count_days(db.cursor(), root, days, out), chunks))


def count_days(db: Any, root: Path, days: Sequence[str], out: Path | None) -> tuple[Any, dict[str, int]]:
    """Counts some days over a connection of their own."""
    db.execute("SET TimeZone = 'UTC'")
    names = {"predictions": scan(root, "predictions", days), "labels": scan(root, "labels", days), "key": KEY, "MODEL": MODEL,
             "OK": OK, "INVALID": INVALID, "REPEATS": REPEATS, "timely_label": judge_time(days, "labeled_at"),
             "timely_prediction": judge_time(days, "predicted_at")}
    names["rows"] = ROWS.format(**names)
    if db.execute(REPEATED.format(**names)).fetchall()[0][0]:
        names["rows"] = FIRST_OF_EACH.format(**names)
    for step in STEPS:
        db.execute(step.format(**names))
    if out:
        db.execute(f"COPY (FROM cells WHERE ours AND state = {OK}) TO '{out}/{days[0]}.parquet' (FORMAT parquet)")
    return db, describe_rows(*([n or 0 for n in db.execute(q).fetchall()[0]] for q in (PREDICTION_ENDINGS, LABEL_ENDINGS)))


def judge_time(days: Sequence[str], time: str) -> str:
    """Says of a row whether its id is a UUIDv7 of its day, and whether it was known: an id between the day's bounds is one."""
    first, after = (" ".join(f"WHEN '{day}' THEN '{head_of(day, shift)}'" for day in days) for shift in (0, 1))
    return (f"CASE WHEN NOT (prediction_id >= CASE dt {first} END AND prediction_id < CASE dt {after} END) "
            f"AND regexp_full_match(prediction_id, '{UUID7}') THEN {MISFILED} WHEN {time} > {AS_OF} THEN {FUTURE} ELSE {OK} END")


def head_of(day: str, shift: int) -> str:
    """The first 13 characters of a day's first UUIDv7, `shift` days later."""
    digits = f"{((date.fromisoformat(day) - date(1970, 1, 1)).days + shift) * 86_400_000:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def describe_rows(predictions: Sequence[int], labels: Sequence[int]) -> dict[str, int]:
    """The rows of rules 2 and 3 by name. ValueError: the workload holds what this program leaves out."""
    (*read, votes, others), (*rows, unnamed, duplicate, superseded) = predictions, labels
    orphan = rows[OK] - duplicate - superseded - votes - others
    if unnamed or (orphan and superseded) or (others and sum(rows) != rows[OK]):
        raise ValueError("expected no ≠, no orphans beside superseded votes, no labels of other models beside bad ones")
    states = ("invalid", "misfiled", "future", "duplicate")
    return {"predictions": sum(read), **{f"{name}_predictions": n for name, n in zip(states, read[1:], strict=True)},
            "labels": sum(rows) - others, **dict(zip(states, [*rows[1:], duplicate], strict=True)), "other_model": others,
            "orphan": orphan, "superseded": superseded, "vote": votes}


def run_engine(root: Path, out: Path | None) -> str:
    """The embedded engine alone: files listed, days counted, and let go."""
    from command.without_pandas import do_without_pandas

    do_without_pandas()
    from contract import clock
    from contract.storage import open_root
    from jobs.engines import day_files
    from jobs.engines.embedded import engine
    from jobs.engines.question import Question

    storage = open_root(str(root))
    whole, _ = day_files.read_footers(storage, [day_files.list_day(storage, day) for day in list_days(root)], (), False)
    question = Question(MODEL, clock.to_us(clock.parse_moment("2100-01-01T00:00:00Z")))
    return str(sum(counts.rows["vote"] for counts in engine.count(storage, whole, question)))


PARTS: dict[str, Callable[[Path, Path | None], str]] = {
    "start": import_duckdb, "columns": read_columns, "rules": count_cells, "report": make_report,
    "engine": run_engine}

if __name__ == "__main__":
    sys.exit(main())
