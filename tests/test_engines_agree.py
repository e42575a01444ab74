"""Embedded, Spark and MapReduce against the oracle, to the unit, on logs with every awkward case."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from contract.records import PREDICTION
from jobs.engines.question import Question, Slice, fold_case
from tests import generate, oracle
from tests.engines import counted, differences, embedded, mapreduce

DAY = "2026-11-20"
SLICES = (Slice("client", "client"), Slice("camera", "attributes.camera"), Slice("hour", "hour"), Slice("size", "image_size"),
          Slice("latency", "latency"), Slice("decision", "decision"))
WEIGHTS = {"ann": 3 * 2**15, "bob": 2**14, "nobody": 1}
AS_OF = generate.start_of(DAY) + 2 * generate.DAY_US


def check(engine, root, days, as_of=AS_OF, model="m", role="live", weights=None, slices=SLICES, roles=None, **options):
    folded = {fold_case(word): of for word, of in (roles or {}).items()}
    question = Question(model, as_of, role, slices=slices, labeler_weights=weights or {}, roles=folded)
    got = counted(engine, root, days, question, **options)
    wrong = [line for c in got for line in differences(c, oracle.count(
        root, c.day, model, as_of, role, [(s.name, s.expression) for s in slices], weights, roles))]
    assert not wrong, "\n".join(wrong)


def many_days(root, seed, days, **size):
    """A root with that many days, each another random log; gives their names."""
    rng, names = random.Random(seed), [f"2026-11-{d:02}" for d in range(1, days + 1)]
    for day in names:
        generate.write(generate.log(rng, day, **size), root, rng)
    return names


@given(generate.randoms)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_embedded_equals_the_oracle_on_any_small_log(tmp_path_factory, rng):
    root = tmp_path_factory.mktemp("root")
    generate.write(generate.log(rng, DAY, predictions=5, labels=10), root, rng)
    check(embedded(), root, [DAY], weights=WEIGHTS if rng.random() < 0.3 else None, role=rng.choice(["live", "live", "shadow"]),
          roles=generate.ROLE_WORDS if rng.random() < 0.3 else None)


@pytest.mark.parametrize("seed", range(4))
def test_embedded_equals_the_oracle_on_many_days(tmp_path, seed):
    days = many_days(tmp_path, seed, 10, predictions=40, labels=150)
    check(embedded(), tmp_path, days, as_of=generate.start_of("2026-11-07"), weights=WEIGHTS if seed % 2 else None)


@pytest.mark.parametrize("model, role", [("other", "live"), ("m", "shadow"), ("nobody", "live")])
def test_embedded_equals_the_oracle_for_other_models_and_roles(tmp_path, model, role):
    check(embedded(), tmp_path, many_days(tmp_path, 11, 4, predictions=60, labels=100), model=model, role=role)


def test_embedded_keeps_200_values_of_a_slice(tmp_path):
    rng = random.Random(5)
    log = generate.log(rng, DAY, predictions=900, labels=50)
    for i, row in enumerate(log.predictions):
        row |= {"client": f"c{i % 260}" if i % 7 else None, "prediction_id": f"id {i}", "model": "m"}
    generate.write(log, tmp_path, rng)
    check(embedded(), tmp_path, [DAY])
    (counts,) = counted(embedded(), tmp_path, [DAY], Question("m", AS_OF, slices=SLICES[:1]))
    shown = set(counts.tables["slices"]["value"].to_pylist())
    assert len(shown - {None, "other"}) == 200 and {None, "other"} <= shown


@pytest.mark.parametrize("engine", [embedded(), mapreduce])
def test_equal_rows_are_ordered_by_every_column_before_a_slices_own(engine, tmp_path):
    row = {"prediction_id": "id", "predicted_at": generate.start_of(DAY), "model": "m", "model_version": "1",
           "predicted_label": "cat", "confidence": 0.5, "top_probabilities": [0.5]}
    rows = [row | {"image_sha256": "b", "client": "a"}, row | {"image_sha256": "a", "client": "b"},
            row | {"top_probabilities": [0.5, None], "image_sha256": "", "client": "c"}]
    folder = tmp_path / "predictions" / f"dt={DAY}"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, PREDICTION.arrow()), folder / "a.parquet")
    check(engine, tmp_path, [DAY], slices=SLICES[:1])
    (counts,) = counted(engine, tmp_path, [DAY], Question("m", AS_OF, slices=SLICES[:1]))
    assert counts.tables["slices"]["value"].to_pylist() == ["b"]


def test_a_difference_is_shown(tmp_path):
    (day,) = many_days(tmp_path, 3, 1, predictions=5, labels=5)
    (got,) = counted(embedded(), tmp_path, [day], Question("m", AS_OF))
    other = oracle.count(tmp_path, day, "m", AS_OF)
    other["rows"]["vote"] += 1
    assert any("rows vote: engine" in line for line in differences(got, other))


def test_mapreduce_equals_the_oracle(tmp_path):
    days = many_days(tmp_path, 21, 8, predictions=25, labels=80)
    check(mapreduce, tmp_path, days, as_of=generate.start_of("2026-11-06"), weights=WEIGHTS, roles=generate.ROLE_WORDS)


def test_spark_equals_the_oracle(spark, tmp_path):
    from jobs.engines.spark.engine import count

    days = many_days(tmp_path, 31, 3, predictions=40, labels=150)
    check(count, tmp_path, days, as_of=generate.start_of("2026-11-04"), weights=WEIGHTS, slices=SLICES[:2])


@pytest.mark.slow("spark")
@pytest.mark.parametrize("seed", range(3))
def test_spark_equals_the_oracle_on_many_days(spark, tmp_path, seed):
    from jobs.engines.spark.engine import count

    days = many_days(tmp_path, seed, 12, predictions=40, labels=150)
    check(count, tmp_path, days, as_of=generate.start_of("2026-11-08"), weights=WEIGHTS if seed else None)
