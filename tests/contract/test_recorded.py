"""What is read through a store is noted, and can be looked at later as if nothing else had come."""

import hashlib

import pytest

from contract import layout
from contract.errors import NotFound, RootError
from contract.registry import Registry
from contract.storage import open_root, open_storage
from contract.stores.hashing import hash_object, read_pieces
from contract.stores.recorded import PinnedStorage, RecordedReads
from jvm import task_store
from tests.pipeline.roots import MODEL, make_root


@pytest.fixture(params=["folder", "s3"])
def storage(request):
    """A root with some objects, on a disk and on S3."""
    storage = open_root(request.getfixturevalue("tmp_root" if request.param == "folder" else "s3_root"), create=True)
    for key in ("models/a/x.json", "models/a/sub folder/y.json", "models/b/z.json"):
        storage.put(key, key.encode())
    return storage


def test_reads_are_noted_with_their_hash(storage):
    seen = RecordedReads(storage, passing=["models/b/z.json"])
    assert seen.read("models/a/x.json") == b"models/a/x.json" and seen.read("models/b/z.json")
    with pytest.raises(NotFound):
        seen.read("models/none")
    assert seen.seen == {"models/a/x.json": hashlib.sha256(b"models/a/x.json").hexdigest()}


@pytest.mark.parametrize("view", [RecordedReads, lambda storage: PinnedStorage(storage, ["models/a/x.json"])])
def test_a_task_is_told_where_the_store_is_through_a_view_too(storage, view):
    """A task on another machine has only what it is told: endpoint and region of a bucket, the id of a folder."""
    told = task_store.describe(storage)
    assert task_store.describe(view(view(storage))) == told and told[1]


def test_only_what_is_pinned_is_seen(storage):
    pinned = PinnedStorage(storage, ["models/a/x.json", "models/a/sub folder/y.json", "models/gone"], {"models/c/w.json": b"new"})
    assert pinned.folders("models/") == ["a", "c"] and pinned.folders("models/a/") == ["sub folder"]
    assert [e.key for e in pinned.list("models/")] == ["models/a/sub folder/y.json", "models/a/x.json", "models/c/w.json"]
    assert pinned.read("models/c/w.json") == b"new" and not pinned.exists("models/b/z.json")
    for key in ("models/b/z.json", "models/gone"):
        with pytest.raises(NotFound):
            pinned.read(key)
    for write in (pinned.create, pinned.put):
        with pytest.raises(RootError, match="only read"):
            write("models/d", b"")
    assert PinnedStorage(storage, None).folders("models/") == ["a", "b"]
    beside = PinnedStorage(storage, ["models/a/x.json"], beside=("models/b/",))
    assert beside.exists("models/b/z.json") and not beside.exists("models/a/sub folder/y.json")
    assert [e.key for e in beside.list("models/b/")] == ["models/b/z.json"] and beside.read("models/b/z.json")


def test_a_large_object_is_hashed_piece_by_piece(storage):
    data = bytes(range(256)) * 50_000
    storage.put("models/large file", data)
    assert hash_object(storage, "models/large file") == hashlib.sha256(data).hexdigest()
    with pytest.raises(NotFound):
        list(read_pieces(storage, "models/none"))


def test_a_registry_answers_as_it_did_then(tmp_root):
    make_root(tmp_root, right=1, n=2)
    storage = open_storage(tmp_root)
    seen = RecordedReads(storage, passing=[layout.live(MODEL)])
    assert Registry(seen, MODEL).newest().seq == 1 and Registry(seen, MODEL).card("1")
    Registry(storage, MODEL).change({"kind": "alias", "by": "ana"}, {"aliases": {"x": "1"}}, "1")
    then = Registry(PinnedStorage(storage, seen.seen), MODEL)
    assert (Registry(storage, MODEL).newest().seq, then.newest().seq, then.versions()) == (2, 1, ["1"])
