"""Searches for better settings of training: many short trainings, judged on the validation rows alone.

    trueup tune --root R --model M --dataset ID [--trials 20] [--budget MINUTES] [--sampler tpe|random|grid]
    trueup tune --root R --model M --dataset ID --parent none --network resnet18 --size 32
    trueup tune … --launcher spark --parallel 4        trueup tune … --train
    python -m training.tune …

The same command again continues the same search, after a kill too, and beside another process that runs it. With --train
the best configuration is trained once more in full, as an ordinary candidate, and assessed on the holdout.
"""

from collections.abc import Sequence

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.tracking.tracking import tell, write_told
from command.tracking.versions import log_assessment
from contract import layout
from contract.errors import CANNOT_TELL, DONE
from contract.registry import Registry
from contract.settings import Settings, is_submitted
from contract.storage import open_root
from jvm.spark_conf import collect_conf
from training.first_version import FirstVersion, with_first_version
from training.fit.launch import FIXED, wait_passively


@stage_command("tune", help="Search for better settings of training, judged on the validation rows.")
@click.option("--model", help="Name of the model.")
@click.option("--dataset", required=True, help="Id of the dataset: its train split is trained on, its validation split judges.")
@click.option("--trials", type=click.IntRange(1, 9999), help="Trials of the search, all together.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), metavar="MINUTES", help="Minutes that all trials together may "
              "take.")
@click.option("--sampler", help="tpe (learns from earlier trials), random or grid.")
@click.option("--epochs", type=int, help="Passes of a trial over the training rows. [default: train.epochs]")
@click.option("--parent", help="Version that trials start from, or none for a first version. [default: the live version]")
@with_first_version("tune.networks, else resnet18")
@click.option("--launcher", help="process (one trial after the other, here) or spark (on executors).")
@click.option("--parallel", type=int, help="With spark: trials side by side.")
@click.option("--train", "train_best", is_flag=True, help="Then train a candidate with the best settings, and assess it.")
@click.option("--spark-conf", multiple=True, metavar="KEY=VALUE", help="Passed through to Spark; repeatable.")
def command(settings: Settings, model: str | None, dataset: str, trials: int | None, budget: float | None, sampler: str | None,
            epochs: int | None, parent: str | None, first: FirstVersion, launcher: str | None, parallel: int | None,
            train_best: bool, spark_conf: tuple[str, ...]) -> Outcome:
    """Searches; exit code 4 when no trial was completed."""
    wait_passively()  # before these load torch
    from training.train import find_parent
    from training.tuning import summary
    from training.tuning.search import make_search, train_candidate, tune

    settings = with_options(settings, model=model, tune__trials=trials, tune__minutes=budget, tune__sampler=sampler,
                            tune__trial_epochs=epochs, tune__trial_launcher=launcher, tune__parallel=parallel)
    storage = open_root(settings.need_root())
    registry = Registry(storage, settings.need_model())
    search = make_search(storage, registry, settings, dataset, find_parent(registry, parent), first)
    conf = collect_conf(settings, spark_conf)
    tuning = tune(storage, search, settings, (_list_conf_of_ranks(settings) if train_best else {}) | conf)
    made = train_candidate(storage, registry, settings, tuning, conf) if train_best and tuning.best is not None else None
    page = storage.uri(layout.tuning_page(search.model, search.id))
    best = None if tuning.best is None else tuning.find(tuning.best)
    document = tuning.to_dict() | {"page": page, "options": best and summary.write_options(best),
                                   "command": best and summary.write_command(tuning, best)}
    text = f"{summary.write_summary(tuning)}\n\npage: {page}"
    if made is not None:
        version, found = made.document["version"], made.assessment
        told = tell(settings.track, lambda store: log_assessment(store, registry, version, found))
        document |= {"candidate": version, "trained": made.document, "assessment": found} | ({"tracking": told} if told else {})
        text = f"{text}\n{made.text}{write_told(told)}"
    return Outcome(CANNOT_TELL if tuning.best is None else DONE, document, text)


def _list_conf_of_ranks(settings: Settings) -> dict[str, str]:
    """Lists what the candidate's ranks need of the trials' Spark, which is theirs, too: executors that stay, and room for all."""
    slots = max(settings.tune.parallel, settings.train.ranks)
    return FIXED | ({} if is_submitted() else {"spark.master": f"local[{slots}]"})


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup tune`."""
    return run(command, argv, prog_name="trueup tune")


if __name__ == "__main__":
    end_with(main)
