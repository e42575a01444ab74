"""The history of a model as a chain: each record names the sha256 of the one before it, and somebody may sign the newest.

Whoever can write the bucket can write the whole chain anew. A signature is what they cannot write: it is made with a key that
is not in the bucket (pipeline/verifying/signature.py).
"""

import hashlib
import re
from dataclasses import dataclass, field

from contract import clock, jsonio, layout
from contract.documents.history import HistoryEntry, Signature
from contract.documents.verification import BAD, DIFFERS, EQUAL, MISSING, TOLD, UNHASHED, UNKNOWN, Finding, say
from contract.errors import DamagedDocument, Mismatch, NoSuchModel, NotFound
from contract.stores.store import Storage, create_if_absent
from pipeline.verifying.signature import is_signed, read_public_key, shorten_key, sign

NAME = re.compile(r"([0-9]{8,})\.json")
UNSIGNED = "no record is signed: whoever can write the bucket can write the whole history anew"


@dataclass
class Chain:
    """The records that could be read, their hashes, and what was found."""

    records: dict[int, HistoryEntry] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def newest(self) -> HistoryEntry | None:
        """The newest record that can be read."""
        return self.records[max(self.records)] if self.records else None


def verify_history(storage: Storage, model: str, public_key: bytes | None = None) -> Chain:
    """Checks every record, its link to the one before, the copy in `live.json`, and the signatures.

    `public_key`: the text of a PEM file; then a signature by that key is wanted.
    """
    chain = Chain()
    last = max(_list_numbers(storage, model), default=0)
    for n in range(1, last + 1):
        _read_record(storage, model, n, chain)
    begun = min((n for n, record in chain.records.items() if record.previous), default=last + 1)
    for n in range(1, last + 1):
        if n in chain.records:
            chain.findings.append(_check_link(model, n, chain, begun, last))
    chain.findings += _check_copy(storage, model, last, chain)
    chain.findings += _check_signatures(storage, model, chain, public_key)
    return chain


def _list_numbers(storage: Storage, model: str) -> list[int]:
    folder = layout.history(model).rpartition("/")[0] + "/"
    return [int(found[1]) for e in storage.list(folder) if (found := NAME.fullmatch(e.key.removeprefix(folder)))]


def _read_record(storage: Storage, model: str, n: int, chain: Chain) -> None:
    key = layout.history(model).format(n)
    try:
        data = storage.read(key)
        chain.hashes[n] = hashlib.sha256(data).hexdigest()
        record = HistoryEntry.parse(jsonio.parse(data, storage.uri(key)), storage.uri(key))
    except NotFound:
        chain.findings.append(say(key, MISSING, "a later record is there, and this one is not"))
        return
    except DamagedDocument as error:
        chain.findings.append(say(key, DIFFERS, str(error)))
        return
    if record.seq != n or jsonio.dumps(jsonio.loads(data)) != data:
        chain.findings.append(say(key, DIFFERS, f"expected record {n} as such a document is written, got other bytes"))
    chain.records[n] = record


def _check_link(model: str, n: int, chain: Chain, begun: int, last: int) -> Finding:
    """Whether the next record names this one by its hash."""
    key, following = layout.history(model).format(n), chain.records.get(n + 1)
    if n == last:
        return say(key, TOLD, f"the newest record, sha256 {chain.hashes[n]}: no later one names it")
    if following is None or following.previous is None:
        if n + 1 < begun:
            return say(key, UNHASHED, "from the time before records named the one before them")
        return say(key, UNKNOWN, f"record {n + 1} names no record before it: an older release wrote it, or somebody took the "
                   f"name away")
    if following.previous != chain.hashes[n]:
        return say(key, DIFFERS, f"record {n + 1} names the sha256 {following.previous}, this one has {chain.hashes[n]}")
    return say(key, EQUAL, f"record {n + 1} names it: sha256 {chain.hashes[n]}")


def _check_copy(storage: Storage, model: str, last: int, chain: Chain) -> list[Finding]:
    """`live.json` is a copy of the newest record, so that a byte of it does not change unseen either."""
    key = layout.live(model)
    try:
        data = storage.read(key)
    except NotFound:
        return [say(key, MISSING, "expected a copy of the newest record")] if last else []
    try:
        copied = HistoryEntry.parse(jsonio.parse(data, storage.uri(key)), storage.uri(key)).seq
    except DamagedDocument as error:
        return [say(key, DIFFERS, str(error))]
    if copied > last:
        return [say(key, DIFFERS, f"a copy of record {copied}, and the newest one there is {last}: records were removed")]
    if hashlib.sha256(data).hexdigest() == chain.hashes.get(copied):
        return [say(key, EQUAL if copied == last else UNKNOWN, f"a copy of record {copied} of {last}")]
    return [say(key, DIFFERS, f"expected a copy of record {copied}; one of the two was changed")]


def _check_signatures(storage: Storage, model: str, chain: Chain, public_key: bytes | None) -> list[Finding]:
    wanted, found, valid = read_public_key(public_key) if public_key else None, [], []
    for entry in storage.list(layout.history_signatures(model)):
        try:
            made = Signature.load(storage, entry.key)
        except (DamagedDocument, NotFound) as error:
            found.append(say(entry.key, DIFFERS, str(error)))
            continue
        found.append(_check_signature(entry.key, model, made, chain, wanted))
        if found[-1]["state"] == EQUAL and (wanted is None or made.public_key == wanted):
            valid.append(made.seq)
    if not chain.hashes:  # a model that is in no registry
        return found
    head = layout.history(model).format(max(chain.hashes))
    if wanted is not None and not valid:
        found.append(say(head, UNKNOWN, f"no record is signed by the key {shorten_key(wanted)}"))
    elif not valid:
        found.append(say(head, TOLD, UNSIGNED))
    elif max(valid) < max(chain.hashes):
        found.append(say(head, TOLD, f"signed up to record {max(valid)}; whoever can write the bucket can write later ones anew"))
    return found


def _check_signature(key: str, model: str, made: Signature, chain: Chain, wanted: str | None) -> Finding:
    if made.model != model or key != layout.history_signatures(model, made.seq, shorten_key(made.public_key)):
        return say(key, DIFFERS, f"of record {made.seq} of {made.model}, and lies at another place")
    if not is_signed(made.public_key, made.signature, made.signed_bytes()):
        return say(key, DIFFERS, "the signature is not one of this key for this content")
    if chain.hashes.get(made.seq) != made.record_sha256:
        return say(key, DIFFERS, f"signed was a record {made.seq} with the sha256 {made.record_sha256}, the one there has "
                   f"{chain.hashes.get(made.seq)}")
    whose = "the key that you named" if made.public_key == wanted else f"the key {shorten_key(made.public_key)}, which stands " \
        "beside it: compare that with the signer's"
    return say(key, EQUAL, f"record {made.seq} was signed by {made.by} at {made.at} with {whose}")


def sign_history(storage: Storage, model: str, private_pem: bytes, by: str) -> Signature:
    """Signs the newest record, once by each key; the same key again keeps the first signature.

    NoSuchModel: there is no record. Mismatch: something in the history was changed, so nobody should vouch for it.
    """
    chain = verify_history(storage, model)
    if wrong := [f for f in chain.findings if f["state"] in BAD]:
        raise Mismatch(f"nothing was signed: {wrong[0]['of']}: {wrong[0]['said']}. Look at all of it: trueup verify VERSION.")
    if chain.newest is None:
        raise NoSuchModel(f"model {model!r} has no history under {storage.root}: expected a version that was published.")
    seq = chain.newest.seq
    unsigned = Signature(model=model, seq=seq, record_sha256=chain.hashes[seq], at=clock.iso(clock.now()), by=by)
    public_key, signature = sign(private_pem, unsigned.signed_bytes())
    made = unsigned.model_copy(update={"public_key": public_key, "signature": signature})
    key = layout.history_signatures(model, seq, shorten_key(public_key))
    return made if create_if_absent(storage, key, made.to_bytes()) else Signature.load(storage, key)
