"""The one primitive for everything that moves: numbers in order, each taken once."""

import threading

import pytest

from contract.errors import AlreadyExists, NotFound
from contract.sequence import NumberedDocuments
from contract.stores.local import LocalStorage


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path)


def test_numbers_are_taken_in_order(storage):
    sequence = NumberedDocuments(storage, "history/{:08d}.json")
    assert sequence.newest() is None
    assert sequence.append({"a": 1}, after=0) == 1
    assert sequence.add({"a": 2}) == 2
    assert sequence.newest() == (2, {"a": 2})
    assert storage.exists("history/00000002.json")
    with pytest.raises(NotFound):
        sequence.get(3)


def test_no_number_is_taken_twice(storage):
    ours, theirs = (NumberedDocuments(storage, "runs/{}/run.json") for _ in range(2))
    ours.append("ours", after=0)
    with pytest.raises(AlreadyExists):
        theirs.append("theirs", after=0)
    assert theirs.newest() == (1, "ours")


def test_a_reader_sees_what_others_append(storage):
    reader, writer = (NumberedDocuments(storage, "owner-{}.json") for _ in range(2))
    for n in (1, 2, 3):
        writer.append(n, after=n - 1)
        assert reader.newest() == (n, n)


def test_names_of_other_sequences_are_not_counted(storage):
    for key in ("owner-1.json", "owner-2.json.bak", "owner-x.json", "xowner-7.json", "owner-12/8.json"):
        storage.put(key, b"1")
    assert NumberedDocuments(storage, "owner-{}.json").newest() == (1, 1)


def test_a_pattern_without_a_place_for_the_number_is_refused(storage):
    for pattern in ("a.json", "a/{}/{}.json"):
        with pytest.raises(ValueError, match="expected exactly one {}"):
            NumberedDocuments(storage, pattern)


def test_many_at_once_get_different_numbers_without_a_gap(storage):
    taken = []

    def take():
        taken.append(NumberedDocuments(storage, "claims/{}/claim.json").add({}))

    threads = [threading.Thread(target=take) for _ in range(12)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(taken) == list(range(1, 13))


class Counted(LocalStorage):
    """Counts what is listed and read."""

    listed = read_ = 0

    def list(self, prefix=""):
        self.listed += 1
        return super().list(prefix)

    def read(self, key):
        self.read_ += 1
        return super().read(key)


def test_what_else_lies_in_the_folders_is_not_listed(tmp_path):
    storage = Counted(tmp_path)
    for n in range(1, 31):
        storage.put(f"runs/{n}/run.json", str(n).encode())
        storage.put(f"runs/{n}/beat-1.json", b"0")
    storage.put("runs/31/beat-1.json", b"0")
    assert NumberedDocuments(storage, "runs/{}/run.json").newest() == (30, 30)
    assert (storage.listed, storage.read_) == (0, 3)  # 31 (twice) has no document


@pytest.mark.parametrize("begin", [0, 4, 9, 10, 99])
def test_where_looking_begins_changes_nothing_but_the_work(tmp_path, begin):
    storage = Counted(tmp_path)
    for n in range(1, 11):
        storage.put(f"{n:08d}.json", str(n).encode())
    assert NumberedDocuments(storage, "{:08d}.json", begin=lambda: begin).newest() == (10, 10)
    assert storage.listed == (begin in (0, 99))
