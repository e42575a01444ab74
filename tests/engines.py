"""What the engines count of a root, in this process, and how it differs from the oracle's."""

from contract.counts import TABLES, DayCounts, keys_of
from contract.storage import open_storage
from jobs.engines import day_files


def counted(engine, root, days, question, **options):
    """What an engine says of these days of a root."""
    storage = open_storage(str(root))
    listed, left_out = day_files.read_footers(storage, [day_files.list_day(storage, d) for d in days], question.slices)
    assert not left_out
    found = list(engine(storage, listed, question, **options))
    assert [counts.day for counts in found] == list(days)
    return found


def differences(counts, expected):
    """One readable line for each key on which the two do not agree."""
    found = {name: as_dict(name, counts.tables[name]) for name in TABLES}
    found |= {"rows": counts.rows, "known": {"known_through": counts.known_through, "next_future": counts.next_future}}
    wanted = expected | {"known": {k: expected[k] for k in ("known_through", "next_future")}}
    return [f"{counts.day} {name} {key}: engine {found[name].get(key)}, oracle {wanted[name].get(key)}"
            for name in found for key in sorted({*found[name], *wanted[name]}, key=repr)
            if found[name].get(key) != wanted[name].get(key)]


def as_dict(name, table):
    keys, values = keys_of(name), [n for n in table.schema.names if n not in keys_of(name)]
    return {tuple(row[k] for k in keys): tuple(int(row[v]) for v in values) for row in table.to_pylist()}


def embedded():
    from jobs.engines.embedded.engine import count

    return count


def mapreduce(storage, days, question):
    from jobs.engines.mapreduce.engine import count

    return count(storage, days, question, runner="inline")


def spark_here(storage, days, question):
    """What a task of the Spark engine counts, without Spark."""
    from jobs.engines.spark.tasks import count_whole_day

    for day in days:
        part = count_whole_day(storage, day, question)
        yield DayCounts(day.day, part.tables, part.rows, max(part.known, default=0), min(part.future, default=None))
