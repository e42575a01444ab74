"""What stands in the registry's records: the state of a model, the change that led to it, the claim of a version's number."""

from typing import Any, Self

from pydantic import ConfigDict, model_validator

from contract import jsonio
from contract.canary.documents import Canary
from contract.documents.document import Document, Moment


class ThresholdsOf(Document):
    """What the thresholds of a state are of: a version, and the evaluation that chose them, by labels of `first` to `last`.

    `first`, `last`: prediction days, YYYY-MM-DD, both included. `target`: the accuracy that was asked for; None: the rule of the
    evaluation itself (`evaluate.accepted_ratio`).
    """

    version: str
    evaluation: str
    first: str
    last: str
    target: float | None = None


class State(Document):
    """All that can change about a model: what is live, aliases, a canary, thresholds, gate overrides, versions without weights.

    A field that a newer release added goes on into the next record: whoever writes that one only changes what it knows.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    live: str | None = None
    aliases: dict[str, str] = {}
    thresholds: dict[str, float] = {}  # predicted label -> confidence from which on it is accepted unseen
    thresholds_of: ThresholdsOf | None = None  # None: there are none
    overrides: list[dict[str, Any]] = []
    deleted: list[str] = []
    formats: dict[str, str] = {}  # version -> the version of the same weights that it answers as well as, assessed
    canary: Canary | None = None  # that runs now; whoever makes a version live ends it
    cards: dict[str, str] = {}  # version -> sha256 of its card's bytes, of all that were made live or a format, since it is kept

    @model_validator(mode="after")
    def _overrides_say_of_what_and_until_when(self) -> Self:
        if any(not isinstance(o.get(name), str) for o in self.overrides for name in ("gate", "until")):
            raise ValueError("expected a gate and an end in every override")
        return self


class HistoryEntry(Document):
    """One history record: the change and the whole state after it."""

    seq: int
    at: str
    change: dict[str, Any]
    state: State
    previous: str | None = None  # sha256 of the bytes of the record before; None: the first, or of before the chain

    @model_validator(mode="after")
    def _change_has_a_kind(self) -> Self:
        if not isinstance(self.change.get("kind"), str):
            raise ValueError("expected the kind of the change")
        return self


class Signature(Document):
    """`models/<model>/signatures/<seq>-<key>.json`: somebody's word for a record: Ed25519 over the canonical form of the rest."""

    model: str
    seq: int
    record_sha256: str
    at: Moment
    by: str
    public_key: str = ""  # 32 bytes, hex; empty until it is signed
    signature: str = ""  # 64 bytes, hex

    def signed_bytes(self) -> bytes:
        """What is signed: everything here but the signature and the key."""
        return jsonio.dumps({"model": self.model, "seq": self.seq, "record_sha256": self.record_sha256, "at": self.at,
                             "by": self.by})


class Claim(Document):
    """`claim.json` of a version: who took the number, and when."""

    by: str = ""
    run: str | None = None
    at: Moment
