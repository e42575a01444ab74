"""The evaluations of a model: which is the newest, `evaluation.json` as it is read, and the verdict that holds now.

A verdict is of an evaluation of the live version, role live, that ends with the newest day of data there was. Any other
evaluation is a report.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import groupby
from typing import Any

from contract import clock, layout
from contract.counts import RULES
from contract.counts_store import explain_rules
from contract.documents.decision import Judgement
from contract.documents.evaluation import Evaluation, parse
from contract.errors import DamagedDocument, NotFound, UsageError, pass_over
from contract.registry import models
from contract.storage import read_json
from contract.stores.store import Storage

NAMED = 3  # evaluations that an error names
UNDECIDED = "cannot tell"  # also what a verdict becomes when it is too old
LOOK_BACK = 200  # evaluations that are searched for a verdict


def newest(storage: Storage, model: str) -> str:
    """The name of the newest evaluation that was finished, by its `as_of`; NotFound when there is none.

    Names tell the second only, so of those that share the newest one the documents decide.
    """
    found = next(_newest_first(storage, model), None)
    if found is None:
        raise NotFound(f"{storage.root}: expected an evaluation of model {model!r}, found none. Make one: "
                       f"trueup evaluate --model {model}.")
    return found


def find_newest_readable(storage: Storage, model: str) -> str:
    """The newest evaluation that can be read, else the newest; damaged ones are named on standard error. NotFound: none."""
    for name in _newest_first(storage, model):
        try:
            read_evaluation(storage, model, name)
            return name
        except DamagedDocument as error:
            pass_over(error)
    return newest(storage, model)


def find_newest_to_judge(storage: Storage, model: str) -> str:
    """The newest evaluation that can be a verdict; where none can, the newest; NotFound when there is none."""
    for name, _ in zip(_newest_first(storage, model), range(LOOK_BACK), strict=False):
        if is_verdict(read_evaluation(storage, model, name)):
            return name
    return newest(storage, model)


def list_known_models(storage: Storage) -> list[str]:
    """Lists models that were published or evaluated; foreign ones have evaluations only."""
    evaluated = [layout.decode_name(folder) for folder in storage.folders(layout.all_evaluations())]
    return sorted({*models(storage), *evaluated})


def is_verdict(evaluation: Evaluation) -> bool:
    """Whether an evaluation is by today's rules, of role live, and ends with the newest day of data (where recorded)."""
    if evaluation["rules"] != RULES:
        return False
    return evaluation["role"] == "live" and evaluation["window"]["to"] >= (evaluation.get("newest_day") or "")


def find_verdict(storage: Storage, model: str, live: Collection[str], damaged: list[str]) -> dict[str, Any] | None:
    """The newest decision on one of the versions that answer (empty: on any) that is a verdict; None while there is none.

    `live`: the live version and its formats (contract.deciding.formats.list_answering).

    A decision on another version, role or window is passed over, so that neither a rollback nor a report changes what is
    said of the live version. So is one that cannot be read, or whose evaluation cannot; `damaged` is told each.
    """
    for name, _ in zip(_newest_first(storage, model), range(LOOK_BACK), strict=False):
        try:
            decision = read_decision(storage, model, name)
            if decision is None or (live and decision["version"] not in live):
                continue
            if is_verdict(read_evaluation(storage, model, name)):
                return decision
        except DamagedDocument as error:
            damaged.append(str(error))
    return None


def is_stale(decision: dict[str, Any], max_age_days: float | None) -> bool:
    """Whether a verdict is older than `max_age_days` (None: good for ever), so that it says nothing of today."""
    as_of: str | None = decision.get("as_of")
    if not as_of or max_age_days is None:
        return False
    return clock.now() - clock.parse_moment(as_of) > timedelta(days=max_age_days)


def say_stale(decision: dict[str, Any]) -> str:
    """The sentence of a verdict that is too old."""
    return f"Nobody has judged it since {decision['as_of'][:10]}. Then: {decision['sentence']}"


def find_bound(decision: Mapping[str, Any] | None) -> float | None:
    """Finds the bound of the accuracy gate in a decision; None without a decision, or a bound in it."""
    gates = decision["gates"] if decision else []
    return next((gate.get("bound") for gate in gates if gate.get("gate") == "accuracy"), None)


def find_other_rules(storage: Storage, model: str) -> str | None:
    """Says that the newest evaluation that can be read was counted by the rules of another release; None when it was not."""
    for name, _ in zip(_newest_first(storage, model), range(LOOK_BACK), strict=False):
        try:
            evaluation = read_evaluation(storage, model, name)
        except DamagedDocument:  # whoever looks for a verdict names it
            continue
        return explain_rules(evaluation) if evaluation["rules"] != RULES else None
    return None


def read_decision(storage: Storage, model: str, evaluation_id: str) -> dict[str, Any] | None:
    """Reads the decision on an evaluation; None while it is not judged. DamagedDocument when it is no decision."""
    key = layout.decision(model, evaluation_id)
    try:
        decision = read_json(storage, key)
    except NotFound:
        return None
    Judgement.parse(decision, storage.uri(key))
    return decision


def _newest_first(storage: Storage, model: str) -> Iterator[str]:
    """The finished evaluations, newest first."""
    return order_newest_first(storage, model, storage.folders(layout.evaluations(model)))


def list_newest_first(storage: Storage, model: str) -> list[str]:
    """Lists a model's evaluations, newest first, unfinished ones too: for lists of many, since only those that share a second
    are read."""
    names = sorted(storage.folders(layout.evaluations(model)), reverse=True)
    seconds = (list(of) for _, of in groupby(names, key=read_second))
    return [name for of in seconds for name in (of if len(of) == 1 else order_newest_first(storage, model, of))]


def read_second(name: str) -> str:
    """What the name of an evaluation says of its moment: YYYYMMDDTHHMMSSZ."""
    return name.partition("-")[0]


def order_newest_first(storage: Storage, model: str, names: Iterable[str]) -> Iterator[str]:
    """Yields those of these evaluations that are finished, newest first: a name says the second, the document the moment."""
    names = sorted(names, reverse=True)
    for _, same_second in groupby(names, key=read_second):
        finished = [n for n in same_second if storage.exists(layout.evaluation_document(model, n))]
        if len(finished) > 1:
            finished.sort(key=lambda n: (_read_as_of(storage, model, n), n), reverse=True)
        yield from finished


def _read_as_of(storage: Storage, model: str, name: str) -> str:
    try:
        return read_evaluation(storage, model, name)["as_of"]
    except DamagedDocument:  # behind those that tell; whoever takes it says what is wrong
        return ""


def read_evaluation(storage: Storage, model: str, evaluation_id: str) -> Evaluation:
    """Reads an evaluation. NotFound names the newest there are; DamagedDocument names the document and its first wrong field."""
    found = find_evaluation(storage, model, evaluation_id)
    if found is None:
        there = ", ".join(storage.folders(layout.evaluations(model))[-NAMED:]) or "none"
        raise NotFound(f"{storage.root}: model {model!r} has no evaluation {evaluation_id!r}; the newest are: {there}. "
                       f"Make one: trueup evaluate --model {model}.")
    return found


def find_evaluation(storage: Storage, model: str, evaluation_id: str) -> Evaluation | None:
    """Reads an evaluation; None while its document is not there. DamagedDocument when it is none."""
    key = layout.evaluation_document(model, evaluation_id)
    try:
        data = storage.read(key)
    except NotFound:
        return None
    return parse(data, storage.uri(key))


def read_thresholds(storage: Storage, model: str, evaluation_id: str, role: str) -> dict[str, float | None]:
    """Reads from which confidence the answers of each class may be accepted unseen: predicted label -> threshold.

    None: nothing of that class. Of several versions the strictest counts. NotFound; UsageError: the evaluation is of
    another role, or none of its classes has a threshold.
    """
    evaluation = read_evaluation(storage, model, evaluation_id)
    if evaluation["role"] != role:
        raise UsageError(f"the evaluation {evaluation_id} is of predictions of role {evaluation['role']}: expected {role}. Name "
                         f"that role by --role, or evaluate with --role {role}.")
    found: dict[str, float | None] = {}
    for figures in evaluation["versions"].values():
        for row in figures["confidence_thresholds"]:
            name, at = row["predicted"], row["threshold"]
            before = found.get(name, 0.0)
            found[name] = None if at is None or before is None else max(at, before)
    if not any(at is not None for at in found.values()):
        raise UsageError(f"the evaluation {evaluation_id} accepts no answer of any class: expected thresholds. It needs labels "
                         f"at every confidence (trueup review sample --kind review --strategy by-class), or a better model.")
    return found
