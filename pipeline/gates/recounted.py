"""What an evaluation's recounts (contract/evidence/recounts.py) are to a gate: for each person, by how much tallies change."""

from dataclasses import replace
from typing import TYPE_CHECKING

from contract.documents.evaluation import Evaluation
from contract.evidence.recounts import read_changes
from contract.policy import GatePolicy
from contract.stores.store import Storage
from pipeline.gates.fragile import Without
from pipeline.gates.tally import Tally, find_first_day, tally

if TYPE_CHECKING:
    import pyarrow as pa


def list_without(storage: Storage, policy: GatePolicy, evaluation: Evaluation, evaluation_id: str,
                 version: str) -> list[Without]:
    """Each person who was left out of the counts of a version; empty where the evaluation was not asked for recounts."""
    changes = read_changes(storage, evaluation, evaluation_id)
    if changes is None:
        return []
    import pyarrow.compute as pc

    ours = changes.filter(pc.equal(changes["model_version"], version))
    people = [p for p in evaluation["evidence"]["recounts"]["people"] if p["version"] == version]
    found = []
    for person in people:
        named = pc.is_null(ours["name"]) if person["name"] is None else pc.equal(ours["name"], person["name"])
        part = ours.filter(pc.and_(pc.equal(ours["kind"], person["kind"]), named))
        found.append(Without(person["kind"], person["name"], person["votes"], person["share"],
                             _tally(part, policy, evaluation["window"]["to"], version)))
    return found


def _tally(changes: "pa.Table", policy: GatePolicy, last: str, version: str) -> Tally:
    """The tally of changes over the window, and over the windows of the policy."""
    import pyarrow.compute as pc

    newest = {n: changes.filter(pc.greater_equal(changes["day"], find_first_day(last, n)))
              for n in policy.window_days}
    return replace(tally(changes, version, policy.trusted_origins),
                   windows={n: tally(part, version, policy.trusted_origins) for n, part in newest.items()})
