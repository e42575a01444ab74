"""Trains a candidate version on a dataset: fine-tunes the live version, or makes a first one from nothing.

    trueup train --root R --model M --dataset ID [--parent V|none] [--ranks 2] [--launcher spark|torchrun|process]
    trueup train --root R --model M --dataset ID --parent none --network resnet18 --size 32
    python -m training.train …      spark-submit training/train.py …

The candidate is a version with a card, not live. With --run KEY, a training that was interrupted resumes from its
checkpoint, and one that was finished is found again.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.tracking.tracking import tell, write_told
from command.tracking.versions import begin_version, fail_version, log_version
from contract import clock, layout
from contract.documents import manifest
from contract.documents.card import Card
from contract.documents.manifest import Manifest
from contract.errors import NoSuchModel, TrainingFailed, UsageError
from contract.registry import Registry
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_count, write_percent
from jvm.spark_conf import collect_conf
from training.calibrate import calibrate_trained, describe
from training.first_version import NETWORK, FirstVersion, with_first_version
from training.fit import launch
from training.fit.checkpoint import Checkpoints
from training.fit.job import Job
from training.fit.pretrained import import_weights, start_key

NOTHING = "none"
METRICS = "metrics.jsonl"
OF_SEARCH = "search "  # how the key of a search's candidate begins: `search <study> trial <n>`


@stage_command("train", help="Fine-tune a version on a dataset; the result is a candidate, not live.")
@click.option("--model", help="Name of the model.")
@click.option("--dataset", required=True, help="Id of the dataset.")
@click.option("--parent", help="Version to start from, or none for a first version. [default: the live version]")
@click.option("--run", "run_key", help="Key of the run that asks; the same key again resumes.")
@with_first_version()
@click.option("--weights-name", help="First version: start from torchvision's weights of this name (IMAGENET1K_V1).")
@click.option("--weights", type=click.Path(path_type=Path), help="First version: start from this file (safetensors or a "
              "state_dict); its head may have other classes.")
@click.option("--ranks", type=int, help="Processes that train together.")
@click.option("--launcher", help="spark, torchrun or process (one rank, in this process).")
@click.option("--epochs", type=int, help="Passes over the training rows.")
@click.option("--spark-conf", multiple=True, metavar="KEY=VALUE", help="Passed through to Spark; repeatable.")
def command(settings: Settings, model: str | None, dataset: str, parent: str | None, run_key: str | None,
            first: FirstVersion, weights_name: str | None, weights: Path | None, ranks: int | None, launcher: str | None,
            epochs: int | None, spark_conf: tuple[str, ...]) -> Outcome:
    """Trains, and writes the candidate."""
    launch.wait_passively()  # a first version's network is built here, which loads torch
    settings = with_options(settings, model=model, train__ranks=ranks, train__launcher=launcher, train__epochs=epochs)
    storage = open_root(settings.need_root())
    registry = Registry(storage, settings.need_model())
    card = train(storage, registry, settings, dataset, find_parent(registry, parent), run_key, first, weights_name, weights,
                 collect_conf(settings, spark_conf))
    told = tell(settings.track, lambda store: log_version(store, registry, card))
    return Outcome(document=make_document(card) | ({"tracking": told} if told else {}), text=write_text(card) + write_told(told))


def find_parent(registry: Registry, parent: str | None) -> str | None:
    """The version that `--parent` means, by default the live one; None for `none`. NoSuchModel: nothing is live."""
    if parent == NOTHING:
        return None
    if parent is not None:
        return registry.card(parent).version
    try:
        return registry.live()
    except NoSuchModel as error:
        raise NoSuchModel(f"{error} Or train a first version: --parent none --network resnet18.") from None


def train(storage: Storage, registry: Registry, settings: Settings, dataset: str, parent: str | None,
          run_key: str | None = None, first: FirstVersion = FirstVersion(), weights_name: str | None = None,
          weights: Path | None = None, spark_conf: dict[str, str] | None = None) -> Card:
    """The candidate's card; `first`: what it is without a parent.

    Raises UsageError before a number is claimed; NotFinite, Mismatch, TrainingFailed after that.
    """
    made = manifest.load(storage, dataset)
    if made.erased:
        raise UsageError(f"dataset {dataset}: {len(made.erased)} of its images were erased on request; it is not trained on "
                         f"again. Make a new one: trueup dataset.")
    brought = bool(weights_name or weights)
    if brought and parent is not None:
        raise UsageError("--weights-name and --weights are for a first version (--parent none); this one starts from "
                         f"version {parent}.")
    tried = plan_job(storage, registry, settings, made, parent, "0", run_key, first, brought)
    if parent is None:
        from inference.model.network import build_empty

        build_empty(tried.network, len(tried.classes))  # a name that is no network's takes no number either
    number = registry.claim("trueup train", run=run_key)
    job = plan_job(storage, registry, settings, made, parent, number, run_key, first, brought, weights_name)
    points = _points(storage, job)
    if run_key and storage.exists(layout.card(registry.model, number)):
        points.clear()
        return registry.card(number)
    if job.start and not storage.exists(job.start):
        import_weights(storage, job.start, job.network, len(job.classes), settings.train.seed, weights_name, weights)
    if points.read_final() is None:
        _launch(registry, settings, job, number, run_key, spark_conf)
    card = _write(storage, registry, job, points, made, number)
    points.clear()
    return card


def _launch(registry: Registry, settings: Settings, job: Job, number: str, run_key: str | None,
            spark_conf: dict[str, str] | None) -> None:
    """Runs the ranks to their end; where that is set, MLflow is told that a training begins, and that one failed."""
    track = settings.track
    begun = tell(track, lambda store: begin_version(store, registry, number, list_settings(job), run_key))
    if begun and "run" in begun:
        job = job.model_copy(update={"track": {"mlflow": begun["mlflow"], "experiment": track.experiment, "run": begun["run"]}})
    try:
        launch.launch(job, registry.storage, settings.train.launcher, spark_conf)
    except Exception:
        if begun and "run" in begun:
            tell(track, lambda store: fail_version(store, registry, number))
        raise


def list_settings(job: Job) -> dict[str, Any]:
    """What a training is told, as its card will have it."""
    made = {"network": job.network, "classes": len(job.classes), "parent": job.parent, "dataset": job.dataset}
    return {k: v for k, v in {**made, **job.settings, "ranks": job.ranks}.items() if v is not None}


def plan_job(storage: Storage, registry: Registry, settings: Settings, made: Manifest, parent: str | None, number: str,
           run_key: str | None, first: FirstVersion = FirstVersion(), brought: bool = False,
           weights_name: str | None = None) -> Job:
    """What the ranks are told. A parent's network and preprocessing are inherited, so they cannot be named then."""
    ranks = launch.count_ranks(settings.train.launcher, settings.train.ranks)
    if parent is None:
        look = first.make_preprocess_of_weights(weights_name) if brought else first.make_preprocess()
        facts: dict[str, Any] = {"network": first.network or NETWORK, "preprocess": look,
                                 "start": start_key(registry.model, number) if brought else None}
    elif first.is_said():
        raise UsageError(f"--network, --size, --grey and --levels describe a first version; version {parent} has its own. Leave "
                         f"them out, or train from nothing: --parent none.")
    else:
        card = registry.card(parent)
        facts = {"network": card.network, "preprocess": card.preprocess}
    if made.decoders:  # else the parent's, which its weights learnt from
        facts["preprocess"] = facts["preprocess"].model_copy(update={"decoders": sorted(made.decoders)})
    threads = settings.train.threads or max(1, launch.count_cores() // ranks)
    return Job(root=storage.root, model=registry.model, dataset=made.dataset, classes=made.classes, parent=parent,
               settings=settings.train.model_dump(mode="json"), ranks=ranks, threads=threads,
               folder=choose_checkpoint_folder(registry.model, number, run_key), **facts)


def choose_checkpoint_folder(model: str, number: str, run_key: str | None) -> str:
    """Of run n (its key is `<model>/<n>`, or just n) or of a search: in its folder. Else beside the version; empty when done."""
    if run_key is None:
        return layout.checkpoints(layout.version(model, number))
    if run_key.startswith(OF_SEARCH):
        return layout.checkpoints(layout.tunings(model, run_key.split()[1]))
    n = run_key.rpartition("/")[2]
    if not n.isascii() or not n.isdecimal():
        raise UsageError(f"--run {run_key!r}: expected the key of a run, such as {model}/3.")
    return layout.checkpoints(layout.run(model, int(n)))


def _points(storage: Storage, job: Job) -> Checkpoints:
    return Checkpoints(storage, job.folder, job.digest())


def _write(storage: Storage, registry: Registry, job: Job, points: Checkpoints, made: Manifest, number: str) -> Card:
    final = points.read_final()
    if final is None:
        raise TrainingFailed(f"the ranks ended, but rank 0 wrote no final document under {storage.uri(points.folder)}. "
                             f"Started again with the same run, training resumes from its checkpoint.")
    weights, facts = final
    # A candidate is assessed, and served, as its parent is.
    computed = find_own_form(registry, job.parent).model_dump(include={"runtime", "number_format"}) if job.parent else {}
    card = Card(model=registry.model, version=number, created_at=clock.iso(clock.now()), network=job.network,
                classes=job.classes, preprocess=job.preprocess, weights_sha256=facts["sha256"],
                weights_bytes=len(weights), parent=job.parent, dataset=made.dataset,
                made_from=describe_training(job, made, facts["history"], facts["all_ranks"]),
                settings=job.settings | {"ranks": facts["ranks"]},
                metrics={"epochs": facts["history"]}, code_version=installed("trueup"), **computed)
    found = calibrate_trained(storage, made, card, weights, job.train.calibrate)
    card = card.model_copy(update={"calibration": found, "made_from": f"{card.made_from}, {describe(found)}"})
    lines = "".join(f"{json.dumps(entry, sort_keys=True)}\n" for entry in facts["history"])
    storage.put(layout.version(registry.model, number) + METRICS, lines.encode())
    with tempfile.NamedTemporaryFile(prefix="trueup-", suffix=".safetensors") as file:
        file.write(weights)
        file.flush()
        registry.write_version(card, Path(file.name))
    assert hashlib.sha256(weights).hexdigest() == card.weights_sha256
    return registry.card(number)


def find_own_form(registry: Registry, version: str) -> Card:
    """The card of a version or, of one that was converted, of the one that it was made of: new weights are converted anew."""
    return next(card for card in registry.ancestors(version) if card.converted is None)


def describe_training(job: Job, made: Manifest, history: Sequence[dict[str, Any]], all_ranks: Sequence[int]) -> str:
    """What the version was made from, for a person; `all_ranks`: how many ranks trained, one number after the other."""
    begun = (f"fine-tuned from version {job.parent}" if job.parent else
             f"{job.network} fine-tuned from weights brought" if job.start else f"{job.network} trained from nothing")
    return (f"{begun} on dataset {made.dataset} ({write_count(made.rows['train'], 'training row')} of "
            f"{write_count(len(job.classes), 'class')}), {write_count(len(history), 'epoch')} on "
            f"{''.join(f'{n}, then ' for n in all_ranks[:-1])}{write_count(all_ranks[-1], 'rank')}")


def make_document(card: Card) -> dict[str, Any]:
    """What --json prints."""
    last = card.metrics["epochs"][-1]
    return {"model": card.model, "version": card.version, "weights_sha256": card.weights_sha256,
            "weights_bytes": card.weights_bytes, "parent": card.parent, "dataset": card.dataset, "network": card.network,
            "classes": card.classes, "epochs": len(card.metrics["epochs"]), "loss": last["loss"],
            "validation": last["validation"], "made_from": card.made_from,
            "calibration": card.calibration.to_dict() if card.calibration else None}


def write_text(card: Card) -> str:
    """The same for people."""
    judged = card.metrics["epochs"][-1]["validation"]
    said = f"; validation accuracy {write_percent(judged['accuracy'], 1)} of {judged['rows']}" if judged else ""
    return f"version {card.version} of {card.model} (not live): {card.made_from}{said}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup train`."""
    return run(command, argv, prog_name="trueup train")


if __name__ == "__main__":
    end_with(main)
