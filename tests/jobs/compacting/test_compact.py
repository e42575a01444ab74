"""Many small files become few: the same rows for every reader, counts that stay good, nothing lost to others at work."""

import json
import random
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import layout
from contract.counts_store import CountsDocument
from contract.errors import DamagedDocument, Mismatch
from contract.records import LABEL, PREDICTION
from contract.rows.listing import list_day, list_rows, was_packed
from contract.storage import open_root, open_storage
from jobs import compact, evaluate, import_table
from jobs.compacting import folder
from jobs.compacting.folder import Folder
from jobs.engines.question import Question
from pipeline.running.emr import measure_uncounted
from tests import engines, generate, oracle
from tests.jobs.compacting.small_files import DAY, LATER, NOW, TABLES, make, others, ours, put, step

MODEL, AS_OF = "m", 1_800_000_000_000_000


@pytest.fixture(params=["folder", "s3"])
def both(request):
    """A day in many files, on a disk and on S3."""
    return make(request.getfixturevalue("tmp_root" if request.param == "folder" else "s3_root"))


def visible(storage, table="predictions"):
    return [e.key for e in storage.list(f"{table}/") if layout.holds_rows(e.key)]


def test_many_files_become_one_for_each_schema_and_rows_and_names_stay(both):
    before, seen, names = ours(both), others(both), visible(both)
    first = step(both, LATER)
    assert [(d.packed, d.into) for d in first] == [(8, 2), (8, 2)] and first[0].waits_until
    assert ours(both) == before and visible(both) == names and others(both) == seen
    assert len(list_rows(both, "predictions", DAY)) == 2
    assert step(both, LATER)[0].shown == 0, "a reader may have listed the originals"
    assert [d.shown for d in step(both)] == [2, 2]
    assert ours(both) == before and others(both) == seen and len(visible(both)) == 2
    step(both)
    assert ours(both) == before and others(both) == seen
    assert len(list(both.list("predictions/"))) == 3 and not compact.has_news(step(both)[0])


@pytest.mark.parametrize("engine", [engines.embedded, lambda: engines.mapreduce, lambda: engines.spark_here],
                         ids=["embedded", "mapreduce", "spark"])
def test_every_engine_counts_the_same_packed_and_shown(tmp_root, engine):
    storage, question = make(tmp_root), Question(MODEL, AS_OF)
    expected = oracle.count(tmp_root, DAY, MODEL, AS_OF)
    for settings in (LATER, NOW):
        step(storage, settings)
        (counts,) = engines.counted(engine(), tmp_root, [DAY], question)
        assert not engines.differences(counts, expected)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow("seeds")) for n in range(2, 40))])
def test_files_in_every_form_that_is_read_are_packed_or_left(tmp_root, seed):
    """Dictionaries, large strings, times in ms and ns, NaN, files without the schema in their metadata."""
    rng = random.Random(seed)
    storage = open_storage(tmp_root)
    generate.write(generate.seeded(seed, day=DAY, predictions=12, labels=12), tmp_root, rng)
    for entry in list(storage.list("")):  # the same form twice, so that there is what to pack it with
        if entry.key.endswith(".parquet"):
            storage.put(entry.key.replace(".parquet", "-again.parquet"), storage.read(entry.key))
    question, before = Question(MODEL, AS_OF), ours(storage)
    (wanted,) = engines.counted(engines.embedded(), tmp_root, [DAY], question)
    done = step(storage)
    assert sum(one.packed for one in done) > 0 or all(one.left for one in done)
    for _ in range(2):
        assert ours(storage) == before
        (counts,) = engines.counted(engines.embedded(), tmp_root, [DAY], question)
        assert counts.rows == wanted.rows and all(t.equals(wanted.tables[n]) for n, t in counts.tables.items())
        step(storage)


def test_what_was_counted_is_not_counted_again(tmp_root, capsys, monkeypatch):
    storage = make(tmp_root)
    open_root(tmp_root, create=True)
    options = ["--root", tmp_root, "--model", MODEL, "--from", DAY, "--to", DAY, "--as-of", "2027-01-01", "--json"]
    assert evaluate.main(options) == 0
    first = figures(capsys)
    monkeypatch.setattr("jobs.engines.embedded.engine.count", lambda *a, **k: pytest.fail("counted again"))
    for _ in range(3):
        step(storage)
        assert evaluate.main(options) == 0
        assert figures(capsys) == first
        assert list(measure_uncounted(storage, MODEL, None, None)) == []
    key = next(e.key for e in storage.list(layout.counts(MODEL, DAY)) if e.key.endswith(".json"))
    assert CountsDocument.load(storage, key).files == list_day(storage, DAY).fingerprint()


def figures(capsys):
    """What an evaluation says, but for the example of a doubtful row, which is the first that is come upon, and its name."""
    return {k: v for k, v in json.loads(capsys.readouterr().out).items() if k not in ("doubts", "id")}


def test_rows_that_come_while_it_packs_and_later_are_read_beside(tmp_root, monkeypatch):
    storage = make(tmp_root)
    late = generate.seeded(9, day=DAY, predictions=6, labels=6)
    before, names = ours(storage)
    pack, come = folder.pack, [lambda: put(tmp_root, "labels", LABEL, late.labels, "late")]
    monkeypatch.setattr(folder, "pack", lambda sources: ([come.pop()() for _ in come[:1]], pack(sources))[1])
    step(storage, tables=("labels",))
    rows, now = ours(storage)
    assert rows - before and not before - rows and len(now) == len(names) + 1
    monkeypatch.undo()
    put(tmp_root, "labels", LABEL, late.labels[:1], "later")
    rows, now = ours(storage)
    for _ in range(5):
        step(storage, tables=("labels",))
        assert ours(storage) == (rows, now) and others(storage) == rows
    assert len(visible(storage, "labels")) == 2, "late rows join the packed file of their schema"


def test_of_two_at_once_one_packs_and_the_other_leaves_nothing(tmp_root):
    storage = make(tmp_root)
    before = ours(storage)
    one, other = (Folder(storage, "labels", DAY, NOW) for _ in range(2))
    assert one.advance().packed == 8 and other.advance().packed == 0
    assert ours(storage) == before
    one, other = (Folder(storage, "labels", DAY, NOW) for _ in range(2))
    assert one.advance().shown == 2 and other.advance().shown == 0
    for _ in range(2):
        assert ours(storage) == before
        step(storage, tables=("labels",))
    assert len(list(storage.list("labels/"))) == 3


def test_one_that_stalls_for_days_brings_back_no_file_that_counts(tmp_root, monkeypatch):
    """It shows what was shown, packed with late rows and removed since."""
    storage = make(tmp_root)
    step(storage)
    stalled = Folder(storage, "labels", DAY, NOW)
    for n in range(4):
        put(tmp_root, "labels", LABEL, [{"label_id": f"{n}", "prediction_id": "p", "label": "a", "labeler": "z",
                                         "labeled_at": 1_763_700_000_000_000, "origin": "audit"}], f"late{n}")
        step(storage)
    wanted = ours(storage)
    monkeypatch.setattr(stalled, "_append", lambda parts: None)
    with pytest.raises(Mismatch, match="expected a packed file, found none. Run compact again"):
        stalled.show()
    storage.put(stalled.newest.parts[0].key, b"what it wrote before it saw")
    assert ours(storage) == wanted
    step(storage)
    assert stalled.newest.parts[0].key not in visible(storage, "labels") and ours(storage) == wanted


def test_a_file_that_was_packed_is_not_written_again(tmp_root):
    storage = make(tmp_root)
    rows = [{**dict.fromkeys(LABEL.names), "prediction_id": f"p{n}", "label": "a", "labeler": "x",
             "labeled_at": 1_763_700_000_000_000} for n in range(2)]
    rows = [row | {"labeled_at": pa.scalar(row["labeled_at"], pa.timestamp("us", "UTC")).as_py()} for row in rows]
    key = import_table.write(storage, "labels", DAY, rows)
    wanted = ours(storage)
    for _ in range(3):
        step(storage)
    assert was_packed(storage, "labels", DAY, key) or key in visible(storage, "labels")
    assert import_table.write(storage, "labels", DAY, rows) == key
    assert ours(storage) == wanted


def test_a_file_of_others_that_is_written_anew_under_its_name_is_read(tmp_root):
    storage = make(tmp_root)
    key = visible(storage)[0]
    step(storage)
    assert key not in [e.key for e in list_rows(storage, "predictions", DAY)]
    time.sleep(0.01)  # on a disk the time is the etag
    written = put(tmp_root, "predictions", PREDICTION, [dict.fromkeys(PREDICTION.names) | {"prediction_id": "new"}], "anew")
    storage.put(key, storage.read(written))
    storage.delete(written)
    assert key in [e.key for e in list_rows(storage, "predictions", DAY)]
    assert any("('prediction_id', 'new')" in row for row in ours(storage)[0])


def test_a_file_that_changes_while_it_is_packed_stops_that_day(tmp_root, monkeypatch):
    storage, pack = make(tmp_root), folder.pack
    key = visible(storage)[0]
    monkeypatch.setattr(folder, "pack", lambda sources: (storage.put(key, b"x"), pack(sources))[1])
    with pytest.raises(Mismatch, match="expected a file that nobody changes"):
        step(storage)
    assert all(not file.made_of for file in list_rows(storage, "predictions", DAY))


def test_files_that_cannot_be_read_or_fit_no_other_stay_and_are_named(tmp_root):
    storage = make(tmp_root)
    storage.put(f"predictions/dt={DAY}/broken.parquet", b"no parquet")
    storage.put(f"predictions/dt={DAY}/_SUCCESS", b"")
    pq.write_table(pa.table({"prediction_id": [7]}), storage.path(f"predictions/dt={DAY}/alone.parquet"))
    done = step(storage)[0]
    assert done.packed == 8 and {key.rpartition("/")[2]: why[:16] for key, why in done.left.items()} == {
        "alone.parquet": "no other small f", "broken.parquet": "it cannot be rea"}
    step(storage)
    assert {"alone.parquet", "broken.parquet"} < {key.rpartition("/")[2] for key in visible(storage)}


def test_times_that_would_change_their_form_stay(tmp_root):
    """int96, as old Spark writes: pyarrow would write another type, which Spark reads as another one."""
    storage = make(tmp_root)
    at = pa.array([1_763_700_000_000_000], pa.timestamp("us"))
    for n in range(3):
        pq.write_table(pa.table({"prediction_id": [f"{n}"], "predicted_at": at}),
                       storage.path(f"predictions/dt={DAY}/old{n}.parquet"), use_deprecated_int96_timestamps=True)
    done = step(storage)[0]
    assert done.packed == 8 and set(done.left.values()) == {"its types are not the same when it is written again"}


def test_damage_is_named_and_nothing_is_removed(tmp_root):
    storage = make(tmp_root)
    before = visible(storage)
    step(storage)
    part = next(f.key for f in list_rows(storage, "predictions", DAY))
    whole = storage.read(part)
    storage.put(part, whole[:-1] + b"x")
    with pytest.raises(Mismatch, match="expected the packed file of sha256"):
        step(storage)
    assert visible(storage) == before
    storage.put(part, whole)
    storage.put(layout.compactions("predictions", DAY).format(1), b"{")
    with pytest.raises(DamagedDocument, match="_compacted/00000001.json"):
        list_rows(storage, "predictions", DAY)


def test_a_copy_of_the_visible_files_alone_is_a_root_of_its_own(tmp_root, tmp_path):
    """As restored by a tool that leaves out hidden names."""
    storage = make(tmp_root)
    before, _ = ours(storage)
    for _ in range(2):
        step(storage)
    copy = open_storage(str(tmp_path / "copy"))
    for table, _ in TABLES:
        for key in visible(storage, table):
            copy.put(key, storage.read(key))
    assert ours(copy)[0] == before


def test_the_command_says_what_it_does_and_what_it_would(tmp_root, capsys):
    make(tmp_root)
    common = ["--root", tmp_root, "--set", "compact.grace_hours=0"]

    def say(*options, code=0):
        assert compact.main([*common, *options]) == code
        return capsys.readouterr().out

    assert "predictions of 2026-11-20: 8 files would be put together" in say("--dry-run", "--day", DAY)
    assert "8 files put together into 2," in say("--day", DAY)
    assert "2 packed files would be shown" in say("--dry-run", "--day", DAY)
    document = json.loads(say("--day", DAY, "--json"))
    assert [(d["table"], d["shown"], d["removed"]) for d in document["done"]] == [("predictions", 2, 8), ("labels", 2, 8)]
    say("--day", DAY)
    assert say("--day", DAY) == "Nothing to put together on 1 day.\n"
    assert say("--before", DAY) == "Nothing to put together on 0 days.\n"
    open_storage(tmp_root).put(layout.compactions("labels", DAY).format(9), b"{")
    assert "_compacted/00000009.json" in say("--day", DAY, code=1)
    say("--day", DAY, "--before", DAY, code=2)


@pytest.mark.slow("spark")
def test_spark_of_an_analyst_and_the_spark_engine_read_packed_and_shown(spark, tmp_root):
    from jobs.engines.spark.engine import count

    storage = make(tmp_root)
    rows = sum(pq.read_metadata(storage.path(key)).num_rows for key in visible(storage))
    expected = oracle.count(tmp_root, DAY, MODEL, AS_OF)
    for settings in (LATER, NOW):
        step(storage, settings)
        assert spark.read.parquet(f"{storage.root}/predictions").count() == rows
        (counts,) = engines.counted(count, tmp_root, [DAY], Question(MODEL, AS_OF))
        assert not engines.differences(counts, expected)
