"""The history is a chain, and somebody may sign its head."""

import hashlib
import json

import pytest

from contract import jsonio, layout
from contract.errors import Mismatch, UsageError
from contract.registry import Registry
from contract.storage import open_storage
from pipeline import model
from pipeline.verifying.history import sign_history, verify_history
from tests.pipeline.roots import MODEL, make_root


@pytest.fixture
def storage(tmp_root):
    """A model with four records."""
    make_root(tmp_root, right=1, n=2)
    storage = open_storage(tmp_root)
    registry = Registry(storage, MODEL)
    for n in range(3):
        registry.change({"kind": "alias", "by": "ana", "reason": str(n)}, {"aliases": {"best": str(n)}}, "1")
    return storage


@pytest.fixture(scope="session")
def keys():
    """Two pairs of keys in the form in which `openssl genpkey` writes them: (private, public) each."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    def pair():
        key = Ed25519PrivateKey.generate()
        return (key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()),
                key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo))

    return pair(), pair()


def found(storage, *wanted, key=None):
    """(file, what is said of it) of what was found in these states."""
    findings = verify_history(storage, MODEL, key).findings
    return [(f["of"].rpartition("/")[2], f["said"]) for f in findings if f["state"] in wanted]


def record(n):
    return layout.history(MODEL).format(n)


def rewrite(storage, n, change):
    """Changes what stands in a record, and nothing else."""
    document = json.loads(storage.read(record(n)))
    change(document)
    storage.put(record(n), jsonio.dumps(document))


def rewrite_all(storage, change):
    """Changes every record and makes the chain right again, as whoever can write the bucket would."""
    previous = None
    for n in range(1, 5):
        document = json.loads(storage.read(record(n)))
        change(document)
        document["previous"] = previous
        storage.put(record(n), jsonio.dumps(document))
        previous = hashlib.sha256(storage.read(record(n))).hexdigest()
    storage.put(layout.live(MODEL), storage.read(record(4)))


def test_each_record_names_the_one_before(storage):
    assert found(storage, "differs", "missing", "cannot tell") == []
    assert [name for name, _ in found(storage, "equal")] == ["00000001.json", "00000002.json", "00000003.json", "live.json"]
    assert any("no record is signed" in said for _, said in found(storage, "not recomputed"))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_record_that_was_changed_is_found_by_the_next_one_or_by_its_copy(storage, n):
    rewrite(storage, n, lambda document: document["change"].update(by="bob"))
    (name, said), *_ = found(storage, "differs")
    assert name == ("live.json" if n == 4 else f"{n:08d}.json") and ("names the sha256" in said or "one of the two" in said)


def test_a_record_that_is_gone_is_found_at_the_end_too(storage):
    data = storage.read(record(2))
    storage.delete(record(2))
    assert found(storage, "missing") == [("00000002.json", "a later record is there, and this one is not")]
    storage.put(record(2), data)
    storage.delete(record(4))
    assert found(storage, "differs") == [("live.json", "a copy of record 4, and the newest one there is 3: records were removed")]


def test_a_history_of_an_earlier_release_goes_on_as_a_chain(storage):
    for n in (1, 2, 3, 4):
        rewrite(storage, n, lambda document: document.pop("previous"))
    storage.put(layout.live(MODEL), storage.read(record(4)))
    registry = Registry(storage, MODEL)
    registry.change({"kind": "alias", "by": "ana"}, {"aliases": {}}, "1")
    registry.change({"kind": "alias", "by": "ana"}, {"aliases": {}}, "1")
    assert found(storage, "differs", "missing", "cannot tell") == []
    assert [name for name, _ in found(storage, "no content hash")] == ["00000001.json", "00000002.json", "00000003.json"]
    rewrite(storage, 6, lambda document: document.pop("previous"))
    assert [name for name, _ in found(storage, "differs")] == ["live.json"]  # the copy of what the record was
    storage.put(layout.live(MODEL), storage.read(record(6)))
    ((name, said),) = found(storage, "cannot tell", "differs")
    assert name == "00000005.json" and "names no record before it" in said


def test_a_whole_chain_that_was_written_anew_is_found_by_the_signature_alone(storage, keys):
    (private, public), _ = keys
    sign_history(storage, MODEL, private, by="ana")
    assert found(storage, "differs", "cannot tell", key=public) == []
    assert any("with the key that you named" in said for _, said in found(storage, "equal", key=public))
    rewrite_all(storage, lambda document: document["change"].update(by="bob"))
    assert "signed was a record 4" in found(storage, "differs", key=public)[0][1]
    for entry in list(storage.list(layout.history_signatures(MODEL))):
        storage.delete(entry.key)
    assert found(storage, "differs") == [], "without a signature nobody can tell"
    assert "no record is signed by the key" in found(storage, "cannot tell", key=public)[0][1]


def test_a_signature_of_somebody_else_is_not_the_wanted_one(storage, keys):
    (private, public), (other, _) = keys
    made = sign_history(storage, MODEL, other, by="eve")
    assert sign_history(storage, MODEL, other, by="again") == made, "once by each key"
    assert "no record is signed by the key" in found(storage, "cannot tell", key=public)[0][1]
    sign_history(storage, MODEL, private, by="ana")
    assert found(storage, "differs", "cannot tell", key=public) == []
    Registry(storage, MODEL).change({"kind": "alias", "by": "ana"}, {"aliases": {}}, "1")
    assert "signed up to record 4" in found(storage, "not recomputed", key=public)[-1][1]


def test_a_byte_of_a_signature_that_changes_is_found(storage, keys):
    (private, public), _ = keys
    sign_history(storage, MODEL, private, by="ana")
    (entry,) = storage.list(layout.history_signatures(MODEL))
    document = json.loads(storage.read(entry.key))
    for name, value in (("by", "eve"), ("seq", 3), ("signature", "00" * 64), ("record_sha256", "a" * 64)):
        storage.put(entry.key, jsonio.dumps(document | {name: value}))
        assert found(storage, "differs", key=public), name


def test_nobody_signs_what_was_changed_or_with_what_is_no_key(storage, keys):
    (private, public), _ = keys
    for no_key in (b"", b"no key", public):
        with pytest.raises(UsageError, match="expected a private key of Ed25519"):
            sign_history(storage, MODEL, no_key, by="ana")
    with pytest.raises(UsageError, match="expected a public key of Ed25519"):
        verify_history(storage, MODEL, private)
    rewrite(storage, 2, lambda document: document["change"].update(by="bob"))
    with pytest.raises(Mismatch, match="nothing was signed: .*00000002.json"):
        sign_history(storage, MODEL, private, by="ana")


def test_the_command_signs_with_a_key_as_openssl_makes_it(storage, keys, tmp_path, capsys):
    key = tmp_path / "key.pem"
    key.write_bytes(keys[0][0])
    capsys.readouterr()
    assert model.main(["sign", "--root", storage.root, "--model", MODEL, "--key", str(key), "--by", "ana", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["seq"], document["by"]) == (4, "ana")
    assert found(storage, "differs", "cannot tell") == []
