"""Four eyes: what one administrator asks for is kept in the bucket until another one approves it.

A proposal is a numbered document that never changes; its answer is another one beside it, created once. It is open for a
day, and as long as nothing else was made live (`require_same_live`).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import Field

from contract import clock, layout
from contract.deciding.asking import Ask, require_answer, say_nothing
from contract.deciding.changes import Change, require_same_live
from contract.deciding.wanted import OF_VERSIONS, Wanted, carry_out, check
from contract.documents.document import Document, Moment
from contract.errors import DamagedDocument, NotFound, PointerMoved, UsageError
from contract.registry import Registry
from contract.sequence import NumberedDocuments
from contract.stores.store import create_if_absent

HOLDS = timedelta(days=1)
LOOK_BACK = 20  # proposals


class Proposal(Wanted):
    """`models/<model>/proposals/<n>/proposal.json`: who asks for it, and when."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    by: str
    at: Moment


class Answer(Document):
    """`answer.json` beside a proposal: who approved it, declined it, or took it back."""

    answer: Literal["approved", "declined", "taken back"]
    by: str
    at: Moment


@dataclass(frozen=True)
class Shown:
    """A proposal with its number, and why it can no longer be approved; None while it can."""

    n: int
    proposal: Proposal
    closed: str | None


def propose(registry: Registry, wanted: Wanted, by: str) -> int:
    """Keeps a proposal and returns its number. UsageError, PointerMoved; also when the same is open already."""
    check(wanted)
    require_same_live(registry, wanted.seq, wanted.live)
    for shown in list_proposals(registry):
        same = (shown.proposal.kind, shown.proposal.version, shown.proposal.gate) == (wanted.kind, wanted.version, wanted.gate)
        if shown.closed is None and same:
            raise UsageError(f"{shown.proposal.by} asked for the same already (proposal {shown.n}): it waits for somebody else's "
                             f"approval. Nothing was done.")
    made = Proposal(**wanted.model_dump(), by=by, at=clock.iso(clock.now()))
    return _sequence(registry).add(made.to_dict())


def list_proposals(registry: Registry) -> list[Shown]:
    """Lists the newest proposals, the newest first; those that cannot be read are left out."""
    sequence, shown = _sequence(registry), []
    newest = sequence.newest_number()
    for n in range(newest, max(newest - LOOK_BACK, 0), -1):
        try:
            proposal = Proposal.parse(sequence.get(n), sequence.uri(n))
            shown.append(Shown(n, proposal, _explain_closed(registry, n, proposal)))
        except (DamagedDocument, NotFound):
            continue
    return shown


def approve_proposal(registry: Registry, n: int, by: str, ask: Ask) -> Change:
    """Carries out what another one asked for. UsageError, PointerMoved, TrialFailed: nothing was done.

    The answer is kept before the change: of two who approve at once one is refused. Whoever approved, and was interrupted
    before the change, may do so again.
    """
    proposal = _read(registry, n)
    if proposal.by == by:
        raise UsageError(f"{by} asked for this: expected another administrator to approve it. Nothing was done.")
    if (why := _explain_closed(registry, n, proposal, by)) is not None:
        raise PointerMoved(f"proposal {n} can no longer be approved: {why}. Nothing was done.")
    if proposal.kind in OF_VERSIONS:
        require_answer(registry, proposal.version or "", proposal.live, ask)
    _answer(registry, n, "approved", by)
    return carry_out(registry, proposal, by=proposal.by, ask=say_nothing, further={"approved_by": by, "proposal": n})


def decline_proposal(registry: Registry, n: int, by: str) -> Answer:
    """Closes a proposal: its author takes it back, anybody else declines it. PointerMoved when it is closed already."""
    proposal = _read(registry, n)
    if (why := _explain_closed(registry, n, proposal)) is not None:
        raise PointerMoved(f"proposal {n} is closed already: {why}.")
    return _answer(registry, n, "taken back" if by == proposal.by else "declined", by)


def _answer(registry: Registry, n: int, word: Literal["approved", "declined", "taken back"], by: str) -> Answer:
    answer = Answer(answer=word, by=by, at=clock.iso(clock.now()))
    if create_if_absent(registry.storage, layout.proposal(registry.model, n, "answer"), answer.to_bytes()):
        return answer
    before = _find_answer(registry, n)
    if before is None or (before.answer, before.by) != (word, by):
        raise PointerMoved(f"proposal {n} was answered meanwhile{f' by {before.by}: {before.answer}' if before else ''}. "
                           f"Nothing was done.")
    return before


def _explain_closed(registry: Registry, n: int, proposal: Proposal, by: str | None = None) -> str | None:
    """Says why a proposal can no longer be approved (by `by`, where that is somebody who began to); None while it can."""
    answer = _find_answer(registry, n)
    if answer and (answer.answer, answer.by) != ("approved", by):
        return f"{answer.answer} by {answer.by}"
    if clock.now() - clock.parse_moment(proposal.at) > HOLDS:
        return f"it is older than a day ({proposal.at[:16].replace('T', ' ')} UTC)"
    for record in registry.history_known()[0] if answer else []:
        if record.change.get("proposal") == n:
            return f"it was carried out (history record {record.seq})"
    try:
        require_same_live(registry, proposal.seq, proposal.live)
    except PointerMoved as error:
        return f"overtaken: {error}"
    return None


def _find_answer(registry: Registry, n: int) -> Answer | None:
    try:
        return Answer.load(registry.storage, layout.proposal(registry.model, n, "answer"))
    except NotFound:
        return None


def _read(registry: Registry, n: int) -> Proposal:
    try:
        return Proposal.parse(_sequence(registry).get(n), _sequence(registry).uri(n))
    except NotFound:
        raise UsageError(f"model {registry.model!r}: there is no proposal {n}.") from None


def _sequence(registry: Registry) -> NumberedDocuments:
    return NumberedDocuments(registry.storage, layout.proposal(registry.model))
