"""What MLflow is told of versions: a run for each, from its card, and which of them is live, shadow and canary."""

import json
from collections.abc import Mapping
from typing import Any

from command.tracking.mlflow_store import FAILED, FINISHED, RUNNING, VERSION, MlflowStore
from contract import jsonio, layout
from contract.canary.changes import get_running
from contract.deciding.names import SHADOW
from contract.documents.card import Card
from contract.documents.history import State
from contract.registry import Registry
from contract.storage import find_root_id
from contract.stores.store import Storage

LIVE, CANARY = "live", "canary"
METRICS = "metrics.jsonl"
# Of an assessment: figure -> where it stands in the document.
FIGURES: dict[str, tuple[str, ...]] = {
    "rows": ("rows",), "difference": ("overall", "difference", "value"), "p": ("overall", "mcnemar", "two_sided"),
    "differ": ("disagreement", "differ"),
    **{f"{side}_accuracy": ("overall", side, "value") for side in ("live", "candidate")},
    **{f"{side}_{name}": ("versions", side, name) for side in ("live", "candidate")
       for name in ("calibration_error", "latency_ms")}}


def find_root_name(storage: Storage) -> str:
    """Finds 16 hex digits that name a root, the same wherever its folder is mounted."""
    return jsonio.digest(find_root_id(storage) or storage.root)[:16]


def make_key(registry: Registry, version: str) -> str:
    """Makes the key of a version's run: a version is the work of one training, however often that was killed and begun again."""
    return f"{find_root_name(registry.storage)}/{registry.model}/{version}"


def begin_version(store: MlflowStore, registry: Registry, version: str, parameters: Mapping[str, Any],
                  run: str | None = None) -> str:
    """Makes the run of a training that begins, or goes on; returns MLflow's id. `run`: key of the run of ours that asks."""
    found = _need_run(store, registry, version, {"trueup.run": run} if run else {})
    store.set_status(found, RUNNING)
    store.log_parameters(found, parameters)
    return found


def fail_version(store: MlflowStore, registry: Registry, version: str) -> str | None:
    """Says of a training that it failed."""
    found = store.find_run(make_key(registry, version))
    if found is not None:
        store.set_status(found, FAILED)
    return found


def log_version(store: MlflowStore, registry: Registry, card: Card) -> str:
    """Tells all that the card holds: parameters, epochs, the card itself and metrics.jsonl; returns MLflow's id of the run.

    A run that is finished was told all of it.
    """
    run = _need_run(store, registry, card.version, {})
    if store.get_status(run) == FINISHED:
        return run
    store.log_parameters(run, list_parameters(card))
    epochs = card.metrics.get("epochs", [])
    store.log_epochs(run, epochs)
    texts = {layout.card(card.model, card.version).rpartition("/")[2]: card.to_bytes().decode()}
    if epochs:  # those of the file beside the card, which the driver on AWS may not read; brought from outside it has none
        texts[METRICS] = "".join(f"{json.dumps(entry, sort_keys=True)}\n" for entry in epochs)
    store.log_texts(run, texts)
    store.set_status(run, FINISHED)
    return run


def log_assessment(store: MlflowStore, registry: Registry, candidate: str, found: Mapping[str, Any] | None) -> str:
    """Adds an assessment's figures to the run of the candidate; returns MLflow's id of it. `found`: the assessment's document;
    None: there is none."""
    run = log_version(store, registry, registry.card(candidate))
    if figures := list_figures(found or {}):
        store.log_figures(run, figures)
    return run


def list_figures(found: Mapping[str, Any]) -> dict[str, float]:
    """Lists what MLflow is told of an assessment: figure -> value, those that its document has."""
    values = {name: _look_up(found, path) for name, path in FIGURES.items()}
    return {f"assess/{name}": value for name, value in values.items() if isinstance(value, int | float)}


def _look_up(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _need_run(store: MlflowStore, registry: Registry, version: str, more: Mapping[str, str]) -> str:
    tags = {"trueup.model": registry.model, VERSION: version, "trueup.root": registry.storage.root, **more}
    return store.need_run(make_key(registry, version), f"{registry.model} {version}", tags)


def list_parameters(card: Card) -> dict[str, Any]:
    """Lists what a card says of how its version was made."""
    made = {"network": card.network, "classes": len(card.classes), "parent": card.parent, "dataset": card.dataset,
            "runtime": card.runtime, "number_format": card.number_format, "code_version": card.code_version}
    return {k: v for k, v in {**made, **card.settings}.items() if v is not None}


def mirror_state(store: MlflowStore, registry: Registry, candidate: str | None = None,
                 assessment: Mapping[str, Any] | None = None) -> str | None:
    """Registers the versions that are live, shadow and canary, and sets these aliases as the newest record has them.

    A version that no run of MLflow knows, or whose run is not finished, is told first, and so is `candidate`, which nothing need
    name, with its `assessment`: both may have been made where MLflow is out of reach. Returns the run's id of the live one.
    """
    if candidate is not None:
        log_assessment(store, registry, candidate, assessment)
    newest, _ = registry.newest_known()
    if newest is None:
        return None
    named, runs, numbers = list_named(newest.state), dict[str, str](), dict[str, str]()
    store.need_model(registry.model, find_root_name(registry.storage))
    for version in sorted({version for version in named.values() if version is not None}, key=int):
        card = registry.card(version)
        runs[version] = log_version(store, registry, card)
        tags = {"trueup.weights": registry.storage.uri(layout.weights(registry.model, version)),
                "trueup.weights_sha256": card.weights_sha256}
        numbers[version] = store.need_version(registry.model, version, runs[version], tags)
    store.set_aliases(registry.model, {alias: numbers[version] if version else None for alias, version in named.items()})
    return runs.get(named[LIVE] or "")


def list_named(state: State) -> dict[str, str | None]:
    """Lists alias -> our version, None where no version has it."""
    canary = get_running(state)
    return {LIVE: state.live, SHADOW: state.aliases.get(SHADOW), CANARY: canary.version if canary else None}
