"""Which evaluation of a model is the newest."""

from itertools import groupby

from contract import layout
from contract.errors import NotFound
from contract.storage import read_json
from contract.stores.store import Storage


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
            return max(finished, key=lambda n: (read_json(storage, layout.evaluation_document(model, n))["as_of"], n))
    raise NotFound(f"{storage.root}: expected an evaluation of model {model!r}, found none. Make one: "
                   f"trueup evaluate --model {model}.")
