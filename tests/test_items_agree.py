"""Items of embedded, Spark and MapReduce against the oracle, row by row, and against the cells that they stand behind."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from contract.rows.items import make_schema
from contract.storage import open_storage
from jobs.engines import day_files
from jobs.engines.question import ITEM_COLUMNS, Question, fold_case
from tests import generate, oracle
from tests.test_engines_agree import WEIGHTS

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


HERE = [embedded_items, spark_items_here]


def listed(engine, root, days, question):
    storage = open_storage(str(root))
    read, left_out = day_files.read_footers(storage, [day_files.list_day(storage, d) for d in days], ITEM_COLUMNS)
    assert not left_out
    return list(engine(storage, read, question))


def as_rows(table):
    """The rows as the oracle says them: times in whole microseconds."""
    assert table.schema.equals(make_schema(), check_metadata=True)
    rows = table.set_column(10, "votes", table["votes"]).to_pylist()
    for row in rows:
        for vote in row["votes"]:
            vote["labeled_at"] = round(vote["labeled_at"].timestamp() * 1e6) if vote["labeled_at"] else None
    return rows


def check(engine, root, days, as_of=AS_OF, model="m", role="live", weights=None, roles=None):
    folded = {fold_case(word): of for word, of in (roles or {}).items()}
    got = listed(engine, root, days, Question(model, as_of, role, labeler_weights=weights or {}, roles=folded))
    assert [made.day for made in got] == list(days)
    for made in got:
        rows, times = oracle.list_items(root, made.day, model, as_of, role, weights, roles)
        assert as_rows(made.table) == rows
        assert {"known_through": made.known_through, "next_future": made.next_future} == times
    return got


@pytest.mark.parametrize("engine", HERE)
@given(rng=generate.randoms)
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_items_are_those_of_the_oracle_on_any_small_log(tmp_path_factory, engine, rng):
    root = tmp_path_factory.mktemp("root")
    generate.write(generate.log(rng, DAY, predictions=5, labels=10), root, rng)
    check(engine, root, [DAY], weights=WEIGHTS if rng.random() < 0.3 else None, role=rng.choice(["live", "live", "shadow"]),
          roles=generate.ROLE_WORDS if rng.random() < 0.3 else None)
