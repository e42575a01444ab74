"""What stands in the registry's records: the state of a model, the change that led to it, the claim of a version's number."""

from typing import Any, Self

from pydantic import ConfigDict, model_validator

from contract import jsonio
from contract.canary.documents import Canary
from contract.documents.document import Document, Moment


class State(Document):
    """All that can change about a model: what is live, aliases, a canary, thresholds, gate overrides, versions without weights.

    A field that a newer release added goes on into the next record: whoever writes that one only changes what it knows.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    live: str | None = None
    aliases: dict[str, str] = {}
    thresholds: dict[str, float] = {}
    overrides: list[dict[str, Any]] = []
    deleted: list[str] = []
    canary: Canary | None = None  # that runs now; whoever makes a version live ends it
    cards: dict[str, str] = {}  # version -> sha256 of its card's bytes, of all that were made live since this is kept

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
