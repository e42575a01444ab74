"""A search from its settings to its documents: what is searched, the workers, what was found, and the candidate."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from contract import layout
from contract.documents import manifest
from contract.errors import EmptyData, NoSuchModel, NotFound, RunHeld, UsageError
from contract.registry import Registry
from contract.runs import Timing
from contract.sections.tune import NOT_SEARCHED
from contract.settings import Settings, TrainSettings
from contract.stores.store import Storage, create_if_absent
from contract.tuning.documents import Search, Tuning
from training.first_version import NETWORK, FirstVersion
from training.train import OF_SEARCH, train
from training.train import make_document as train_document
from training.train import write_text as train_text
from training.tuning import summary
from training.tuning.claims import Claims, Limits
from training.tuning.space import check_freezing, make_space, name_first, split_config
from training.tuning.study import Study
from training.tuning.trial import find_first_version, make_job
from training.tuning.worker import Worker

CANDIDATE = 0  # whose claim says who trains the candidate; trials begin at 1


def make_search(storage: Storage, registry: Registry, settings: Settings, dataset: str, parent: str | None,
                first: FirstVersion = FirstVersion()) -> Search:
    """Returns what is searched, checked as far as it can be before the first trial.

    UsageError: no Optuna, an erased dataset, a network that is none, a value that training refuses. EmptyData: no validation
    rows.
    """
    _require_optuna()
    made, wanted = manifest.load(storage, dataset), settings.tune
    if made.erased:
        raise UsageError(f"dataset {dataset}: {len(made.erased)} of its images were erased on request; it is not trained on "
                         f"again. Make a new one: trueup dataset.")
    if not made.rows["validation"]:
        raise EmptyData(f"dataset {dataset}: expected validation rows, by which alone trials are judged; it has none. Raise "
                        f"dataset.validation_share.")
    networks = [first.network] if first.network else list(wanted.networks)
    if parent is None:
        networks = networks or [NETWORK]
        _check_networks(networks, len(made.classes))
    space = make_space(wanted, networks, first=parent is None)
    search = Search(model=registry.model, dataset=dataset, parent=parent, networks=networks,
                    epochs=wanted.trial_epochs or settings.train.epochs, space=space,
                    settings=list_kept(settings.train, space),
                    seed=wanted.sampler_seed, **first.list_looks(),
                    **wanted.model_dump(include={"objective", "sampler", "pruner", "startup", "points"}))
    check_freezing(search)
    make_job(storage, search, name_first(search))
    return search


def list_kept(train: TrainSettings, space: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of train: that all trials have. The seed is among them; the default one is not written, so that
    searches of before, which had that one, go on under their name."""
    kept = {name: value for name, value in train.model_dump(mode="json").items()
            if name not in NOT_SEARCHED and name not in space}
    return kept if train.seed == TrainSettings().seed else kept | {"seed": train.seed}


def _require_optuna() -> None:
    if find_spec("optuna") is None:
        raise UsageError("trueup tune needs the package optuna, which is not installed. `make setup` installs it, and so does "
                         "pip install 'trueup[tune]'.")


def _check_networks(networks: Sequence[str], classes: int) -> None:
    from inference.model.network import build_empty

    for name in networks:
        build_empty(name, classes)


def tune(storage: Storage, search: Search, settings: Settings, spark_conf: Mapping[str, str] | None = None) -> Tuning:
    """Runs or continues the search until its trials have ended or its budget is spent, and writes what was found.

    Raises what no configuration is to blame for (Mismatch, BadImage, …); started again, the search continues.
    """
    if create_if_absent(storage, layout.tuning(search.model, search.id, "study"), search.to_bytes()):
        print(f"search {search.id}: begins", file=sys.stderr, flush=True)
    wanted, train_settings = settings.tune, settings.train
    limits = Limits(wanted.trials, None if wanted.minutes is None else 60 * wanted.minutes,
                    {name: getattr(train_settings, name) for name in ("device", "cache_mib", "threads")},
                    Timing(settings.cycle.beat_seconds, settings.cycle.takeover_seconds))
    if wanted.trial_launcher == "spark":
        from training.tuning.on_spark import run_on_spark

        run_on_spark(storage, search, limits, wanted.parallel, spark_conf or {})
    else:
        Worker(storage, search, limits).run()
    return write_found(storage, search)


def write_found(storage: Storage, search: Search, candidate: str | None = None) -> Tuning:
    """Writes the document and the page of a search from its journal, and returns the document.

    `candidate`: the version that was trained from the best trial; by default the one that the document before names, while the
    best trial is the same.
    """
    from jobs.reports.tuning import write_tuning_page

    key = layout.tuning(search.model, search.id, "tuning")
    found = summary.summarise(Study(storage, search), Claims(storage, search.model, search.id, "", Timing()))
    try:
        before = Tuning.load(storage, key)
        known = before.candidate if before.best == found.best else None
    except NotFound:
        known = None
    found = found.model_copy(update={"candidate": candidate or known})
    storage.put(key, found.to_bytes())
    write_tuning_page(storage, found)
    return found


@dataclass(frozen=True)
class Made:
    """The candidate of a search: as `trueup train` describes it, its assessment (None: nothing is live), a text for people."""

    document: dict[str, Any]
    assessment: dict[str, Any] | None
    text: str


def train_candidate(storage: Storage, registry: Registry, settings: Settings, tuning: Tuning,
                    spark_conf: Mapping[str, str] | None = None) -> Made:
    """Trains a candidate with the best trial's settings and train.epochs, and assesses it. Done again, it is found again.

    RunHeld: another process trains it.
    """
    from training.assess import assess, judge
    from training.assess_text import write_text as assess_text

    search = tuning.search
    assert tuning.best is not None
    chosen, network = split_config(tuning.find(tuning.best).config)
    best = settings.model_copy(update={"train": TrainSettings(**(settings.train.model_dump() | chosen))})
    timing = Timing(settings.cycle.beat_seconds, settings.cycle.takeover_seconds)
    with Claims(storage, search.model, search.id, os.urandom(4).hex(), timing) as claims:
        attempt = claims.wait_for(CANDIDATE)
        if attempt is None:
            raise RunHeld(f"search {search.id}: another process trains its candidate. Let it finish.")
        with claims.keep_beating(attempt):
            card = train(storage, registry, best, search.dataset, search.parent, f"{OF_SEARCH}{search.id} trial {tuning.best}",
                         find_first_version(search, network), spark_conf=dict(spark_conf or {}))
    write_found(storage, search, card.version)
    live = search.parent or _find_live(registry)
    if live is None:
        return Made(train_document(card), None, f"{train_text(card)}; nothing is live that it could be compared with")
    assessment = assess(storage, registry, card.version, live)
    assessment |= {"judged": judge(settings, assessment, registry)}
    return Made(train_document(card), assessment, f"{train_text(card)}\n{assess_text(assessment)}")


def _find_live(registry: Registry) -> str | None:
    try:
        return registry.live()
    except NoSuchModel:
        return None
