"""A decision is made again, from the counts and the evaluation that were made again, under the policy that stands in it."""

from collections.abc import Mapping

from contract import jsonio, layout
from contract.documents.decision import Decision
from contract.documents.rests_on import check_hashes
from contract.documents.verification import DIFFERS, EQUAL, TOLD, UNKNOWN, Finding, compare, say
from contract.errors import DamagedDocument, NotFound, TrueupError
from contract.policy import GatePolicy
from contract.settings import Settings
from contract.stores.recorded import PinnedStorage
from contract.stores.store import Storage
from pipeline.gate import judge, leave_out_what_vouches

OF_TODAY = ("retrain.", "gates[")  # what an earlier release's decision took from the history and the runs of its moment


def verify_decision(storage: Storage, settings: Settings, model: str, evaluation_id: str,
                    instead: Mapping[str, bytes]) -> list[Finding]:
    """Checks the decision on an evaluation, where there is one. `instead`: documents that were made again."""
    key = layout.decision(model, evaluation_id)
    try:
        data = storage.read(key)
    except NotFound:
        return [say(key, TOLD, "no decision was made on this evaluation, or somebody removed it")]
    try:
        value = jsonio.parse_object(data, storage.uri(key))
        decision = Decision.parse(value, storage.uri(key))
    except DamagedDocument as error:
        return [say(key, DIFFERS, str(error))]
    findings = [_check_bytes(key, data, value)]
    findings += check_hashes(storage, decision.rests_on, set())
    pinned = PinnedStorage(storage, decision.rests_on or None, instead)
    try:
        again = judge(pinned, _under(settings, decision), model, evaluation_id, decision.version)
    except (TrueupError, ValueError) as error:  # pydantic's errors are ValueErrors
        return [*findings, say(key, UNKNOWN, f"not decided again: {error}")]
    found = compare(key, leave_out_what_vouches(value), jsonio.loads(jsonio.dumps(again)))
    if not decision.rests_on and found["differ"] and all(f["figure"].startswith(OF_TODAY) for f in found["differ"]):
        found["state"] = UNKNOWN
        found["said"] += "; an earlier release decided, which did not note the history and the runs of its moment"
    return [*findings, found]


def _under(settings: Settings, decision: Decision) -> Settings:
    return settings.model_copy(update={"gates": GatePolicy(**decision.policy)})


def _check_bytes(key: str, data: bytes, value: dict[str, object]) -> Finding:
    """The digest in a decision is over everything else in it, so that no byte of it changes by accident unseen."""
    if jsonio.dumps(value) != data:
        return say(key, DIFFERS, "not the bytes that such a document is written as")
    digest = value.get("digest")
    if digest is None:
        return say(key, TOLD, "an earlier release made it, without a digest")
    if jsonio.digest({name: inner for name, inner in value.items() if name != "digest"}) != digest:
        return say(key, DIFFERS, "its content has another digest than stands in it")
    return say(key, EQUAL, "its content has the digest that stands in it")
