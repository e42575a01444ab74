"""Items of embedded, Spark and MapReduce against the oracle, row by row, and against the cells that they stand behind."""

import math
from collections import Counter
from dataclasses import replace

import pytest

from contract.rows.items import make_schema
from contract.storage import open_storage
from jobs.engines import day_files
from jobs.engines.question import ITEM_COLUMNS, Question, fold_case
from tests import generate, oracle
from tests.engines import counted, spark_here
from tests.test_engines_agree import WEIGHTS, many_days

DAY = "2026-11-20"
AS_OF = generate.start_of(DAY) + 2 * generate.DAY_US


def embedded_items(storage, days, question):
    from jobs.engines.embedded.engine import list_items

    return list_items(storage, days, question)


def spark_items_here(storage, days, question):
    """What a task of the Spark engine lists, without Spark."""
    from jobs.engines.spark.engine import check_items
    from jobs.engines.spark.items import ITEMS
    from jobs.engines.spark.tasks import count_whole_day

    asked = replace(question, slices=ITEM_COLUMNS)
    return (check_items(day, count_whole_day(storage, day, asked, ITEMS)) for day in days)


def mapreduce_items(storage, days, question):
    from jobs.engines.mapreduce.engine import list_items

    return list_items(storage, days, question, runner="inline")


def listed(engine, root, days, question):
    storage = open_storage(str(root))
    read, left_out = day_files.read_footers(storage, [day_files.list_day(storage, d) for d in days], ITEM_COLUMNS)
    assert not left_out
    found = list(engine(storage, read, question))
    assert [made.day for made in found] == list(days)
    return found


def as_rows(table):
    """The rows as the oracle says them: times in whole microseconds."""
    assert table.schema.equals(make_schema(), check_metadata=True)
    rows = table.to_pylist()
    for row in rows:
        for vote in row["votes"]:
            vote["labeled_at"] = round(vote["labeled_at"].timestamp() * 1e6) if vote["labeled_at"] else None
    return rows


def check(engine, root, days, as_of=AS_OF, model="m", role="live", weights=None, roles=None):
    folded = {fold_case(word): of for word, of in (roles or {}).items()}
    got = listed(engine, root, days, Question(model, as_of, role, labeler_weights=weights or {}, roles=folded))
    for made in got:
        rows, times = oracle.list_items(root, made.day, model, as_of, role, weights, roles)
        assert as_rows(made.table) == rows
        assert {"known_through": made.known_through, "next_future": made.next_future} == times
    return got


@pytest.mark.parametrize("engine, days, size", [(embedded_items, 4, 30), (spark_items_here, 8, 40), (mapreduce_items, 3, 20)])
def test_items_are_those_of_the_oracle(tmp_path, engine, days, size):
    names = many_days(tmp_path, days, days, predictions=size, labels=4 * size)
    as_of = generate.start_of(f"2026-11-{days:02}")
    got = check(engine, tmp_path, names, as_of=as_of, weights=WEIGHTS, roles=generate.ROLE_WORDS)
    assert sum(made.table.num_rows for made in got) > 3 * days


@pytest.mark.parametrize("model, role", [("other", "live"), ("m", "shadow"), ("nobody", "live")])
def test_items_of_other_models_and_roles_are_those_of_the_oracle(tmp_path, model, role):
    check(spark_items_here, tmp_path, many_days(tmp_path, 11, 4, predictions=60, labels=100), model=model, role=role)


def test_labelled_cells_are_their_items_added_up(tmp_path):
    """All but the rank, which is of a list that items do not have."""
    names = many_days(tmp_path, 31, 6, predictions=40, labels=150)
    question = Question("m", AS_OF, labeler_weights=WEIGHTS)
    for counts, made in zip(counted(spark_here, tmp_path, names, question),
                            listed(spark_items_here, tmp_path, names, question), strict=True):
        assert (made.known_through, made.next_future) == (counts.known_through, counts.next_future)
        assert add_up(as_rows(made.table)) == labelled_cells(counts.tables["cells"])
        assert sum(len(row["votes"]) for row in as_rows(made.table)) == counts.rows["vote"]


CELL = ("model_version", "predicted", "confidence_bin", "label", "origin", "saw_prediction", "split")


def labelled_cells(cells):
    found = Counter()
    for row in cells.to_pylist():
        key = tuple(row[k] for k in CELL)
        for name in ("n", "sum_confidence", "n_weighted", "sum_weight"):
            found[(*key, name)] += int(row[name]) if row["label"] is not None else 0
    return +found


def add_up(items):
    found = Counter()
    for row in items:
        saw = {vote["saw_prediction"] for vote in row["votes"] if vote["origin"] == row["origin"]}
        bin_ = oracle.confidence_bin(row["confidence"])
        key = (row["model_version"], row["predicted"], bin_, row["label"], row["origin"],
               True if True in saw else None if None in saw else False, row["split"])
        found[(*key, "n")] += 1
        found[(*key, "sum_confidence")] += 0 if bin_ is None else math.floor(row["confidence"] * 2**30)
        found[(*key, "n_weighted")] += row["selection_probability"] is not None
        found[(*key, "sum_weight")] += math.floor(2**16 / (row["selection_probability"] or 2**17))
    return +found


@pytest.mark.slow("spark")
def test_spark_items_are_those_of_the_oracle_whole_and_in_parts(spark, tmp_path, monkeypatch):
    from jobs.engines.spark import tasks
    from jobs.engines.spark.engine import list_items

    names = many_days(tmp_path, 41, 1, predictions=40, labels=150)
    whole = check(list_items, tmp_path, names, weights=WEIGHTS)
    monkeypatch.setattr(tasks, "MOST_HERE", 2500)
    in_parts = check(list_items, tmp_path, names, weights=WEIGHTS)
    assert [made.table for made in in_parts] == [made.table for made in whole]
