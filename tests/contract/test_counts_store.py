"""Counts as they lie in the bucket: found by what they were made from, good for a span of moments, never changed."""

import pyarrow as pa
import pytest

from contract import counts_store
from contract.counts import ROWS, TABLES, DayCounts, empty_tables
from contract.counts_store import CountsDocument
from contract.errors import Mismatch
from contract.evaluations import is_verdict
from contract.storage import open_storage
from tests import figures

DAY = "2026-11-20"


def counts(n=3, known=50, future=None):
    people = pa.Table.from_pylist([{"labeler": "ann", "votes": n, "agreements": n}], TABLES["people"].arrow())
    return DayCounts(DAY, empty_tables() | {"people": people}, dict.fromkeys(ROWS, n), known, future)


def store(storage, made, inputs="abc"):
    document = CountsDocument.of(made, model="a/b", role="live", inputs=inputs, files=[["k", "1", "e"]])
    return counts_store.write(storage, document, made)


def test_read_gives_what_was_written(tmp_root):
    storage = open_storage(tmp_root)
    store(storage, counts())
    found = counts_store.read(storage, counts_store.find(storage, "a/b", DAY, "abc", 60))
    assert found == counts()
    assert counts_store.load(storage, "a/b", DAY, "abc/50") == counts()


def test_the_newest_that_is_good(tmp_root):
    storage = open_storage(tmp_root)
    store(storage, counts(1, known=50, future=70))
    store(storage, counts(2, known=70, future=90))
    found = {t: counts_store.find(storage, "a/b", DAY, "abc", t) for t in (49, 50, 69, 70, 89, 90)}
    assert {t: d and d.known_through for t, d in found.items()} == {49: None, 50: 50, 69: 50, 70: 70, 89: 70, 90: None}
    assert counts_store.find(storage, "a/b", DAY, "other", 60) is None


def test_writing_the_same_again_changes_nothing(tmp_root):
    storage = open_storage(tmp_root)
    store(storage, counts())
    before = list(storage.list())
    store(storage, counts())
    assert list(storage.list()) == before and len(before) == 2


def test_other_counts_of_the_same_inputs_are_an_error(tmp_root):
    storage = open_storage(tmp_root)
    store(storage, counts(3))
    with pytest.raises(Mismatch, match="abc/50.json: expected the counts just made, found others"):
        store(storage, counts(4))


def test_counts_without_the_newest_kinds_of_rows_are_read_and_stay(tmp_root):
    """An earlier release did not count impossible values: 0 as it is read, and counting again finds no contradiction."""
    storage, made = open_storage(tmp_root), counts()
    old = {name: n for name, n in made.rows.items() if not name.startswith("impossible_")}
    store(storage, DayCounts(DAY, made.tables, old, made.known_through))
    found = counts_store.load(storage, "a/b", DAY, "abc/50")
    assert found.rows == old | {"impossible_predictions": 0, "impossible_labels": 0}
    assert store(storage, made).rows == made.rows


def test_a_table_that_is_gone_is_an_error(tmp_root):
    storage = open_storage(tmp_root)
    document = store(storage, counts())
    storage.delete(document.folder + document.tables["people"])
    with pytest.raises(Mismatch, match="people-.*parquet: expected a table of counts .* Count again with --full"):
        counts_store.read(storage, document)
    store(storage, counts())
    assert counts_store.read(storage, document) == counts()


def test_counts_of_other_rules_are_not_judged(tmp_root):
    """An older release's evaluation names tables that lack what is asked of them now."""
    made = figures.document(figures.day([figures.cell("a", "a")])) | {"rules": "1"}
    with pytest.raises(Mismatch, match=r"expected counts by rules 2, got some by rules 1\. Evaluate again"):
        counts_store.load_all(open_storage(tmp_root), made)
    assert not is_verdict(made) and is_verdict(made | {"rules": "2"})
