"""Thresholds are accepted, and cleared: each is one history record (docs/design.md#accept-or-review)."""

from collections.abc import Mapping

from contract.deciding.changes import NOTHING, Change, Further
from contract.documents.evaluation import Evaluation
from contract.documents.history import State, ThresholdsOf
from contract.errors import UsageError
from contract.registry import Registry, check_version


def choose_version(evaluation: Evaluation, evaluation_id: str, live: str | None, named: str | None) -> str:
    """Chooses the version whose thresholds are meant: the one that is `named`, else the live one. UsageError: the evaluation
    has no figures of it, or is of another role than live."""
    if evaluation["role"] != "live":
        raise UsageError(f"the evaluation {evaluation_id} is of predictions of role {evaluation['role']}: expected live, since "
                         f"thresholds decide on what the service answers. Evaluate with --role live.")
    there = ", ".join(evaluation["versions"]) or "none"
    version = check_version(named) if named else live
    if version is None:
        raise UsageError("no version is live: expected --version, whose thresholds these are.")
    if version not in evaluation["versions"]:
        hint = "" if named else " Name the version that it is of by --version, or evaluate what is live now."
        raise UsageError(f"the evaluation {evaluation_id} is of version {there}: expected version {version}"
                         f"{'' if named else ', which is live'}.{hint}")
    return version


def list_thresholds(evaluation: Evaluation, evaluation_id: str, version: str) -> dict[str, float]:
    """Lists the thresholds that an evaluation has for a version, of the classes that have one. UsageError: none has."""
    rows = evaluation["versions"][version]["confidence_thresholds"]
    found = {row["predicted"]: at for row in rows if (at := row["threshold"]) is not None}
    if not found:
        raise UsageError(f"the evaluation {evaluation_id} accepts no answer of any class of version {version}: expected "
                         f"thresholds. It needs labels at every confidence (trueup review sample --kind review --strategy "
                         f"by-class), or a better model.")
    return found


def accept_thresholds(registry: Registry, at: Mapping[str, float], of: ThresholdsOf, *, by: str, reason: str,
                      further: Further = NOTHING) -> Change:
    """Writes thresholds, and what they are of, in place of those before. NoSuchVersion: the version has no card."""
    registry.card(of.version)
    newest = registry.newest()
    state = newest.state if newest else State()
    kept = dict(sorted(at.items()))
    if newest and state.thresholds == kept and state.thresholds_of == of:
        return Change(newest, written=False)
    made = {"kind": "thresholds", "version": of.version, "evaluation": of.evaluation, "target": of.target, "classes": len(kept),
            "by": by, "reason": reason}
    return Change(registry.change({**made, **further}, {"thresholds": kept, "thresholds_of": of}, state.live))


def clear_thresholds(registry: Registry, *, by: str, reason: str, further: Further = NOTHING) -> Change:
    """Takes the thresholds away: answers carry no decision then. NoSuchModel: nothing was ever published."""
    live, newest = registry.live(), registry.newest()
    if newest and not newest.state.thresholds and newest.state.thresholds_of is None:
        return Change(newest, written=False)
    made = {"kind": "thresholds cleared", "by": by, "reason": reason}
    return Change(registry.change({**made, **further}, {"thresholds": {}, "thresholds_of": None}, live))
