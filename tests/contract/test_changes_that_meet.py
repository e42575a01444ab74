"""Two changes of one model's state that meet: both hold, or one is refused; what is needed is never removed."""

import pytest

from contract import layout
from contract.deciding.changes import accept_format, override, set_alias, withdraw_override
from contract.errors import NoSuchVersion, UsageError
from contract.registry import Registry
from contract.stores.local import LocalStorage
from tests.contract.test_registry import publish

WHO = {"by": "ana", "reason": "r"}


class Interrupted(LocalStorage):
    """Lets somebody else act just before the next history record is created."""

    act = None

    def create(self, key, data):
        act, self.act = (self.act, None) if "/history/" in key else (None, self.act)
        if act:
            act()
        super().create(key, data)


@pytest.fixture
def registries(tmp_path):
    """(ours, which is interrupted; theirs) on one root, with version 1 live and versions 2 and 3 beside it."""
    ours, theirs = (Registry(kind(tmp_path / "root"), "digits") for kind in (Interrupted, LocalStorage))
    for live in (True, False, False):
        publish(theirs, tmp_path, live=live)
    return ours, theirs


def let_gate_pass(registry, gate):
    return override(registry, gate=gate, until="2999-01-01", **WHO)


def test_names_given_at_once_both_hold(registries):
    ours, theirs = registries
    ours.storage.act = lambda: set_alias(theirs, "theirs", "3", **WHO)
    set_alias(ours, "ours", "2", **WHO)
    assert ours.newest().state.aliases == {"ours": "2", "theirs": "3"}


def test_overrides_given_at_once_both_hold(registries):
    ours, theirs = registries
    ours.storage.act = lambda: let_gate_pass(theirs, "coverage")
    let_gate_pass(ours, "accuracy")
    assert [o["gate"] for o in ours.newest().state.overrides] == ["coverage", "accuracy"]


def test_an_override_given_while_another_is_withdrawn_holds(registries):
    ours, theirs = registries
    let_gate_pass(theirs, "accuracy")
    ours.storage.act = lambda: let_gate_pass(theirs, "coverage")
    withdraw_override(ours, gate="accuracy", **WHO)
    assert [o["gate"] for o in ours.newest().state.overrides] == ["coverage"]


def test_formats_accepted_at_once_both_hold(registries):
    ours, theirs = registries
    ours.storage.act = lambda: accept_format(theirs, "3", "1", **WHO)
    accept_format(ours, "2", "1", **WHO)
    assert ours.newest().state.formats == {"2": "1", "3": "1"} and set(ours.newest().state.cards) == {"1", "2", "3"}


def test_versions_deleted_at_once_are_both_known_as_deleted(registries):
    ours, theirs = registries
    ours.storage.act = lambda: theirs.delete("3", **WHO)
    ours.delete("2", **WHO)
    assert ours.newest().state.deleted == ["2", "3"]


def test_a_version_that_gets_a_name_meanwhile_is_not_deleted(registries):
    ours, theirs = registries
    ours.storage.act = lambda: set_alias(theirs, "best", "2", **WHO)
    with pytest.raises(UsageError, match="version 2 is named best"):
        ours.delete("2", **WHO)
    assert ours.storage.exists(layout.weights("digits", "2")) and ours.newest().state.deleted == []


def test_a_version_that_is_deleted_meanwhile_gets_no_name(registries):
    ours, theirs = registries
    ours.storage.act = lambda: theirs.delete("2", **WHO)
    with pytest.raises(NoSuchVersion, match="version 2: its weights were deleted"):
        set_alias(ours, "best", "2", **WHO)
    assert ours.newest().state.aliases == {}
