"""A store that does not answer is asked so often, and what it means is said right after the last time."""

from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from contract.errors import RootError
from contract.storage import open_storage
from contract.stores import s3


class Cut:
    """A body whose connection is cut."""

    def read(self):
        raise ReadTimeoutError(endpoint_url="http://x")


@pytest.fixture
def waits(monkeypatch):
    found = []
    monkeypatch.setattr(s3, "time", SimpleNamespace(sleep=found.append))
    return found


@pytest.fixture
def store():
    return open_storage("s3://bucket/prefix")


def test_a_read_that_is_cut_each_time_gives_up_after_the_last_attempt(store, waits, monkeypatch):
    monkeypatch.setattr(store, "_call", lambda operation, key: {"Body": Cut()})
    with pytest.raises(RootError, match="gave up after 6 attempts"):
        store.read("a")
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])


def test_a_creation_that_nobody_answers_gives_up_after_the_last_attempt(store, waits, monkeypatch):
    def fails(**_):
        raise EndpointConnectionError(endpoint_url="http://x")

    monkeypatch.setattr(store._single, "put_object", fails)
    with pytest.raises(RootError, match="gave up after 6 attempts"):
        store.create("a", b"x")
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
