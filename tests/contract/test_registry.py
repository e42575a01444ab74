"""Versions are immutable, the history records what happened and nothing else, and two publishers cannot both win."""

import threading

import pytest

from contract import jsonio, layout
from contract.documents.card import Card, Preprocess
from contract.documents.history import HistoryEntry
from contract.errors import (
    AlreadyExists,
    BadWeights,
    NoConditionalWrites,
    NoSuchModel,
    NoSuchVersion,
    PointerMoved,
)
from contract.registry import Registry, check_version, file_sha256, models
from contract.stores.local import LocalStorage
from tests.contract.forgetful import Forgetful


@pytest.fixture
def registry(tmp_path):
    return Registry(LocalStorage(tmp_path / "root"), "digits")


def publish(registry, tmp_path, content=b"weights", run=None, live=True, parent=None):
    """A version with these bytes as weights; made live when asked."""
    file = tmp_path / "w"
    file.write_bytes(content)
    version = registry.claim(by="test", run=run)
    card = Card(model="digits", version=version, created_at="t", network="resnet18", classes=["a"], parent=parent,
                preprocess=Preprocess(), weights_sha256=file_sha256(file), weights_bytes=len(content))
    registry.write_version(card, file)
    if live:
        newest = registry.newest()
        registry.promote(version, by="test", reason="r", expected_live=newest.state.live if newest else None, run=run)
    return version


def test_versions_are_numbered_and_the_newest_promotion_is_live(registry, tmp_path):
    assert [publish(registry, tmp_path), publish(registry, tmp_path, live=False)] == ["1", "2"]
    assert (registry.versions(), registry.live()) == (["1", "2"], "1")
    assert registry.card("2").weights_bytes == 7
    assert registry.weights("1") == b"weights"


def test_a_model_that_was_never_published_is_an_error_that_names_those_there_are(registry, tmp_path):
    with pytest.raises(NoSuchModel, match="'digits' was never published .*Models there: none"):
        registry.live()
    publish(registry, tmp_path)
    with pytest.raises(NoSuchModel, match="Models there: digits"):
        Registry(registry.storage, "cats").live()


def test_a_version_that_is_not_there_is_an_error_that_names_those_there_are(registry, tmp_path):
    publish(registry, tmp_path)
    with pytest.raises(NoSuchVersion, match="no version '7'; it has: 1"):
        registry.promote("7", by="x", reason="r", expected_live="1")
    with pytest.raises(NoSuchVersion, match="expected a version such as 3, got '01'"):
        check_version("01")


def test_ancestors_come_once_the_versions_themselves_first(registry, tmp_path):
    for parent in (None, "1", "1", "2", "9"):
        publish(registry, tmp_path, live=False, parent=parent)

    def ancestors(*versions, **options):
        return [card.version for card in registry.ancestors(*versions, **options)]

    assert ancestors("1") == ["1"] and ancestors("4") == ["4", "2", "1"]
    assert ancestors("3", "4", "4") == ["3", "4", "1", "2"]
    with pytest.raises(NoSuchVersion, match="no version '9'"):
        ancestors("5")
    assert ancestors("5", "../9", "3", missing_ok=True) == ["5", "3", "1"]


def test_damaged_weights_are_refused(registry, tmp_path):
    publish(registry, tmp_path)
    registry.storage.put(layout.version("digits", "1") + "weights.safetensors", b"others")
    with pytest.raises(BadWeights, match="damaged or replaced"):
        registry.weights("1")


def test_a_card_that_does_not_fit_its_weights_is_not_written(registry, tmp_path):
    (tmp_path / "w").write_bytes(b"x")
    card = Card(model="digits", version="1", created_at="t", network="resnet18", classes=["a"], preprocess=Preprocess(),
                weights_sha256="0" * 64, weights_bytes=1)
    with pytest.raises(BadWeights, match="its card says sha256 000"):
        registry.write_version(card, tmp_path / "w")
    assert registry.versions() == []


def test_a_version_is_never_replaced(registry, tmp_path):
    version = publish(registry, tmp_path)
    (tmp_path / "w").write_bytes(b"others")
    card = registry.card(version).model_copy(update={"weights_sha256": file_sha256(tmp_path / "w")})
    with pytest.raises(AlreadyExists):
        registry.write_version(card, tmp_path / "w")
    assert registry.weights(version) == b"weights"


def test_a_claim_without_a_card_is_no_version(registry, tmp_path):
    assert registry.claim(by="test") == "1"
    assert registry.versions() == [] and publish(registry, tmp_path) == "2"


def test_versions_are_listed_without_a_question_for_each(registry, tmp_path, monkeypatch):
    for _ in range(11):
        publish(registry, tmp_path, live=False)
    asked = []
    monkeypatch.setattr(LocalStorage, "exists", lambda _, key: asked.append(key))
    assert registry.versions() == [str(n) for n in range(1, 12)] and not asked


def test_a_run_that_asks_again_gets_the_number_it_has(registry):
    first = registry.claim(by="cycle", run="digits/1")
    registry.claim(by="somebody")
    assert registry.claim(by="cycle", run="digits/1") == first
    assert registry.claim(by="cycle", run="digits/2") == "3"


def test_the_history_holds_the_change_and_the_whole_state_after_it(registry, tmp_path):
    publish(registry, tmp_path)
    publish(registry, tmp_path)
    records = registry.history()
    assert [(r.seq, r.change["kind"], r.change["replaces"], r.state.live) for r in records] == [
        (1, "promote", None, "1"), (2, "promote", "1", "2")]
    copy = HistoryEntry.model_validate_json(registry.storage.read(layout.live("digits")))
    assert copy == records[-1]


def test_a_pointer_that_moved_is_not_moved_again(registry, tmp_path):
    for _ in range(3):
        publish(registry, tmp_path)
    with pytest.raises(PointerMoved, match="version 1 was live when this was decided, now it is 3"):
        registry.promote("2", by="x", reason="r", expected_live="1")
    assert len(registry.history()) == 3


def test_a_change_of_something_else_does_not_stop_a_promotion(registry, tmp_path):
    publish(registry, tmp_path)
    publish(registry, tmp_path, live=False)
    other = Registry(registry.storage, "digits")
    registry.newest()
    other.change({"kind": "threshold", "by": "x", "reason": "r"}, {"thresholds": {"a": 0.5}}, "1")
    assert registry.promote("2", by="x", reason="r", expected_live="1").seq == 3
    assert registry.newest().state.thresholds == {"a": 0.5}


def test_a_run_promotes_its_version_once(registry, tmp_path):
    publish(registry, tmp_path)
    publish(registry, tmp_path, run="digits/1")
    again = registry.promote("2", by="cycle", reason="r", expected_live="1", run="digits/1")
    assert (again.seq, len(registry.history())) == (2, 2)


def test_of_many_publishers_at_once_one_wins(registry, tmp_path):
    for _ in range(6):
        publish(registry, tmp_path, live=False)
    registry.promote("1", by="x", reason="r", expected_live=None)
    won, barrier = [], threading.Barrier(5)

    def promote(version):
        barrier.wait()
        try:
            won.append(Registry(registry.storage, "digits").promote(version, by="x", reason="r", expected_live="1"))
        except PointerMoved:
            pass

    threads = [threading.Thread(target=promote, args=(str(v),)) for v in range(2, 7)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(won) == 1 and registry.live() == won[0].state.live
    assert jsonio.loads(registry.storage.read(layout.live("digits")))["state"]["live"] == registry.live()


def test_a_store_without_conditional_writes_is_refused_before_anything_moves(tmp_path):
    registry = Registry(Forgetful(tmp_path / "root"), "digits")
    with pytest.raises(NoConditionalWrites, match="expected the store to refuse a second creation"):
        publish(registry, tmp_path)
    assert registry.history() == []


def test_names_of_models_cannot_move_anything(tmp_path):
    storage = LocalStorage(tmp_path / "root")
    for name in ("a/../b", "a b", "ünï"):
        registry = Registry(storage, name)
        registry.claim(by="x")
    assert sorted(models(storage)) == ["a b", "a/../b", "ünï"]
    assert sorted(storage.folders("models/")) == ["%C3%BCn%C3%AF", "a%20b", "a%2F..%2Fb"]
