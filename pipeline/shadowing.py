"""A run whose candidate has to hold on real traffic first (`gates.shadow_labels`), and the later run that finds that it does.

The run that made the candidate names it `shadow` and ends as `awaiting shadow`, with 4. Each later run evaluates as ever, and
then looks at the candidate of the run before: published, refused, or waiting still. Somebody who takes the alias away ends the
waiting.
"""

from contract import layout
from contract.deciding import changes
from contract.deciding.formats import list_formats
from contract.deciding.names import SHADOW
from contract.documents.history import Claim
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.evaluations import read_evaluation
from contract.policy import GatePolicy
from contract.registry import Registry
from contract.runs import AWAITING_SHADOW, Run, Runs
from metrics.judging.verdicts import TOO_FEW, UNDECIDED
from pipeline.gates.shadow import judge_shadow

STAGE, BY = "shadow", "cycle"


def name_candidate(run: Run, candidate: str, policy: GatePolicy) -> dict[str, object]:
    """Lets services compute the candidate beside the live version; returns the record of the stage. May be repeated."""
    run.require()
    changes.set_alias(Registry(run.storage, run.plan.model), SHADOW, candidate, by=BY,
                      reason=f"run {run.key}: before it goes live, {policy.shadow_labels} labels", further={"run": run.key})
    return {"candidate": candidate, "promote": False, "verdict": UNDECIDED, "reason": TOO_FEW,
            "sentence": f"Version {candidate} computes beside live version {run.plan.live} until {policy.shadow_labels} trusted "
                        f"labels tell whether it holds (gates.shadow_labels); a later `trueup cycle` goes on."}


def find_candidate(run: Run) -> str | None:
    """The candidate that waits for this run to look at it: that of the run before, while it is still the shadow."""
    looked = run.stage(STAGE)
    if looked is not None:
        return None if run.stage("train") is not None else str(looked["candidate"])
    if run.n == 1:
        return None
    try:
        before = Runs(run.storage, run.plan.model).get(run.n - 1)
        end, waiting = before.end(), before.stage(STAGE)
    except (DamagedDocument, NotFound) as error:  # a run that is over stops none that comes after it
        pass_over(error if isinstance(error, DamagedDocument) else DamagedDocument(str(error)))
        return None
    if end is None or waiting is None or end.status != AWAITING_SHADOW or before.plan.live != run.plan.live:
        return None
    newest = Registry(run.storage, run.plan.model).newest()
    candidate = str(waiting["candidate"])
    return candidate if newest is not None and newest.state.aliases.get(SHADOW) == candidate else None


def look_at(run: Run, candidate: str, evaluation_id: str, policy: GatePolicy) -> dict[str, object]:
    """Decides on the candidate by the run's evaluation; returns the record of the stage."""
    evaluation = read_evaluation(run.storage, run.plan.model, evaluation_id)
    made_by = Claim.load(run.storage, layout.claim(run.plan.model, candidate)).run
    newest = Registry(run.storage, run.plan.model).newest()
    formats = list_formats(newest.state) if newest and newest.state.live == run.plan.live else []
    decision = judge_shadow(policy, evaluation, [run.plan.live, *formats], candidate)
    return decision | {"evaluation": evaluation_id, "made_by": made_by}


def end_shadow(run: Run, candidate: str) -> None:
    """Takes the name from a candidate that was refused, unless it is another's by now."""
    registry = Registry(run.storage, run.plan.model)
    newest = registry.newest()
    if newest is not None and newest.state.aliases.get(SHADOW) == candidate:
        changes.set_alias(registry, SHADOW, None, by=BY, reason=f"run {run.key}: version {candidate} does not hold",
                          further={"run": run.key})
