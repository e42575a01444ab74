"""Replayed rows of several versions share their ids: asked for one version, all engines count that one's rows and no others."""

import random

import pytest

from command.load_settings import load
from contract.errors import UsageError
from jobs.engines.question import DayFiles, Question, Slice
from jobs.evaluation_request import request_of
from tests import generate, oracle
from tests.engines import counted, differences, embedded, mapreduce, spark_here
from tests.test_items_agree import as_rows, embedded_items, listed, mapreduce_items, spark_items_here

AS_OF = generate.start_of("2026-11-20")
SLICES = (Slice("client", "client"), Slice("hour", "hour"))


def replayed_days(root, seed, days):
    """Days on which versions 1, 2, 10 and stranger ones answered the same ids, most rows of role replay."""
    rng, names = random.Random(seed), [f"2026-11-{d:02}" for d in range(1, days + 1)]
    for day in names:
        log = generate.log(rng, day, predictions=60, labels=90)
        for row in log.predictions:
            row["role"] = rng.choice(["replay", "Replay", "replay", "live", row["role"]])
        generate.write(log, root, rng)
    return names


@pytest.mark.parametrize("engine, version", [(embedded(), "1"), (embedded(), "nobody's"), (spark_here, "10"),
                                             (spark_here, "nobody's"), (mapreduce, "1")])
def test_counts_are_those_of_the_oracle(tmp_path, engine, version):
    days = replayed_days(tmp_path, 7, 3)
    got = counted(engine, tmp_path, days, Question("m", AS_OF, "replay", slices=SLICES, version=version))
    wrong = [line for c in got for line in differences(c, oracle.count(
        tmp_path, c.day, "m", AS_OF, "replay", [(s.name, s.expression) for s in SLICES], version=version))]
    assert not wrong, "\n".join(wrong)
    found = {v for c in got for v in c.tables["cells"]["model_version"].to_pylist()}
    assert found == ({version} if version in ("1", "10") else set())


@pytest.mark.parametrize("engine", [embedded_items, spark_items_here, mapreduce_items])
def test_items_are_those_of_the_oracle(tmp_path, engine):
    days = replayed_days(tmp_path, 8, 3)
    made_of_days = listed(engine, tmp_path, days, Question("m", AS_OF, "replay", version="2"))
    assert sum(made.table.num_rows for made in made_of_days) > 0
    for made in made_of_days:
        rows, times = oracle.list_items(tmp_path, made.day, "m", AS_OF, "replay", version="2")
        assert as_rows(made.table) == rows
        assert {"known_through": made.known_through, "next_future": made.next_future} == times


def test_two_versions_collide_unless_one_is_asked_for(tmp_path):
    """What the option is for: without it rule 2 keeps one row of an id, the other version's rows are duplicates."""
    (day,) = replayed_days(tmp_path, 9, 1)
    (both,) = counted(embedded(), tmp_path, [day], Question("m", AS_OF, "replay"))
    one, two = (counted(embedded(), tmp_path, [day], Question("m", AS_OF, "replay", version=v))[0] for v in ("1", "2"))
    assert both.rows["duplicate_predictions"] > one.rows["duplicate_predictions"] + two.rows["duplicate_predictions"]


def test_the_hash_of_other_questions_stays_as_it_was():
    files = DayFiles("2026-11-01", (), ())
    names = {Question("m", AS_OF, "replay", version=v).inputs(files) for v in (None, "1", "2")}
    assert len(names) == 3 and Question("m", AS_OF).inputs(files) == "a0a38140e7d5646c"


def test_one_version_is_asked_for_in_the_role_replay_alone(tmp_path):
    with pytest.raises(UsageError, match="expected --role replay"):
        request_of(load(root=str(tmp_path), model="m"), None, (), "shadow", None, (), "1")
