"""Reading: order, borders, and files that are not what the manifest says."""

import pickle
from itertools import product

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.documents.card import Preprocess
from contract.errors import Mismatch
from training.feed import reader
from training.feed.feed import Feed
from training.feed.world import World, shuffle_files


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_ranks_together_read_every_row_once_in_the_order_of_the_epoch(world, size):
    files = [world.made.split("train")[n] for n in shuffle_files(len(world.made.split("train")), 1, 3)]
    rows = world.made.rows["train"]
    spans = [World(rank, size, rows, 16).span() for rank in range(size)]
    read = [s.image_sha256 for span in spans for s in reader.read_rows(world.storage, files, *span)]
    keys = [world.storage.path(f.key) for f in files]
    assert read == [h for key in keys for h in pq.ParquetFile(key).read(["image_sha256"]).column(0).to_pylist()]
    assert len(read) == rows


def test_reading_never_sleeps_in_petastorms_pool(world, monkeypatch):
    naps = []
    monkeypatch.setattr("petastorm.workers_pool.dummy_pool.sleep", naps.append)
    files = world.made.split("train")
    assert sum(f.row_groups for f in files) > 6  # twice what it lists at a time
    assert len(list(reader.read_rows(world.storage, files, 0, world.made.rows["train"]))) == world.made.rows["train"]
    assert naps == []


def test_batches_are_the_same_whoever_decodes_them(world):
    files = world.made.split("train")
    found = []
    for threads, forked in product((1, 8), (False, True)):
        with Feed(world.storage, Preprocess(resize=32, crop=32), threads, forked) as feed:
            found.append([(b.hashes, b.labels.tolist(), b.images.sum().item()) for b in feed.batches(files, 5, [7, 0, 9])])
    rows = reader.read_rows(world.storage, files, 5, 21)
    assert [h for hashes, _, _ in found[0] for h in hashes] == [row.image_sha256 for row in rows]
    assert found == [found[0]] * 4


def test_a_file_with_other_rows_is_a_mismatch(world):
    file = world.made.split("train")[-1]
    path = world.storage.path(file.key)
    pq.write_table(pq.ParquetFile(path).read().slice(1), path)
    with pytest.raises(Mismatch, match="expected .* rows by the manifest"):
        list(reader.read_rows(world.storage, world.made.split("train"), 0, world.made.rows["train"]))


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)  # builtins pass Petastorm's own check of names


def test_a_hostile_common_metadata_is_never_opened(world, tmp_path):
    trace = tmp_path / "trace"
    key = f"datasets/{world.made.dataset}/{world.made.attempt}/train/_common_metadata"
    schema = pa.schema([("x", pa.int32())], {b"dataset-toolkit.unischema.v1": pickle.dumps(Payload(trace))})
    pq.write_metadata(schema, world.storage.path(key))
    assert len(list(reader.read_rows(world.storage, world.made.split("train"), 0, 20))) == 20
    assert not trace.exists()
    from petastorm import make_reader

    with pytest.raises(AttributeError):  # it takes what the payload returned for a schema
        make_reader(f"file://{world.storage.path(key).parent}", reader_pool_type="dummy")
    assert trace.exists()  # so the payload was a real one
