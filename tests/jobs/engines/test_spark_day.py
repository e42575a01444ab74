"""What the Spark engine's tasks compute, without Spark: parts of days against the oracle, and their columns by themselves."""

import random
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from contract.errors import Mismatch
from contract.records import LABEL, PREDICTION
from jobs.engines.arrays import Words, sort
from jobs.engines.mapreduce import engine as mapreduce
from jobs.engines.spark import arrays, tasks
from jobs.engines.spark import engine as spark
from jobs.engines.spark.arrays import is_misfiled, number_texts, ranks, sort_columns, sum_by_key
from jobs.engines.spark.cells import confidence_bins, weights_of
from jobs.engines.spark.day import add_parts, count_part, finish_day
from jobs.engines.spark.rows import entries_type
from tests import generate
from tests.jobs import awkward
from tests.test_engines_agree import DAY, WEIGHTS, check, many_days


def whole_days(storage, days, question):
    """Each day as one task counts it."""
    for day in days:
        yield spark.check_day(day, tasks.count_whole_day(storage, day, question))


def in_parts(storage, days, question):
    """Each day in three parts by a hash of the id, added in another order."""
    for day in days:
        both = ((day.predictions, PREDICTION), (day.labels, LABEL))
        tables = [tasks.read_files(storage, files, record) for files, record in both]
        parts = [count_part(day.day, *(part(table, n) for table in tables), question) for n in range(3)]
        yield spark.check_day(day, finish_day(add_parts([parts[2], add_parts(parts[:2])])))


def part(table, n):
    if not table.num_rows:
        return table
    return table.filter(pa.array([zlib.crc32((i or "").encode()) % 3 == n for i in table["prediction_id"].to_pylist()]))


@pytest.mark.parametrize("engine", [whole_days, in_parts])
def test_parts_equal_the_oracle_on_any_small_log(tmp_path_factory, engine):
    @given(generate.randoms)
    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def any_log(rng):
        root = tmp_path_factory.mktemp("root")
        generate.write(generate.log(rng, DAY, predictions=5, labels=10), root, rng)
        check(engine, root, [DAY], weights=WEIGHTS if rng.random() < 0.3 else None)

    any_log()


@pytest.mark.parametrize("engine", [whole_days, in_parts])
@pytest.mark.parametrize("seed", range(3))
def test_parts_equal_the_oracle_on_many_days(tmp_path, seed, engine):
    days = many_days(tmp_path, seed, 10, predictions=40, labels=150)
    check(engine, tmp_path, days, as_of=generate.start_of("2026-11-07"), weights=WEIGHTS if seed % 2 else None)


@pytest.mark.parametrize("seed", range(4))
def test_parts_equal_mapreduce_on_awkward_logs(tmp_path, seed):
    awkward.write(str(tmp_path), awkward.rows_of(seed), seed)
    storage, days = awkward.day_files(str(tmp_path))
    wanted = [awkward.as_python(c) for c in mapreduce.count(storage, days, awkward.QUESTION, runner="inline")]
    assert [awkward.as_python(c) for c in whole_days(storage, days, awkward.QUESTION)] == wanted


def ids_of(rng, n):
    """Ids as long as a UUID, many of them again."""
    made = [generate.uuid7(rng.randrange(10**15), i) for i in range(n)]
    return rng.choices(made, k=2 * n)


@pytest.mark.parametrize("odd", [[], [None], ["short"], ["ä" * 18], [None, "x" * 37]], ids=repr)
def test_equal_texts_have_one_number_and_others_another(odd):
    rng = random.Random(5)
    one, other = ids_of(rng, 300) + odd, ids_of(rng, 300) + odd
    (a, b), many = number_texts(pa.chunked_array([one[:100], one[100:]]), pa.array(other))
    numbers = dict(zip(one + other, [*a, *b], strict=True))
    assert [numbers[text] for text in one + other] == [*a, *b] and numbers.get(None, -1) == -1
    texts = set(one + other) - {None}
    assert sorted(numbers[text] for text in texts) == list(range(len(texts))) and many == len(texts)


def test_ids_whose_hashes_collide_are_told_apart(monkeypatch):
    monkeypatch.setattr(arrays.secrets, "randbits", lambda _: 0)  # the hash is the sum of a text's nine words
    ids = ["aaaabbbb" + "c" * 28, "bbbbaaaa" + "c" * 28, "x" * 36]
    assert arrays._number_by_hash(pa.array(ids)) is None
    (found,), many = number_texts(pa.array(ids))
    assert sorted(found) == list(range(many)) == list(range(len(ids)))


def test_hashes_that_share_their_high_bits_are_sorted_by_the_low_ones():
    key = np.array([5, 3, 4, 2**63 + 1, 2**63, 0, 3], np.uint64)
    assert key[sort(key)[0]].tolist() == sorted(key.tolist())


def test_uuids_of_another_day_are_found_whatever_their_letters():
    start, day = generate.start_of(DAY), generate.DAY_US
    ids = [generate.uuid7(at, 7) for at in (start, start + day - 1, start - 1, start + day, start + day // 2, 0)]
    texts = [text for i in ids for text in (i, i.upper(), i[:12].upper() + i[12:], i[:14] + "4" + i[15:], i + "\n")]
    wrong = [i in (ids[2], ids[3], ids[5]) for i in ids for _ in range(3)]
    wanted = [w for n in range(len(ids)) for w in (*wrong[3 * n:3 * n + 3], False, False)]
    assert is_misfiled(pa.array(texts), DAY).tolist() == wanted
    only = [text for text in texts if len(text) == 36]
    assert is_misfiled(pa.array(only), DAY).tolist() == [w for text, w in zip(texts, wanted, strict=True) if len(text) == 36]
    assert is_misfiled(pa.array([None, texts[2]]), DAY).tolist() == [False, False]


@pytest.mark.parametrize("values, kind", [
    (["b", None, "ä", "a", "b", "\U0001f600", "\uffff"], pa.string()), ([3.5, None, float("nan"), -0.0, 0.0], pa.float64()),
    ([True, None, False], pa.bool_()), ([5, None, -7], pa.int64())], ids=["texts", "numbers", "booleans", "times"])
def test_ranks_follow_the_designs_order(values, kind):
    def key(value):
        if value is None or value != value:
            return (0,) if value is None else (2,)
        return (1, value.encode() if isinstance(value, str) else value)

    order = sorted({key(v) for v in values})
    found = ranks(pa.array(values, kind))
    places = {f: n for n, f in enumerate(sorted(set(found.tolist())))}
    assert [places[f] for f in found.tolist()] == [order.index(key(v)) for v in values]


def test_lists_compare_by_their_elements_and_maps_by_their_keys():
    lists = [None, [], [None], [None, "a"], ["a"], ["a", None], ["a", "b"], ["b"]]
    columns = sort_columns(pa.array(lists, pa.list_(pa.string())))
    assert np.lexsort(columns[::-1]).tolist() == list(range(len(lists)))
    maps = [[("b", "1"), ("a", "2")], [("a", "2"), ("b", "1")], [("a", "1"), ("c", "0")]]
    found = np.stack(sort_columns(pa.array(maps, pa.map_(pa.string(), pa.string())).cast(entries_type())))
    assert found[:, 0].tolist() == found[:, 1].tolist() and np.lexsort(found[::-1])[0] == 2


def test_words_in_several_dictionaries_have_one_code():
    column = pa.chunked_array([pa.array(["b", None, "a"]).dictionary_encode(), pa.array(["c", "b"]).dictionary_encode()])
    words = Words.of(column, pa.array(["d"]))
    codes = words.codes(column)
    assert words.texts.to_pylist() == ["a", "b", "c", "d"] and codes.tolist() == [1, -1, 0, 2, 1]
    assert words.decode(codes).to_pylist() == column.to_pylist() and (words.code("c"), words.code("e")) == (2, -1)


def test_sums_by_keys_that_do_not_fit_into_one_number():
    rng = np.random.default_rng(3)
    keys = [rng.integers(-2**40, 2**40, 4).take(rng.integers(0, 4, 500)) for _ in range(4)]
    row, (total,), n = sum_by_key(keys, [np.arange(500)])
    wanted = {}
    for place, key in enumerate(zip(*(k.tolist() for k in keys), strict=True)):
        wanted.setdefault(key, []).append(place)
    found = {tuple(int(k[r]) for k in keys): (int(t), int(m)) for r, t, m in zip(row, total, n, strict=True)}
    assert found == {key: (sum(of), len(of)) for key, of in wanted.items()}


def test_bins_and_weights_at_their_bounds():
    edges = np.array([k / 20 for k in range(21)])
    assert confidence_bins(edges).tolist() == [*range(20), 19]
    assert confidence_bins(np.nextafter(edges, -1)).tolist() == [-1, *range(20)]
    assert confidence_bins(np.array([np.nan, np.inf, -0.0, 1.5])).tolist() == [-1, -1, 0, -1]
    p = np.array([2.0**-20, np.nextafter(2.0**-20, 0), 1.0, np.nextafter(1, 2), np.nan, 0.0, 1 / 3])
    assert weights_of(p).tolist() == [2**36, 0, 2**16, 0, 0, 0, 3 * 2**16]


def test_bytes_that_are_no_text_are_refused(tmp_path):
    table = pa.table({"prediction_id": pa.array([b"\xff" * 36]).cast(pa.binary())})
    pq.write_table(pa.Table.from_arrays([pa.Array.from_buffers(pa.string(), 1, table["prediction_id"].chunk(0).buffers())],
                                        ["prediction_id"]), tmp_path / "bad.parquet")
    from jobs.engines.question import RawFile

    file = RawFile("bad.parquet", 0, "", 1, 1, {"prediction_id": pa.string()})
    with pytest.raises(pa.ArrowInvalid, match="(?i)utf8"):
        tasks._read_file(None, str(tmp_path / "bad.parquet"), file, PREDICTION)


def test_a_column_that_is_gone_since_the_footers_were_read_is_named(tmp_path):
    awkward.write(str(tmp_path), awkward.rows_of(3, 5), 3, files=1)
    storage, (day, *_) = awkward.day_files(str(tmp_path))
    (file,) = day.predictions
    path = storage.path(file.key)
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["model"]), path)
    with pytest.raises(Mismatch, match="got none of .*model.* The file changed"):
        tasks.count_whole_day(storage, day, awkward.QUESTION)


def test_what_is_wrong_travels_as_it_is():
    with pytest.raises(Mismatch, match="a file changed"):
        tasks.deserialize(tasks.serialize(Mismatch("a file changed")))


def test_bytes_that_are_no_text_are_refused_after_a_shuffle_too():
    bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff" * 36]).buffers())
    batch = pa.record_batch([bad, pa.array(["labels"])], ["prediction_id", tasks.TABLE])
    with pytest.raises(pa.ArrowInvalid, match="(?i)utf8"):
        list(tasks._count_batches(iter([batch]), DAY, awkward.QUESTION, tasks.COUNTS))
