"""The evaluations of a model: which is the newest, and `evaluation.json` as it is read."""

from itertools import groupby

from contract import layout
from contract.documents.evaluation import Evaluation, parse
from contract.errors import NotFound
from contract.stores.store import Storage

NAMED = 3  # evaluations that an error names


def newest(storage: Storage, model: str) -> str:
    """The name of the newest evaluation that was finished, by its `as_of`; NotFound when there is none.

    Names tell the second only, so of those that share the newest one the documents decide.
    """
    names = sorted(storage.folders(layout.evaluations(model)), reverse=True)
    for _, same_second in groupby(names, key=lambda name: name.partition("-")[0]):
        finished = [n for n in same_second if storage.exists(layout.evaluation_document(model, n))]
        if len(finished) == 1:
            return finished[0]
        if finished:
            return max(finished, key=lambda n: (read_evaluation(storage, model, n)["as_of"], n))
    raise NotFound(f"{storage.root}: expected an evaluation of model {model!r}, found none. Make one: "
                   f"trueup evaluate --model {model}.")


def read_evaluation(storage: Storage, model: str, evaluation_id: str) -> Evaluation:
    """Reads an evaluation. NotFound names the newest there are; Mismatch names a damaged document and its first wrong field."""
    found = find_evaluation(storage, model, evaluation_id)
    if found is None:
        there = ", ".join(storage.folders(layout.evaluations(model))[-NAMED:]) or "none"
        raise NotFound(f"{storage.root}: model {model!r} has no evaluation {evaluation_id!r}; the newest are: {there}. "
                       f"Make one: trueup evaluate --model {model}.")
    return found


def find_evaluation(storage: Storage, model: str, evaluation_id: str) -> Evaluation | None:
    """Reads an evaluation; None while its document is not there. Mismatch when it is damaged."""
    key = layout.evaluation_document(model, evaluation_id)
    try:
        data = storage.read(key)
    except NotFound:
        return None
    return parse(data, storage.uri(key))
