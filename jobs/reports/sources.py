"""What a report shows beside its own evaluation: the previous evaluation, where versions come from, days of a class.

Everything is read from the root. A report of the document alone (`render` of jobs/reports/page.py) is whole without it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from contract import layout
from contract.assessed.first_holdout import find_newest
from contract.counts_store import load_all
from contract.documents import manifest
from contract.documents.evaluation import Evaluation, Window
from contract.errors import DamagedDocument, Mismatch, NotFound, pass_over
from contract.evaluations import find_evaluation, list_newest_first, read_decision, read_second
from contract.policy import GatePolicy
from contract.registry import Registry
from contract.rows.items import list_erased
from contract.rows.replay import list_replays
from contract.settings import ReportSettings
from contract.stores.store import Storage
from jobs.reports.checking import find_checking
from jobs.reports.examples import find_examples, show_unusual
from jobs.reports.suspects import find_suspected
from jobs.reports.view import order_versions
from metrics.decomposition import change
from metrics.tables import class_days
from metrics.window import by_class

LOOK_BACK = 50
MOST_REPLAYS = 30


def read_sources(storage: Storage, evaluation: Evaluation, evaluation_id: str, decision: Mapping[str, Any] | None,
            settings: ReportSettings) -> dict[str, Any]:
    """`before`, `lineage`, `class_days`, `checking`, `examples`, `unusual`, `erased`, `first_holdout`, `replays`,
    `suspects` of an evaluation; each empty where there is nothing."""
    model = evaluation["model"]
    order, is_live = order_versions(evaluation, decision), evaluation["role"] == "live"
    return {"before": find_previous(storage, evaluation, evaluation_id, order), "lineage": trace_lineage(storage, model, order),
            "class_days": _days(storage, evaluation), "checking": find_checking(storage, evaluation, settings),
            "examples": find_examples(storage, evaluation, order[0], settings) if order else [],
            "unusual": show_unusual(storage, evaluation, settings), "erased": _list_erased(storage, evaluation),
            "first_holdout": find_newest(Registry(storage, model), order[0]) if order else None,
            "replays": find_replays(storage, model, evaluation["window"]) if is_live else [],
            "suspects": find_suspected(storage, model, _read_trusted(decision), settings) if is_live else None}


def _read_trusted(decision: Mapping[str, Any] | None) -> Sequence[str]:
    """The origins that the policy of a decision trusts; those of the default where nothing was judged."""
    return ((decision or {}).get("policy") or {}).get("trusted_origins") or GatePolicy().trusted_origins


def _list_erased(storage: Storage, evaluation: Evaluation) -> frozenset[str]:
    """The hashes of erased pictures, where the report lists pictures by their own values."""
    listed = "pictures" in (evaluation.get("evidence") or {})
    return frozenset(list_erased(storage)) if listed else frozenset()


def find_replays(storage: Storage, model: str, window: Window) -> list[dict[str, Any]]:
    """Lists the newest replay of each version whose window meets this one: the document, `id`, and the address of its `page`."""
    found: dict[str, dict[str, Any]] = {}
    for name, document in list_replays(storage, model, MOST_REPLAYS):
        meets = document.window["from"] <= window["to"] and document.window["to"] >= window["from"]
        if meets and document.version not in found:
            found[document.version] = {"id": name, "page": link_to_replay(model, name), **document.to_dict()}
    return [found[version] for version in sorted(found)]


def link_to_replay(model: str, replay_id: str) -> str:
    """Writes where the service shows the page of a replay."""
    return f"/reports/{layout.replay_page(model, replay_id)}"


def find_previous(storage: Storage, evaluation: Evaluation, evaluation_id: str,
                  order: Sequence[str]) -> dict[str, Any] | None:
    """The newest earlier evaluation with figures, a judged one before others, and what changed since."""
    model = evaluation["model"]
    names = [n for n in list_newest_first(storage, model)
             if n != evaluation_id and read_second(n) <= read_second(evaluation_id)][:LOOK_BACK]
    judged = [n for n in names if storage.exists(layout.decision(model, n))]
    for name in [*judged, *(n for n in names if n not in judged)] if order else ():
        found = find_readable(storage, model, name)
        if found and found["versions"] and found["as_of"] < evaluation["as_of"]:
            decision = find_decision(storage, model, name)
            version = order[0] if order[0] in found["versions"] else order_versions(found, decision)[0]
            now, then = evaluation["versions"][order[0]], found["versions"][version]
            return {"id": name, "file": find_file(storage, model, name), "as_of": found["as_of"], "window": found["window"],
                    "version": version, "now": order[0],
                    "verdict": decision and decision["verdict"], "figures": then,
                    "change": change(then, now, evaluation["confidence"])}
    return None


def find_file(storage: Storage, model: str, evaluation_id: str) -> str:
    """The file that a link to an evaluation leads to: its report, or the document where none was rendered."""
    report = layout.report(model, evaluation_id)
    key = report if storage.exists(report) else layout.evaluation_document(model, evaluation_id)
    return key.rpartition("/")[2]


def find_decision(storage: Storage, model: str, evaluation_id: str) -> dict[str, Any] | None:
    """Reads the decision on an evaluation; None while it is not judged, and for a damaged one, which is named."""
    try:
        return read_decision(storage, model, evaluation_id)
    except DamagedDocument as error:
        pass_over(error)
        return None


def find_readable(storage: Storage, model: str, evaluation_id: str) -> Evaluation | None:
    """Reads an evaluation; None while its document is not there, and for a damaged one, which is named."""
    try:
        return find_evaluation(storage, model, evaluation_id)
    except DamagedDocument as error:
        pass_over(error)
        return None


def trace_lineage(storage: Storage, model: str, order: Sequence[str]) -> list[dict[str, Any]]:
    """Version -> dataset -> labels, for the versions of the report and those they come from, newest first."""
    try:
        cards = list(Registry(storage, model).ancestors(*order, missing_ok=True))
    except DamagedDocument as error:  # a lineage with a gap is not shown
        pass_over(error)
        cards = []
    return [{"version": card.version, "created_at": card.created_at, "parent": card.parent, "network": card.network,
             "classes": len(card.classes), "made_from": card.made_from, "dataset": _dataset(storage, card.dataset)}
            for card in cards]


def _dataset(storage: Storage, dataset: str | None) -> dict[str, Any] | None:
    if dataset is None:
        return None
    try:
        made = manifest.load(storage, dataset)
    except (NotFound, DamagedDocument) as error:
        if isinstance(error, DamagedDocument):
            pass_over(error)
        return {"id": dataset, "gone": True}
    return {"id": dataset, "gone": False, "as_of": made.as_of, "window": made.window, "rows": made.rows,
            "labels": made.label_sources, "erased": len(made.erased)}


def _days(storage: Storage, evaluation: Evaluation) -> dict[str, dict[str, list[tuple[str, int, int]]]]:
    """Version -> label -> (day, right, labels); empty when counts that the evaluation names are gone."""
    try:
        return class_days({c.day: by_class(c.tables["cells"]) for c in load_all(storage, evaluation)})
    except NotFound:
        return {}
    except Mismatch as error:
        pass_over(error)
        return {}
