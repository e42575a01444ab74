"""A document that is damaged is named; what can be known without it goes on, and nothing is made live until it is repaired."""

import hashlib
import json
import logging

import pytest

from contract import jsonio, layout
from contract.errors import BadWeights, DamagedDocument, NoSuchVersion, UsageError
from contract.registry import Registry, models
from contract.runs import Run
from contract.sequence import NumberedDocuments
from contract.storage import open_storage, read_json
from contract.stores.local import LocalStorage
from contract.stores.store import may_be_key
from tests.contract.test_registry import publish

MEANS_NOTHING = {
    b"": "got no bytes", b'{"a": 1': "no whole JSON", b"\xff\xfe{": "no whole JSON", b'{"a": NaN}': "NaN is no number",
    b'{"a": -Infinity}': "Infinity is no number", b'{"a": 1e999}': "'1e999' is too large", b"[" * 100_000: "nested too deeply",
    b'{"a": 1, "a": 2}': "the name 'a' stands twice", b'{"a": "\\ud800"}': "half a surrogate pair",
    b'{"a": ' + b"9" * 5000 + b"}": "no whole JSON", b'{"a": 1} x': "no whole JSON",
    b'{"schema": "2"}': "written by a newer release of Trueup", b'{"schema": 1}': "written by a newer release of Trueup",
}


@pytest.fixture
def registry(tmp_path):
    return Registry(LocalStorage(tmp_path / "root"), "digits")


@pytest.mark.parametrize("data", MEANS_NOTHING)
def test_what_means_nothing_or_two_things_is_an_error_that_names_the_document(tmp_path, data):
    storage = LocalStorage(tmp_path)
    storage.put("a b/c.json", data)
    with pytest.raises(DamagedDocument, match=rf"/a%20b/c.json: expected .*{MEANS_NOTHING[data]}"):
        read_json(storage, "a b/c.json")


@pytest.mark.parametrize("data", [b"[1]", b"null", b'"text"', b"7"])
def test_another_value_than_an_object_is_an_error(tmp_path, data):
    storage = LocalStorage(tmp_path)
    storage.put("c.json", data)
    with pytest.raises(DamagedDocument, match="c.json: expected a JSON object, got"):
        read_json(storage, "c.json")


def test_what_we_write_is_read_back_whatever_it_holds():
    value = {"NaN": "Infinity", "é": [1e-300, 1e300, -0.0, 2**70, None, True, "\U0001f600", "\\ud800"]}
    assert jsonio.loads(jsonio.dumps(value)) == value
    assert jsonio.loads(b"\xef\xbb\xbf" + json.dumps(value).encode()) == value  # an editor's byte order mark


def test_a_sequence_goes_on_counting_and_sees_a_repair(tmp_path):
    storage = LocalStorage(tmp_path)
    claims = NumberedDocuments(storage, "claims/{}.json")
    for n in range(2):
        claims.append({"n": n}, after=n)
    storage.put("claims/2.json", b"{")
    reader = NumberedDocuments(storage, "claims/{}.json")
    with pytest.raises(DamagedDocument, match="claims/2.json"):
        reader.newest()
    assert reader.newest_number() == 2
    reader.forget()
    storage.put("claims/2.json", b'{"n": 7}')
    assert reader.newest() == (2, {"n": 7})
    storage.put("claims/2.json", b"{")
    assert NumberedDocuments(storage, "claims/{}.json").add({}) == 3


@pytest.mark.parametrize("damage", [b'{"seq": 2', b"[]", b'{"seq": 1, "at": "t", "change": {"kind": "promote"}, "state": {}}',
                                    b'{"seq": 2, "at": "t", "change": {}, "state": {"live": "2"}}'])
@pytest.mark.parametrize(("copy", "known", "said"), [
    (None, "2", "live.json is a copy of that record: put it in its place"),  # as it was left
    (b'{"seq": Infinity}', "1", "Until then nothing can be made live"),
    (b'{"seq": 1e999', "1", "Until then nothing can be made live")])
def test_of_a_damaged_newest_record_its_copy_is_known_or_the_record_before(registry, tmp_path, damage, copy, known, said):
    publish(registry, tmp_path)
    publish(registry, tmp_path)
    registry.storage.put("models/digits/history/00000002.json", damage)
    if copy:
        registry.storage.put(layout.live("digits"), copy)
    fresh = Registry(registry.storage, "digits")
    newest, wrong = fresh.newest_known()
    assert newest.state.live == known and "history/00000002.json: expected" in wrong and said in wrong
    records, damaged = fresh.history_known()
    assert [r.seq for r in records] == [1] and len(damaged) == 1
    for change in (fresh.newest, fresh.live, fresh.history, lambda: fresh.promote("1", "x", "r", "2"),
                   lambda: fresh.change({"kind": "x"}, {}, "2"), lambda: fresh.delete("1", "x", "r")):
        with pytest.raises(DamagedDocument, match="00000002.json"):
            change()
    before = {e.key: e.etag for e in registry.storage.list()}
    with pytest.raises(DamagedDocument):
        fresh.promote("1", by="x", reason="r", expected_live="2")
    assert {e.key: e.etag for e in registry.storage.list()} == before
    if copy is None:  # what the error says
        registry.storage.put("models/digits/history/00000002.json", registry.storage.read(layout.live("digits")))
        assert fresh.live() == "2" and fresh.promote("1", "x", "r", "2").seq == 3


def test_an_old_damaged_record_stops_no_promotion(registry, tmp_path):
    publish(registry, tmp_path)
    publish(registry, tmp_path)
    registry.storage.put("models/digits/history/00000001.json", b"")
    fresh = Registry(registry.storage, "digits")
    assert (fresh.live(), fresh.newest_known()[1]) == ("2", None)
    assert fresh.promote("1", by="x", reason="r", expected_live="2", run="digits/1").seq == 3
    with pytest.raises(DamagedDocument, match="00000001.json"):
        fresh.history()


def test_files_of_others_beside_ours_are_none_of_ours(registry, tmp_path):
    publish(registry, tmp_path)
    for name in (".DS_Store", "desktop.ini", "00000007.json.tmp", "00000008.json~", "9.json", "00000002 (1).json"):
        registry.storage.put(f"models/digits/history/{name}", b"\x00\x01")
        registry.storage.put(f"models/digits/versions/{name}", b"\x00\x01")
        registry.storage.put(f"models/digits/versions/1/{name}", b"\x00\x01")
    for folder in ("models/.ipynb_checkpoints/x", "models/digits/versions/²/card.json", "models/digits/versions/01/card.json"):
        registry.storage.put(folder, b"{")
    fresh = Registry(registry.storage, "digits")
    assert (fresh.live(), fresh.versions(), models(registry.storage)) == ("1", ["1"], ["digits"])
    assert publish(fresh, tmp_path) == "2"


def test_a_damaged_claim_stops_no_other(registry):
    first = registry.claim(by="cycle", run="digits/1")
    registry.storage.put(layout.claim("digits", first), b'{"by": 7')
    assert registry.claim(by="cycle", run="digits/2") == "2"
    assert registry.claim(by="cycle", run="digits/2") == "2"
    assert registry.claim(by="cycle", run="digits/1") == "3"


# -- the card's digest ------------------------------------------------------------------------------------------------


def forge(registry, version, data=b"others"):
    """Weights and card changed together, so that each fits the other."""
    card = json.loads(registry.storage.read(layout.card("digits", version)))
    registry.storage.put(layout.weights("digits", version), data)
    registry.storage.put(layout.card("digits", version),
                         jsonio.dumps(card | {"weights_sha256": hashlib.sha256(data).hexdigest()}))


def test_a_card_and_weights_that_were_changed_together_are_not_served(registry, tmp_path):
    publish(registry, tmp_path)
    assert registry.load("1")[1] == b"weights"
    forge(registry, "1")
    for load in (registry.load, registry.weights):
        with pytest.raises(BadWeights, match="the history says that its card has the sha256 .* changed after it was made live"):
            load("1")
    with pytest.raises(BadWeights, match="changed after it was made live"):
        registry.promote("1", by="x", reason="r", expected_live="1", kind="rollback")


def test_one_that_was_live_before_is_known_by_its_card_too(registry, tmp_path):
    publish(registry, tmp_path)
    publish(registry, tmp_path)
    assert sorted(registry.newest().state.cards) == ["1", "2"]
    forge(registry, "1")
    assert registry.load("2")[1] == b"weights"
    with pytest.raises(BadWeights, match="digits version 1"):
        registry.promote("1", by="x", reason="back", expected_live="2", kind="rollback")
    assert registry.live() == "2"


def test_a_record_of_an_earlier_release_tells_no_digest_and_its_version_is_served(registry, tmp_path):
    publish(registry, tmp_path)
    key = "models/digits/history/00000001.json"
    record = json.loads(registry.storage.read(key))
    del record["state"]["cards"]
    for where in (key, layout.live("digits")):
        registry.storage.put(where, jsonio.dumps(record))
    fresh = Registry(registry.storage, "digits")
    assert fresh.load("1")[1] == b"weights" and fresh.newest().state.cards == {}
    publish(fresh, tmp_path)
    assert list(fresh.newest().state.cards) == ["2"]


def test_another_change_of_state_keeps_the_digests(registry, tmp_path):
    publish(registry, tmp_path)
    kept = registry.newest().state.cards
    registry.change({"kind": "threshold"}, {"thresholds": {"a": 0.5}}, "1")
    assert registry.newest().state.cards == kept and len(kept["1"]) == 64


# -- names and places -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * 256, "é" * 60, "\udcff", "", "."])
def test_a_name_that_no_folder_can_have_is_a_usage_error(name):
    with pytest.raises(UsageError, match="expected the name of a model"):
        layout.encode_name(name)


@pytest.mark.parametrize("version", ["..", "../../x", "v2-final", "", "²", "1\0", "9" * 400])
def test_a_version_that_is_no_number_is_not_there(registry, version):
    with pytest.raises(NoSuchVersion, match="has no version"):
        registry.card(version)


@pytest.mark.parametrize("root", ["s3://", "ftp://x", "file://[", "s3://a\0b", "/tmp/a\0b", "/tmp/\udcff", "~nobody-at-all/x", "://"])
def test_what_is_no_root_is_a_usage_error(root):
    with pytest.raises(UsageError, match="expected"):
        open_storage(root)


@pytest.mark.parametrize("uri", ["/etc/passwd", "../x", "a/../../x", "a\0b", "http://h/x.jpg", "s3://b/x", "", "x" * 300,
                                 "a/" * 600])
def test_what_is_no_place_under_the_root_is_no_key(uri):
    assert not may_be_key(uri)


@pytest.mark.parametrize("uri", ["images/ab/c.jpg", "a b/ü.png", "%2e%2e/x", "a//b", "..x/y"])
def test_a_place_under_the_root_is_a_key(uri):
    assert may_be_key(uri)


def test_a_name_that_is_no_text_is_named_and_not_listed(tmp_path, caplog):
    storage = LocalStorage(tmp_path)
    storage.put("day/a.parquet", b"1")
    with open(bytes(tmp_path) + b"/day/b\xff.parquet", "wb"):
        pass
    with caplog.at_level(logging.WARNING):
        assert [e.key for e in storage.list("day/")] == ["day/a.parquet"]
    assert "its name is no UTF-8" in caplog.text


def test_a_damaged_beat_is_one_that_did_not_come(tmp_path):
    storage = LocalStorage(tmp_path)
    run = Run(storage, 1, type("Plan", (), {"model": "m"})())
    for data, count in ((b'{"count": 3}', 3), (b'{"count"', 0), (b"[]", 0), (b'{"count": "3"}', 0)):
        storage.put(layout.beat("m", 1, 1), data)
        assert run.beat(1) == count
