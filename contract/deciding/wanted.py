"""A decision before it is carried out: what is wanted, and what its author saw; then it is carried out, or is overtaken."""

from typing import Literal, get_args

from contract.deciding import changes
from contract.deciding.asking import Ask
from contract.deciding.changes import NOTHING, Change, Further
from contract.documents.decision import Gate
from contract.documents.document import Document
from contract.errors import UsageError
from contract.registry import Registry

Kind = Literal["promote", "approve", "rollback", "override", "override withdrawn"]
KINDS: tuple[str, ...] = get_args(Kind)
OF_VERSIONS = ("promote", "approve", "rollback")
# What must hold before anything is judged is for nobody to override.
CONDITIONS = ("freshness", "scope", "complete")
GATES = tuple(gate for gate in get_args(Gate.model_fields["gate"].annotation) if gate not in CONDITIONS)
LONGEST_REASON = 500


class Wanted(Document):
    """`live` and `seq`: the live version and the newest history record that its author saw."""

    kind: Kind
    version: str | None = None
    gate: str | None = None
    until: str | None = None
    reason: str
    live: str | None
    seq: int

    def describe(self) -> str:
        """Says from what to what, in words."""
        return {"promote": f"make version {self.version} live in place of version {self.live}",
                "approve": f"approve version {self.version}, which goes live in place of version {self.live}",
                "rollback": f"go back from version {self.live} to version {self.version}",
                "override": f"let gate {self.gate} pass until {self.until}",
                "override withdrawn": f"take back the override of gate {self.gate}"}[self.kind]


def check(wanted: Wanted) -> None:
    """UsageError when something is missing that the decision needs."""
    if wanted.kind in OF_VERSIONS and not wanted.version:
        raise UsageError(f"{wanted.kind}: expected a version, got none.")
    if wanted.kind not in OF_VERSIONS and wanted.gate not in GATES:
        raise UsageError(f"{wanted.kind}: expected a gate, one of {', '.join(GATES)}, got {wanted.gate!r}.")
    if wanted.kind == "override" and not wanted.until:
        raise UsageError("override: expected until when, a moment or a day (its end), UTC; got nothing.")
    if not wanted.reason.strip() and wanted.kind != "approve":
        raise UsageError(f"{wanted.kind}: expected a reason, for the history, got none.")
    if len(wanted.reason) > LONGEST_REASON:
        raise UsageError(f"expected a reason of at most {LONGEST_REASON} characters, got {len(wanted.reason):,}.")


def carry_out(registry: Registry, wanted: Wanted, *, by: str, ask: Ask, further: Further = NOTHING) -> Change:
    """Does what is wanted. PointerMoved: something else was made live since; and as contract.deciding.changes."""
    check(wanted)
    changes.require_same_live(registry, wanted.seq, wanted.live)
    version, gate, reason = wanted.version or "", wanted.gate or "", wanted.reason
    if wanted.kind == "promote":
        return changes.promote(registry, version, by=by, reason=reason, expected=wanted.live, ask=ask, further=further)
    if wanted.kind == "approve":
        return changes.approve(registry, version, by=by, ask=ask, further=further)
    if wanted.kind == "rollback":
        return changes.roll_back(registry, by=by, reason=reason, to=version, ask=ask, further=further)
    if wanted.kind == "override":
        return changes.override(registry, gate=gate, by=by, reason=reason, until=wanted.until or "", further=further)
    return changes.withdraw_override(registry, gate=gate, by=by, reason=reason, further=further)
