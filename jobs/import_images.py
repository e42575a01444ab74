"""Imports images: a folder of class folders becomes a dataset, from which a first version can be trained.

    trueup import images FOLDER --root R --model M [--allow-empty-classes] [--json]
    trueup train --root R --model M --dataset ID --parent none --network resnet18 --size 224

FOLDER/<class>/**/<picture>: JPEG, PNG and WebP are kept as they came, without metadata (EXIF, GPS), as the service does;
BMP, TIFF, GIF and PPM are stored as PNG. Every file that is not taken is listed with its reason. Nothing is stored until
all files were looked at.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock
from contract.settings import Settings
from contract.storage import open_root
from jobs.imports import first_dataset, pictures
from jobs.imports.pictures import Import
from jvm import spark_conf

MOST_LISTED = 20  # files that are named to people; --json lists all


@stage_command("images", help="Make a dataset of a folder of class folders (FOLDER/<class>/**/<picture>).")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--model", help="Name of the model that will be trained.")
@click.option("--labeler", default="import", show_default=True, help="Who sorted the pictures, for the lineage.")
@click.option("--allow-empty-classes", is_flag=True, help="Leave out classes of which no picture can be taken.")
def command(settings: Settings, folder: Path, model: str | None, labeler: str, allow_empty_classes: bool) -> Outcome:
    """Stores the pictures and makes the dataset."""
    from jobs.dataset import make_document, write_text
    from jobs.datasets.build import build, count_parent_rows
    from jobs.datasets.tasks import choose_session
    from jobs.engines.question import Question, convert_settings

    settings = with_options(settings, model=model)
    settings.need_no_redaction()
    as_of = clock.now()
    question = Question(settings.need_model(), clock.to_us(as_of), **convert_settings(settings.evaluate))
    root = settings.need_root()
    found = pictures.look_at(folder)
    pictures.require_classes(found, allow_empty_classes)
    rows = [pictures.make_row(picture, labeler, clock.to_us(as_of)) for picture in found.taken]
    first_dataset.require_dataset(found, rows, root, question.model, settings.dataset)
    storage = open_root(root, create=True)
    pictures.leave_out_erased(found, storage)
    pictures.require_classes(found, allow_empty_classes)
    rows = list(pictures.store(found, storage, labeler, clock.to_us(as_of)))
    spark = choose_session(spark_conf.collect_conf(settings), len(rows) + count_parent_rows(storage, settings))
    made = build(spark, storage, question, rows, settings.dataset, {})
    listed = {"refused": found.refused, "converted": found.converted, "empty_classes": found.empty}
    return Outcome(document=make_document(made) | listed, text=write_text(made) + describe(found))


def describe(found: Import) -> str:
    """What was not taken, and what was converted, for people; of many files, the first and how many of each reason."""
    lines = [f"stored as PNG: {', '.join(f'{n} {name}' for name, n in found.converted.items())}"] if found.converted else []
    if found.empty:
        lines.append(f"classes left out, of which no picture was taken: {', '.join(found.empty)}")
    lines += [f"refused: {entry['file']}: {entry['reason']}" for entry in found.refused[:MOST_LISTED]]
    more = Counter(entry["reason"] for entry in found.refused[MOST_LISTED:])
    lines += [f"refused: {n} more: {reason}" for reason, n in more.most_common(MOST_LISTED)]
    if len(more) > MOST_LISTED:
        lines.append(f"refused: {sum(n for _, n in more.most_common()[MOST_LISTED:])} more, for other reasons (--json lists all)")
    return "".join(f"\n  {line}" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup import images`."""
    return run(command, argv, prog_name="trueup import images")


if __name__ == "__main__":
    end_with(main)
