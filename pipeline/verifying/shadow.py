"""A version that a later run made live, because it held as a shadow: that decision again, and which run made the version."""

from contract import jsonio, layout
from contract.documents.verification import DIFFERS, UNKNOWN, Finding, compare, say
from contract.errors import DamagedDocument, NotFound, TrueupError
from contract.evaluations import read_evaluation
from contract.policy import GatePolicy
from contract.runs import Plan, parse_number
from contract.stores.store import Storage
from pipeline.gates.shadow import judge_shadow

OF_THE_STAGE = ("evaluation", "made_by")  # what a run notes beside the decision


def verify_shadow(storage: Storage, model: str, n: int) -> tuple[list[Finding], int]:
    """Decides again on the shadow by the evaluation of run n; returns what was found, and the run that made the version.

    Of a run that made it itself nothing is found, and that is n.
    """
    key = layout.stage(model, n, "shadow")
    try:
        told = jsonio.parse_object(storage.read(key), storage.uri(key))
    except NotFound:
        return [], n
    except DamagedDocument as error:
        return [say(key, DIFFERS, str(error))], n
    maker = parse_number(str(told.get("made_by") or ""))
    if not maker or "evaluation" not in told:
        return [], n
    try:
        plan = Plan.load(storage, layout.runs(model).format(n))
        evaluation = read_evaluation(storage, model, str(told["evaluation"]))
        answered = str(told.get("answered") or plan.live)  # an earlier release compared with the live version alone
        again = judge_shadow(GatePolicy(**plan.settings["gates"]), evaluation, [answered], str(told["candidate"]))
    except (TrueupError, ValueError, KeyError, TypeError) as error:
        return [say(key, UNKNOWN, f"not decided again: {type(error).__name__}: {error}")], maker
    kept = {name: told[name] for name in OF_THE_STAGE}
    again = {name: value for name, value in again.items() if name != "answered" or name in told}
    of = compare(key, told, jsonio.loads(jsonio.dumps(again | kept)))
    of["said"] = f"{of['said']}; check its evaluation too: trueup verify {told['evaluation']}"
    return [of], maker
