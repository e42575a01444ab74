"""The index of a dataset is read only as the file that the manifest names."""

import hashlib
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import layout
from contract.documents.manifest import LeakageCheck, Manifest, Table, read_index, read_index_file
from contract.errors import Mismatch, NotFound
from contract.storage import open_storage

KEY = layout.dataset_index(layout.dataset_attempt("d", "attempt-1"))


@pytest.fixture
def store(tmp_root):
    sink = io.BytesIO()
    pq.write_table(pa.table({"image_sha256": ["a", "b"], "split": ["train", "holdout"]}), sink)
    made = open_storage(tmp_root)
    made.put(KEY, sink.getvalue())
    return made


@pytest.fixture
def made(store):
    def table(key, data):
        return Table(key=key, sha256=hashlib.sha256(data).hexdigest(), rows=2)

    return Manifest(dataset="d", attempt="attempt-1", model="m", created_at="t", as_of="t", classes=["x"], rows={},
                    per_class={}, label_sources={}, replayed={}, files=[], index=table(KEY, store.read(KEY)), left_out={},
                    listed=table("listed", b""), settings={}, split_by="", common_metadata={},
                    leakage=LeakageCheck(images_in_two_splits=0, near_bits=0, near_left_out=0))


def test_all_rows_or_some_columns(store, made):
    whole = read_index(store, made)
    assert whole.num_rows == 2 and whole["labelers"].to_pylist() == whole["decoded_by"].to_pylist() == [None] * 2
    assert read_index(store, made, ("split",)).to_pydict() == {"split": ["train", "holdout"]}
    # One of an earlier release does not say who gave the labels.
    assert read_index(store, made, ("labelers", "split")).to_pydict() == {"labelers": [None] * 2, "split": ["train", "holdout"]}


def test_another_file_is_refused_whatever_it_holds(store, made):
    sink = io.BytesIO()
    pq.write_table(pa.table({"image_sha256": ["c"], "split": ["train"]}), sink)
    store.put(KEY, sink.getvalue())
    with pytest.raises(Mismatch, match="expected the sha256 .* of its manifest, got another"):
        read_index(store, made, ("split",))


def test_an_index_that_is_gone_is_said_to_be(store, made):
    store.delete(KEY)
    with pytest.raises(NotFound, match="dataset d: its index .* is gone, so nobody can tell what was trained on"):
        read_index(store, made)


def test_an_attempt_that_no_manifest_names_has_no_hash_but_must_be_readable(store):
    assert read_index_file(store, KEY, None).num_rows == 2
    store.put(KEY, b"half")
    with pytest.raises(Mismatch, match="got a file that cannot be read"):
        read_index_file(store, KEY, None)
