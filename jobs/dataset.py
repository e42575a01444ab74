"""Builds a training set from labelled predictions and their stored images.

    trueup dataset --root R --model M [--from D] [--to D] [--as-of T] [--json]
    python -m jobs.dataset …      spark-submit jobs/dataset.py …
    trueup dataset --root R --dataset ID --imagefolder DIR      writes a dataset's images under their labels
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock, layout
from contract.dataset_record import SPLITS
from contract.documents import manifest
from contract.documents.manifest import Manifest
from contract.errors import EmptyData, UsageError
from contract.rows.models import require_model
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.engines.question import Question, convert_settings, parse_role
from jvm import spark_conf as spark_settings

JPEG = b"\xff\xd8"  # the first bytes of a JPEG
log = logging.getLogger(__name__)


@stage_command("dataset", help="Build a training set from labelled predictions, or export one as class folders.")
@click.option("--model", help="Name of the model.")
@click.option("--from", "first", help="First prediction day. [default: the last 30 that there are]")
@click.option("--to", "last", help="Last prediction day. [default: today]")
@click.option("--as-of", "as_of", metavar="MOMENT", help="Only what was known then (ISO 8601; without a zone UTC, a day "
              "alone means its end). [default: now]")
@click.option("--role", default="live", show_default=True, help="Predictions of this role.")
@click.option("--spark-conf", multiple=True, metavar="KEY=VALUE", help="Passed through to Spark; repeatable.")
@click.option("--dataset", help="With --imagefolder: the dataset to export.")
@click.option("--imagefolder", type=click.Path(path_type=Path), help="Export to DIR/<split>/<label>/<hash>.<ext>.")
def command(settings: Settings, model: str | None, first: str | None, last: str | None, as_of: str | None, role: str,
            spark_conf: tuple[str, ...], dataset: str | None, imagefolder: Path | None) -> Outcome:
    """Builds a dataset, or exports one."""
    if imagefolder or dataset:
        return _export(settings, dataset, imagefolder)
    settings = with_options(settings, model=model)
    moment = clock.parse_moment(as_of) if as_of else clock.now()
    days = [clock.parse_day(day) if day else None for day in (first, last)]
    storage = open_root(settings.need_root())
    made = make(storage, settings, days[0], days[1], moment, role, spark_conf)
    return Outcome(document=make_document(made), text=write_text(made))


def make(storage: Storage, settings: Settings, first: str | None, last: str | None, as_of: Any, role: str = "live",
         spark_conf: Sequence[str] = ()) -> Manifest:
    """The dataset of a window as it was known at `as_of`. EmptyData when no labelled prediction lies in it."""
    from jobs.datasets.build import build, count_parent_rows
    from jobs.datasets.consensus import BESIDE, IMAGE_COLUMNS, find_labelled_readable
    from jobs.datasets.doubted import ask_about, find_doubted
    from jobs.datasets.tasks import choose_session
    from jobs.engines.day_files import choose_window, list_day, read_footers
    from jobs.labelers.use import apply_fit

    present = choose_window(storage, first, last, clock.day_of(as_of), settings.evaluate.days)
    require_model(storage, settings.need_model(), present.days[::-1])
    listed = [list_day(storage, day) for day in present.days]
    days, left_out = read_footers(storage, listed, IMAGE_COLUMNS, quarantine=True, beside=BESIDE)
    for reason in left_out.values():
        log.warning("passed over: %s", reason)
    if not any(day.labels for day in days):
        raise EmptyData(f"{storage.root}: expected labels in the window {present.first} to {present.last}, "
                        f"found none. Label some predictions, or name another window.")
    labelled = sum(file.rows for day in days for file in day.labels)
    spark = choose_session(spark_settings.collect_conf(settings, spark_conf), labelled + count_parent_rows(storage, settings))
    question = Question(settings.need_model(), clock.to_us(as_of), parse_role(role), **convert_settings(settings.evaluate))
    question = apply_fit(storage, question)
    rows = find_labelled_readable(spark.sparkContext, storage, days, question)
    made = build(spark, storage, question, rows, settings.dataset, {"from": present.first, "to": present.last}, present.days,
                 find_doubted(storage, settings, as_of))
    if settings.dataset.suspects == "review":
        ask_about(storage, settings, made, as_of)
    return made


def make_document(made: Manifest) -> dict[str, Any]:
    """What --json prints."""
    return {"dataset": made.dataset, "manifest": layout.manifest(made.dataset), "model": made.model,
            "parent": made.parent, "classes": made.classes, "rows": made.rows, "per_class": made.per_class,
            "label_sources": made.label_sources, "holdout_sources": made.holdout_sources,
            "replayed": made.replayed, "left_out": made.left_out,
            "leakage": made.leakage.model_dump(), "files": len(made.files)}


def write_text(made: Manifest) -> str:
    """The document for people."""
    rows = ", ".join(f"{made.rows[split]} {split}" for split in SPLITS)
    lines = [f"dataset {made.dataset}: {rows} rows of {write_count(len(made.classes), 'class')}; "
             f"{write_count(sum(made.replayed.values()), 'row')} from dataset {made.parent}" if made.parent else
             f"dataset {made.dataset}: {rows} rows of {write_count(len(made.classes), 'class')}"]
    lines += [f"  left out: {n} x {reason}" for reason, n in made.left_out.items()]
    return "\n".join([*lines, f"  {layout.manifest(made.dataset)}"])


def _export(settings: Settings, dataset: str | None, folder: Path | None) -> Outcome:
    if not dataset or not folder:
        raise UsageError("expected --dataset ID and --imagefolder DIR together; without them a dataset is built.")
    storage = open_root(settings.need_root())
    count = export(storage, manifest.load(storage, dataset), folder)
    return Outcome(document={"dataset": dataset, "folder": str(folder), "images": count},
                   text=f"{write_count(count, 'image')} under {folder}/<split>/<label>/")


def export(storage: Storage, made: Manifest, folder: Path) -> int:
    """Writes each image as the dataset holds it to `<split>/<label>/<hash>.<ext>`; returns how many. Other files there stay.

    The label is percent-encoded, so that a '/' in it makes no folder.
    """
    import pyarrow.parquet as pq

    system, base = storage.arrow()
    for file in made.files:
        with pq.ParquetFile(f"{base}/{file.key}", filesystem=system) as parquet:
            for batch in parquet.iter_batches(64, columns=["image_sha256", "image", "label", "image_uri"]):
                for row in batch.to_pylist():
                    target = folder / file.split / layout.encode_name(row["label"])
                    target.mkdir(parents=True, exist_ok=True)
                    (target / f"{row['image_sha256']}{find_suffix(row['image'], row['image_uri'])}").write_bytes(row["image"])
    return sum(made.rows.values())


def find_suffix(image: bytes, uri: str) -> str:
    """Returns the file name suffix of an image as a dataset holds it: a WebP that was shrunk is a JPEG there."""
    suffix = Path(uri).suffix
    return ".jpg" if suffix == ".webp" and image.startswith(JPEG) else suffix


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup dataset`."""
    return run(command, argv, prog_name="trueup dataset")


if __name__ == "__main__":
    end_with(main)
