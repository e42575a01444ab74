"""One suite for every store: a folder, and S3 as moto's server speaks it."""

import re
import shutil
import threading
import time
from functools import partial

import pytest

from contract.errors import AlreadyExists, NotFound, RootError, UsageError
from contract.layout import MARKER
from contract.storage import explain_lost_root, open_root, open_storage
from contract.stores.s3_versions import require_versions
from contract.stores.store import Storage, create_if_absent


@pytest.fixture(params=["folder", "s3"])
def store(request):
    """An empty store of each kind."""
    return open_storage(request.getfixturevalue("tmp_root" if request.param == "folder" else "s3_root"))


def keys(store, prefix=""):
    return [e.key for e in store.list(prefix)]


def test_what_was_put_is_read(store):
    store.put("a/b.json", b"one")
    store.put("a/b.json", b"two")
    assert store.read("a/b.json") == b"two"
    assert store.exists("a/b.json") and not store.exists("a")


def test_what_is_not_there_is_not_found(store):
    for key in ("nothing", "a/b"):
        with pytest.raises(NotFound, match="no such object"):
            store.read(key)
        assert not store.exists(key)
    store.delete("nothing")


def test_create_is_exclusive_and_keeps_the_first(store):
    store.create("a", b"first")
    with pytest.raises(AlreadyExists, match="exists already"):
        store.create("a", b"second")
    assert store.read("a") == b"first"


def test_create_if_absent_says_whether_it_made_the_object(store):
    assert create_if_absent(store, "a", b"first") is True
    assert create_if_absent(store, "a", b"second") is False
    assert create_if_absent(store, "a", b"first") is False  # also when it says the same
    assert store.read("a") == b"first"


def test_create_if_absent_hides_no_other_error(store, monkeypatch):
    def refuse(key, data):
        raise RootError("no rights")

    monkeypatch.setattr(store, "create", refuse)
    with pytest.raises(RootError, match="no rights"):
        create_if_absent(store, "a", b"first")


def test_a_store_has_the_verbs_that_its_interface_counts(store):
    verbs = {name for name in vars(Storage) if not name.startswith("_")}
    assert len(verbs) == 12, "store.py and docs/decisions/0002 say twelve"
    own = {name for name in dir(type(store)) if not name.startswith("_") and callable(getattr(type(store), name))}
    assert verbs <= own


def test_of_many_creations_at_once_exactly_one_wins(store):
    barrier, won = threading.Barrier(8), []

    def create(i):
        barrier.wait()
        try:
            store.create("a", str(i).encode())
            won.append(i)
        except AlreadyExists:
            pass

    threads = [threading.Thread(target=create, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert [str(i).encode() for i in won] == [store.read("a")]


def test_the_s3_of_these_tests_decides_a_conditional_write_in_one_step(s3_root, monkeypatch):
    """As S3 does. moto alone tells both of two writers that they were first when the second asks meanwhile."""
    from moto.s3.models import S3Backend

    store_slowly = S3Backend.put_object
    monkeypatch.setattr(S3Backend, "put_object", lambda *a, **k: (time.sleep(0.2), store_slowly(*a, **k))[1])
    store, won = open_storage(s3_root), []
    threads = [threading.Thread(target=lambda n=n: won.append(create_if_absent(store, "a", b"%d" % n)))
               for n in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(won) == [False, False, True]


def test_listings_are_by_prefix_and_sorted(store):
    for key in ("b/2", "b/10", "a/1", "b2/1", "b/x/y"):
        store.put(key, b"x")
    assert keys(store, "b/") == ["b/10", "b/2", "b/x/y"]
    assert keys(store, "b") == ["b/10", "b/2", "b/x/y", "b2/1"]
    assert keys(store, "b/1") == ["b/10"]
    assert keys(store, "none/") == []


def test_entries_carry_size_and_an_etag_that_changes_with_the_content(store):
    store.put("a", b"12345")
    before = next(store.list("a"))
    store.put("a", b"54321")
    after = next(store.list("a"))
    assert before.size == after.size == 5 and before.etag != after.etag


def test_folders_are_those_directly_below(store):
    for key in ("runs/digits/1/run.json", "runs/digits/2/run.json", "runs/a%2Fb/1/run.json", "runs/file"):
        store.put(key, b"x")
    assert store.folders("runs/") == ["a%2Fb", "digits"]
    assert store.folders("runs/digits/") == ["1", "2"]
    assert store.folders("none/") == []


def test_more_objects_than_a_page_holds_are_all_listed(s3_root):
    store = open_storage(s3_root)
    three = lambda params, **_: params | {"MaxKeys": 3}  # noqa: E731  (a page of S3 holds 1,000)
    store.client.meta.events.register("provide-client-params.s3.ListObjectsV2", three)
    for i in range(10):
        store.put(f"many/{i}/x", b"")
    assert keys(store, "many/") == [f"many/{i}/x" for i in range(10)]
    assert store.folders("many/") == [str(i) for i in range(10)]


def test_a_deleted_object_is_gone(store):
    store.put("a", b"x")
    store.delete("a")
    assert keys(store) == [] and not store.exists("a")
    store.create("a", b"again")


@pytest.mark.parametrize("key", ["with space/a b", "ünï/ö", "per%20cent/%2F", "plus+and&amp", "equals=dt=2026"])
def test_awkward_keys_come_back_as_they_were(store, key):
    store.create(key, b"x")
    assert keys(store) == [key] and store.read(key) == b"x"


def test_a_file_is_put_as_it_is(store, tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(bytes(range(256)) * 4096)
    store.put_file("models/w", file)
    assert store.read("models/w") == file.read_bytes()


def test_what_cannot_be_put_on_a_disk_leaves_nothing_behind(tmp_root, tmp_path):
    store, file = open_root(tmp_root, create=True), tmp_path / "weights"
    file.write_bytes(b"1")
    (store.folder / "a").mkdir()
    for write in (partial(store.put, "a", b"1"), partial(store.put_file, "a", file), partial(store.put_file, "b", tmp_path)):
        with pytest.raises(OSError):
            write()
    assert sorted(path.name for path in store.folder.iterdir()) == ["a", MARKER]


@pytest.mark.usefixtures("s3_root")
def test_whatever_asks_a_bucket_that_is_not_there_names_it(tmp_path):
    store, file = open_storage("s3://there-is-no-such-bucket/root"), tmp_path / "weights"
    file.write_bytes(b"1")
    for ask in (partial(store.put, "a", b"1"), partial(store.put_file, "a", file), lambda: list(store.list("a")),
                partial(require_versions, store), partial(open_root, store.root)):
        with pytest.raises(RootError, match="s3://there-is-no-such-bucket/root(/a|/trueup.json)?: .*NoSuchBucket"):
            ask()


def test_arrow_and_uri_name_the_same_objects(store):
    store.put("a b/c", b"12")
    system, base = store.arrow()
    with system.open_input_stream(f"{base}/a b/c") as file:
        assert file.read() == b"12"
    assert store.uri("a b/c").startswith(store.root)


def test_an_empty_object_is_an_object(store):
    store.create("empty", b"")
    assert store.read("empty") == b"" and next(store.list("empty")).size == 0


def test_a_root_is_marked_once_and_another_schema_is_refused(store):
    marked = open_root(store.root, create=True)
    marker = marked.read(MARKER)
    assert re.fullmatch(rb'{\n "id": "[0-9a-f]{16}",\n "schema": "1"\n}\n', marker)
    assert open_root(store.root, create=True).read(MARKER) == marker
    store.put(MARKER, b'{"schema": "2"}')
    with pytest.raises(RootError, match="has schema '2'; this Trueup reads and writes schema '1'"):
        open_root(store.root)
    store.put(MARKER, b"not json")
    with pytest.raises(RootError, match="is no JSON"):
        open_root(store.root)


@pytest.mark.parametrize("marked", [True, False])
def test_only_making_a_root_makes_its_folder(tmp_root, marked):
    """What is written where no root is would lie on another disk than the root's."""
    open_storage(tmp_root).put("predictions/a", b"")
    store = open_root(tmp_root, create=marked)
    shutil.rmtree(tmp_root)
    for write in (partial(store.put, "a", b""), partial(store.create, "a/b", b""), store.now, partial(store.delete, "a"),
                  partial(store.erase, "a/")):
        with pytest.raises(RootError, match="expected a folder, found none. Check its path and that its disk is mounted"):
            write()
    assert not store.folder.exists()
    open_root(tmp_root, create=True).put("a", b"")


@pytest.mark.parametrize("marker", [None, b'{"schema": "1"}'], ids=["with an id", "of an earlier release"])
def test_a_root_whose_disk_is_not_mounted_is_not_written_to(tmp_root, marker):
    store = open_root(tmp_root, create=True)
    if marker:
        open_storage(tmp_root).put(MARKER, marker)
        store = open_root(tmp_root)
    store.put("a", b"1")
    away = store.folder.rename(store.folder.with_name("away"))
    store.folder.mkdir()  # the bare mount point
    for write in (partial(store.put, "a", b"2"), partial(store.create, "b", b""), partial(store.put_file, "c", away / "a"),
                  partial(store.delete, "a"), partial(store.erase, "a"), store.now):
        with pytest.raises(RootError, match="in this folder, found no marker of a root. Is its disk mounted"):
            write()
    assert "Is its disk mounted" in explain_lost_root(store) and list(store.folder.iterdir()) == []
    store.folder.rmdir()
    away.rename(store.folder)
    store.put("a", b"2")
    assert explain_lost_root(store) is None and store.read("a") == b"2"


def test_another_root_in_the_same_folder_is_not_written_to(tmp_root):
    store = open_root(tmp_root, create=True)
    store.folder.rename(store.folder.with_name("away"))
    other = open_root(tmp_root, create=True)
    with pytest.raises(RootError, match=f"expected the root of id {store.root_id} .* found the root of id {other.root_id}"):
        store.put("a", b"")
    other.put("a", b"")


def test_a_disk_that_goes_while_a_file_is_written_is_noticed_before_success(tmp_root, monkeypatch):
    store = open_root(tmp_root, create=True)
    checked, check = [], store.check_root

    def check_then_unmount():
        check()
        if not checked:
            checked.append(store.folder.rename(store.folder.with_name("away")))
            store.folder.mkdir()

    monkeypatch.setattr(store, "check_root", check_then_unmount)
    with pytest.raises(RootError, match="Is its disk mounted"):
        store.create("a", b"")


def test_a_root_that_is_not_there_is_an_error_that_says_so(store):
    with pytest.raises(RootError, match="found nothing there. Check --root"):
        open_root(store.root)


def test_a_root_without_a_marker_holds_foreign_logs(store):
    store.put("predictions/dt=2026-11-20/x.parquet", b"x")
    assert open_root(store.root).root == store.root
    assert not store.exists(MARKER)


def test_a_scheme_that_is_none_of_ours_is_refused():
    with pytest.raises(UsageError, match="expected a folder, file:///… or s3://bucket/prefix, got the scheme 'gs'"):
        open_storage("gs://bucket/x")


def test_a_key_cannot_leave_a_folder(tmp_root):
    store = open_root(tmp_root, create=True)
    for key in ("../x", "/etc/passwd", "a/../../x"):
        with pytest.raises(RootError, match="would leave the root"):
            store.put(key, b"x")


def test_half_written_files_are_never_listed(tmp_root):
    store = open_storage(tmp_root)
    store.put("a/b", b"x")
    (store.folder / "a" / ".trueup-1-abc").write_bytes(b"half")
    assert keys(store) == ["a/b"]


def test_a_lost_response_is_read_back_and_compared(s3_root, monkeypatch):
    """The store took the object, the answer was lost: the retry sees 412, and it was ours all the same."""
    from botocore.exceptions import ReadTimeoutError

    store = open_storage(s3_root)
    put, calls = store._single.put_object, []

    def loses_the_first_answer(**arguments):
        answer = put(**arguments)
        calls.append(arguments["Body"])
        if len(calls) == 1:
            raise ReadTimeoutError(endpoint_url="http://x")
        return answer

    monkeypatch.setattr(store._single, "put_object", loses_the_first_answer)
    store.create("a", b"ours")
    assert store.read("a") == b"ours"
    store.put("b", b"theirs")
    calls.clear()
    with pytest.raises(AlreadyExists):
        store.create("b", b"ours")


def test_somebody_elses_object_after_a_lost_request_is_not_ours(s3_root, monkeypatch):
    from botocore.exceptions import EndpointConnectionError

    store = open_storage(s3_root)
    put, calls = store._single.put_object, []

    def fails_while_another_creates(**arguments):
        calls.append(1)
        if len(calls) == 1:
            store.put("a", b"theirs")
            raise EndpointConnectionError(endpoint_url="http://x")
        return put(**arguments)

    monkeypatch.setattr(store._single, "put_object", fails_while_another_creates)
    with pytest.raises(AlreadyExists):
        store.create("a", b"ours")
    assert store.read("a") == b"theirs"
