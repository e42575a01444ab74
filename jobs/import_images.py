"""Own images: a folder of class folders becomes a dataset, from which a first version can be trained.

    trueup import images FOLDER --root R --model M [--json]
    trueup train --root R --model M --dataset ID --parent none --network resnet18 --size 224

FOLDER/<class>/<picture>; metadata (EXIF, GPS) is stripped before a picture is stored, as the service does.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock, labels, layout
from contract.errors import BadImage, EmptyData
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from jvm import spark_conf


@stage_command("images", help="Make a dataset of a folder of class folders (FOLDER/<class>/<picture>).")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--model", help="Name of the model that will be trained.")
@click.option("--labeler", default="import", show_default=True, help="Who sorted the pictures, for the lineage.")
def command(settings: Settings, folder: Path, model: str | None, labeler: str) -> Outcome:
    """Stores the pictures and makes the dataset."""
    from jobs.dataset import document, text
    from jobs.datasets.build import build
    from jobs.engines.question import Question, convert_settings
    from jvm import session

    settings = with_options(settings, model=model)
    storage = open_root(settings.need_root(), create=True)
    as_of = clock.now()
    refused: list[dict[str, str]] = []
    rows = list(store_pictures(storage, folder, labeler, clock.to_us(as_of), refused))
    if not rows:
        raise EmptyData(f"{folder}: expected class folders with pictures in them ({', '.join(layout.PICTURES)}), found none.")
    spark = session.get_session(spark_conf.collect_conf(settings))
    question = Question(settings.need_model(), clock.to_us(as_of), **convert_settings(settings.evaluate))
    made = build(spark, storage, question, rows, settings.dataset, {})
    said = "".join(f"\n  refused: {entry['file']}: {entry['reason']}" for entry in refused)
    return Outcome(document=document(made) | {"refused": refused}, text=text(made) + said)


def store_pictures(storage: Storage, folder: Path, labeler: str, at: int,
           refused: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """One labelled row (as jobs.datasets.consensus.labelled gives) for each picture, which is stored; bad ones are listed.

    `at`: when they were labelled, microseconds since 1970.
    """
    from inference.model.strip_metadata import strip_metadata

    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() not in layout.PICTURES or not path.is_file():
            continue
        label = labels.normalise_class(path.parent.name)
        try:
            data, extension, _ = strip_metadata(path.read_bytes())
        except BadImage as error:
            refused.append({"file": str(path.relative_to(folder)), "reason": str(error)})
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        key = layout.image(sha256, extension)
        if storage.exists(layout.erasure(sha256)):
            refused.append({"file": str(path.relative_to(folder)), "reason": "it was erased on request (trueup forget)"})
            continue
        if not storage.exists(key):
            storage.put(key, data)
        yield {"day": clock.day_of(clock.from_us(at)), "prediction_id": None, "image_sha256": sha256, "image_uri": key,
               "label": label, "origin": "import", "votes": 1, "agreeing": 1, "labelers": [labeler],
               "labeled_at": at, "selection_probability": None}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup import images`."""
    return run(command, argv, prog_name="trueup import images")


if __name__ == "__main__":
    end_with(main)
