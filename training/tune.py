"""Searches for better settings of training: many short trainings, judged on the validation rows alone.

    trueup tune --root R --model M --dataset ID [--trials 20] [--budget MINUTES] [--sampler tpe|random|grid]
    trueup tune --root R --model M --dataset ID --parent none --network resnet18 --size 32
    trueup tune … --launcher spark --parallel 4        trueup tune … --train
    python -m training.tune …

The same command again continues the same search, after a kill too, and beside another process that runs it. With --train
the best configuration is trained once more in full, as an ordinary candidate, and assessed on the holdout.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock, jsonio, layout
from contract.documents import manifest
from contract.errors import CANNOT_TELL, DONE, EmptyData, NoSuchModel, NotFound, RunHeld, UsageError
from contract.registry import Registry
from contract.runs import Timing
from contract.sections.tune import NOT_SEARCHED
from contract.settings import Settings, TrainSettings
from contract.storage import open_root
from contract.stores.store import Storage, create_if_absent
from contract.tuning.documents import Search, Tuning
from jvm.spark_conf import collect_conf
from training.train import OF_SEARCH, find_parent, train
from training.train import document as train_document
from training.train import text as train_text
from training.tuning import summary
from training.tuning.claims import Claims
from training.tuning.space import make_space, name_first, split_config
from training.tuning.study import Study
from training.tuning.trial import make_job
from training.tuning.worker import Limits, Worker

CANDIDATE = 0  # whose claim says who trains the candidate; trials begin at 1


@stage_command("tune", help="Search for better settings of training, judged on the validation rows.")
@click.option("--model", help="Name of the model.")
@click.option("--dataset", required=True, help="Id of the dataset: its train split is trained on, its validation split judges.")
@click.option("--trials", type=click.IntRange(1, 9999), help="Trials of the search, all together.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), metavar="MINUTES", help="Minutes that all trials together may "
              "take.")
@click.option("--sampler", help="tpe (learns from earlier trials), random or grid.")
@click.option("--epochs", type=int, help="Passes of a trial over the training rows. [default: train.epochs]")
@click.option("--parent", help="Version that trials start from, or none for a first version. [default: the live version]")
@click.option("--network", help="First version: the network. [default: tune.networks, else resnet18]")
@click.option("--size", type=click.IntRange(8, 4096), help="First version: side of the network's input, in pixels.")
@click.option("--grey", is_flag=True, help="First version: pictures are converted to grey.")
@click.option("--launcher", help="process (one trial after the other, here) or spark (on executors).")
@click.option("--parallel", type=int, help="With spark: trials side by side.")
@click.option("--train", "train_best", is_flag=True, help="Then train a candidate with the best settings, and assess it.")
@click.option("--spark-conf", multiple=True, metavar="KEY=VALUE", help="Passed through to Spark; repeatable.")
def command(settings: Settings, model: str | None, dataset: str, trials: int | None, budget: float | None, sampler: str | None,
            epochs: int | None, parent: str | None, network: str | None, size: int | None, grey: bool, launcher: str | None,
            parallel: int | None, train_best: bool, spark_conf: tuple[str, ...]) -> Outcome:
    """Searches; exit code 4 when no trial was completed."""
    settings = with_options(settings, model=model, tune__trials=trials, tune__minutes=budget, tune__sampler=sampler,
                            tune__epochs=epochs, tune__launcher=launcher, tune__parallel=parallel)
    storage = open_root(settings.need_root())
    registry = Registry(storage, settings.need_model())
    search = make_search(storage, registry, settings, dataset, find_parent(registry, parent), network, size, grey)
    conf = collect_conf(settings, spark_conf)
    tuning = tune(storage, search, settings, conf)
    made = train_candidate(storage, registry, settings, tuning, conf) if train_best and tuning.best is not None else None
    page = storage.uri(layout.tuning_page(search.model, search.id))
    document = tuning.to_dict() | {"page": page, "options": None if tuning.best is None else summary.write_options(
        tuning.find(tuning.best))}
    text = f"{summary.write_summary(tuning)}\n\npage: {page}"
    if made is not None:
        document |= {"candidate": made.document["version"], "trained": made.document, "assessment": made.assessment}
        text = f"{text}\n{made.text}"
    return Outcome(CANNOT_TELL if tuning.best is None else DONE, document, text)


def make_search(storage: Storage, registry: Registry, settings: Settings, dataset: str, parent: str | None,
                network: str | None = None, size: int | None = None, grey: bool = False) -> Search:
    """Returns what is searched, checked as far as it can be before the first trial.

    UsageError: an erased dataset, a network that is none, a value that training refuses. EmptyData: no validation rows.
    """
    made, wanted = manifest.load(storage, dataset), settings.tune
    if made.erased:
        raise UsageError(f"dataset {dataset}: {len(made.erased)} of its images were erased on request; it is not trained on "
                         f"again. Make a new one: trueup dataset.")
    if not made.rows["validation"]:
        raise EmptyData(f"dataset {dataset}: expected validation rows, by which alone trials are judged; it has none. Raise "
                        f"dataset.validation_share.")
    networks = [network] if network else list(wanted.networks)
    if parent is None:
        networks = networks or ["resnet18"]
        _check_networks(networks, len(made.classes))
    space = make_space(wanted, networks)
    kept = {name: value for name, value in settings.train.model_dump(mode="json").items()
            if name not in NOT_SEARCHED and name not in space}
    search = Search(model=registry.model, dataset=dataset, parent=parent, networks=networks, size=size, grey=grey,
                    epochs=wanted.epochs or settings.train.epochs, space=space, settings=kept,
                    **wanted.model_dump(include={"objective", "sampler", "pruner", "seed", "startup", "points"}))
    make_job(storage, search, name_first(search))
    return search


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
    side_by_side = wanted.parallel if wanted.launcher == "spark" else 1
    limits = Limits(wanted.trials, None if wanted.minutes is None else 60 * wanted.minutes,
                    {"device": train_settings.device, "cache_mib": train_settings.cache_mib,
                     "threads": train_settings.threads or _share_cores(side_by_side)},
                    Timing(settings.cycle.beat_seconds, settings.cycle.takeover_seconds))
    if wanted.launcher == "spark":
        from training.tuning.on_spark import run_on_spark

        run_on_spark(storage, search, limits, wanted.parallel, spark_conf or {})
    else:
        Worker(storage, search, limits).run()
    return write_found(storage, search)


def _share_cores(workers: int) -> int:
    from training.fit.launch import count_cores

    return max(1, count_cores() // workers)


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
    from training.assess import assess
    from training.assess import text as assess_text

    search = tuning.search
    assert tuning.best is not None
    chosen, network = split_config(tuning.find(tuning.best).config)
    best = settings.model_copy(update={"train": TrainSettings(**(settings.train.model_dump() | chosen))})
    timing = Timing(settings.cycle.beat_seconds, settings.cycle.takeover_seconds)
    with Claims(storage, search.model, search.id, jsonio.digest(clock.iso(clock.now()))[:8], timing) as claims:
        attempt = claims.take([CANDIDATE], (), ())
        if attempt is None:
            raise RunHeld(f"search {search.id}: another process trains its candidate. Let it finish.")
        with claims.keep_beating(attempt):
            card = train(storage, registry, best, search.dataset, search.parent, f"{OF_SEARCH}{search.id} trial {tuning.best}",
                         network or next(iter(search.networks), None), search.size, search.grey,
                         spark_conf=dict(spark_conf or {}))
    write_found(storage, search, card.version)
    live = search.parent or _find_live(registry)
    if live is None:
        return Made(train_document(card), None, f"{train_text(card)}; nothing is live that it could be compared with")
    assessment = assess(storage, registry, card.version, live)
    return Made(train_document(card), assessment, f"{train_text(card)}\n{assess_text(assessment)}")


def _find_live(registry: Registry) -> str | None:
    try:
        return registry.live()
    except NoSuchModel:
        return None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup tune`."""
    return run(command, argv, prog_name="trueup tune")


if __name__ == "__main__":
    end_with(main)
