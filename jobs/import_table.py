"""Imports rows that other systems wrote into the root.

    trueup import predictions FILE --root ROOT [--model M] [--model-version V]      (also python -m jobs.import_table …)
    trueup import labels FILE --root ROOT [--model M] [--day D]      FILE may be a folder of class folders with pictures
    trueup import predictions FILE --images FOLDER --role batch      labels that another model gave, with their pictures
    trueup import predictions FOLDER --new --root ROOT      each file that is new, once: run it every hour

CSV, JSON and Parquet (docs/bring-your-logs.md), and the formats of other systems (jobs/imports/foreign/formats.py). All rows
are good or nothing is written, unless --skip-bad leaves the bad ones out and lists them. Values that were read as others are
named on standard error and in the document. Files are named by their content, so that the same import again changes nothing.
"""

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.process import end_with
from command.terminal import escape
from contract import clock, counts_store, ids, jsonio, layout
from contract.counts import ROLES
from contract.errors import DONE, ERROR, ForeignSchema, RootError
from contract.records import LABEL, PREDICTION
from contract.rows.listing import was_packed
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage, create_if_absent
from contract.texts.figures import write_count
from jobs.imports import rows as import_rows
from jobs.imports.foreign import formats
from jobs.imports.found import Asked, Found
from jobs.imports.growing import import_new
from jobs.imports.known import Known
from jobs.imports.label_map import read_label_map
from jobs.imports.notes import Notes
from jobs.imports.options import FILE_OPTIONS, LABEL_OPTIONS, Reading, make_reading
from jobs.imports.placing.place import place_labels, place_predictions
from jobs.imports.row_pictures import RowPictures
from jobs.imports.rows import Row
from jobs.imports.spelling import check_labels, map_labels

READING = [f.name for f in fields(Reading)]
RECORDS = {"predictions": PREDICTION, "labels": LABEL}


def import_file(storage: Storage, table: str, path: Path, asked: Asked | None = None, skip_bad: bool = False, *,
                form: str | None = None, reading: Reading | None = None, verb: str | None = None,
               pictures: RowPictures | None = None, keep: bool = True) -> dict[str, Any]:
    """Validates and writes one file's rows; returns {"rows", "files", "bad", "notes", "left_out", "changed"}.

    `notes` say what was decided on the way in, `left_out` how many entries hold no judgement, by why, `changed` which values
    were read as others; of labels also `other_labels`, that no prediction names. `form`: the name of the file's format,
    where its content does not tell; `verb`: the command that reads it, for advice; `pictures`: those of predictions, which
    are stored before the rows, unless `keep` is False: the import is only tried. ForeignSchema names the bad rows.
    """
    pictures = pictures or RowPictures(())
    asked, reading, said, known = asked or Asked(), reading or Reading(), Notes(), Known(storage, table)
    found = read(storage, table, path, asked, form, reading, said, known)
    pictures.attach(storage, found)
    place = place_labels if table == "labels" else place_predictions
    by_day = place(storage, found, asked)
    if found.bad and not skip_bad:
        raise ForeignSchema(f"{found.describe_bad()}\nNothing was written. Correct the rows, or leave them out by `trueup "
                            f"{verb or f'import {table}'} --skip-bad`.")
    if table == "labels":
        check_labels(path, found.good, known, by_day, reading.allow_other_labels, said)
    if keep:
        pictures.store(storage, (row for rows in by_day.values() for row in rows))
    written = [write(storage, table, when, rows) for when, rows in sorted(by_day.items())]
    notes = [f"{path}: {note}" for note in [*found.notes, *found.describe_left_out(), *said.to_lines()]]
    return {"rows": sum(map(len, by_day.values())), "files": written, "bad": found.bad, "notes": notes,
            "left_out": dict(found.left_out), **pictures.describe(), **said.to_dict(of_labels=table == "labels")}


def import_into(root: str, table: str, path: Path, asked: Asked, skip_bad: bool, form: str | None, reading: Reading,
                pictures: RowPictures | None = None) -> dict[str, Any]:
    """Imports into a root, which is made if it is not there. A file that is refused makes none: it is tried elsewhere first."""
    try:
        storage = open_root(root)
    except RootError:  # it is not there; where it cannot be made, making it says so
        with tempfile.TemporaryDirectory(prefix="trueup-import-") as folder:
            import_file(open_root(folder, create=True), table, path, asked, skip_bad, form=form, reading=reading,
                        pictures=pictures, keep=False)
        storage = open_root(root, create=True)
    return import_file(storage, table, path, asked, skip_bad, form=form, reading=reading, pictures=pictures)


def read(storage: Storage, table: str, path: Path, asked: Asked, form: str | None, reading: Reading, said: Notes,
         known: Known) -> Found:
    """The rows of a file in whatever format; ForeignSchema or UsageError when it is none that can be read."""
    foreign = formats.find_format(table, path, form)
    if foreign:
        found = foreign.read(storage, path, asked)
        if table == "labels" and reading.label_map:
            found.good = map_labels(path, found.good, read_label_map(reading.label_map), said)
        return found
    good, bad = import_rows.read(path, RECORDS[table], asked.fill, reading, said, known)
    return Found([(f"{path}: row {number}", row) for number, row in good], bad)


def say(done: Mapping[str, Any]) -> None:
    """Prints to standard error what an import decided by itself and what it left out."""
    for note in done["notes"]:
        click.echo(escape(note), err=True)


def write(storage: Storage, table: str, day: str, rows: Sequence[Row]) -> str:
    """One file of rows, named by what is in it; returns its key."""
    import pyarrow as pa

    content = jsonio.digest([{k: _plain(v) for k, v in row.items()} for row in rows])
    if table == "labels":
        rows = [_add_id(row) for row in rows]
    data = counts_store.to_parquet(pa.Table.from_pylist(list(rows), schema=RECORDS[table].arrow()))
    key = layout.row_file(table, day, f"import-{content[:16]}", 1, len(rows))
    if not was_packed(storage, table, day, key):
        create_if_absent(storage, key, data)  # named by its content: the same rows may have been imported before
    return key


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _add_id(row: Row) -> Row:
    """Labels without an id get one that follows from their content; without an origin they are imported."""
    content = jsonio.digest({k: _plain(v) for k, v in row.items()})
    made = ids.uuid7(row["labeled_at"], hashlib.sha256(content.encode()).digest()[:10])
    return {**row, "label_id": row["label_id"] or made, "origin": row["origin"] or "import"}


@click.argument("file", type=click.Path(path_type=Path))
@click.option("--day", type=clock.parse_day, help="UTC day of rows whose id says none; of ids that come again, which one.")
@click.option("--id-per-version", "per_version", is_flag=True, help="Versions share ids: each gets its own, id@model@version.")
@click.option("--format", "form", type=click.Choice(formats.NAMES), help="[default: told from the content]")
@click.option("--id-field", metavar="PATH", help="Where a foreign file has the prediction's id, e.g. data.prediction_id.")
@click.option("--label-path", metavar="PATH", help="Where a foreign file has the label, e.g. 0.label; its control or key.")
@click.option("--new", "only_new", is_flag=True, help="FILE is a folder that grows: take each file that is new, once.")
def _import(settings: Settings, table: str, file: Path, form: str | None, skip_bad: bool, model: str | None,
            only_new: bool = False, model_version: str | None = None, role: str | None = None, images: Sequence[str] = (),
            allow_missing_images: bool = False, **options: Any) -> Outcome:
    filled = {"model": model or settings.model, "model_version": model_version, "role": role}
    named = filled if table == "predictions" else {}
    fill = {column: value for column, value in named.items() if value is not None}
    reading = make_reading(**{name: options.pop(name) for name in READING if name in options})
    asked = Asked(fill=fill, model=model if table == "labels" else None, **options)
    if images:
        settings.need_no_redaction()
    root, pictures = settings.need_root(), RowPictures(images, allow_missing_images)

    def take(path: Path) -> dict[str, Any]:
        return import_into(root, table, path, asked, skip_bad, form, reading, pictures)

    done = import_new(root, table, file, take) if only_new else take(file)
    say(done)
    return Outcome(ERROR if done.get("failed") else DONE, done, describe(table, done))


def describe(table: str, done: Mapping[str, Any]) -> str:
    """Says what an import did, for people."""
    lines = [f"left out: {line}" for line in done["bad"]]
    lines += [f"not imported: {entry['error']}" for entry in done.get("failed", ())]
    if "taken" in done:
        lines.append(f"{done['taken']:,} new files, {done['known']:,} imported before, {len(done['failed']):,} not imported")
    if stored := done.get("pictures"):
        lines.append(f"{write_count(stored['found'], 'picture')}, {stored['stored']:,} of them new in the root")
    rows, files = write_count(done["rows"], table.removesuffix("s")), write_count(len(done["files"]), "file")
    return "\n".join([*lines, f"{rows} in {files}; {write_count(len(done['bad']), 'row')} left out"])


OPTIONS: dict[str, list[Callable[[Any], Any]]] = {
    "predictions": [
        click.option("--model", help="Fills a column `model` that the file lacks."),
        click.option("--model-version", help="Fills a column `model_version` that the file lacks."),
        click.option("--classes", type=click.Path(path_type=Path), help="The classes in the order of the network's outputs, "
                     "one a line or a JSON list: for logs of bare probabilities."),
        click.option("--role", type=click.Choice(ROLES, case_sensitive=False), help="Fills a column `role` that the file lacks: "
                     "batch for labels that a model gave in bulk. [default: none, which counts as live]"),
        click.option("--images", multiple=True, metavar="FOLDER", help="Where the pictures lie: a folder or s3:// prefix; "
                     "repeatable. Named by image_uri, source_uri or the id; stored without metadata."),
        click.option("--allow-missing-images", is_flag=True, help="Take rows whose picture is not there, without one."),
        click.option("--confidence-path", metavar="PATH", help="Where a foreign file has the confidence, e.g. 0.score.")],
    "labels": [
        click.option("--model", help="The model whose answers were judged, where others have the same ids."),
        click.option("--labeler", metavar="NAME", help="Who sorted pictures in class folders. [default: import]"),
        click.option("--job", help="Ground Truth: the labelling job whose answers are meant, of chained ones.")]}


def _command(table: str, help_text: str) -> click.Command:
    def function(settings: Settings, **options: Any) -> Outcome:
        return _import(settings, table, **options)

    function.__click_params__ = list(_import.__click_params__)  # type: ignore[attr-defined]
    function.__doc__ = help_text
    for option in [*OPTIONS[table], *FILE_OPTIONS, *(LABEL_OPTIONS if table == "labels" else ())]:
        option(function)
    return stage_command(table)(function)


predictions_command = _command("predictions", "Predictions of another service: CSV, JSON, Parquet, SageMaker data capture.")
labels_command = _command("labels", "Human labels: CSV, JSON, Parquet, Ground Truth manifests, or Label Studio's exports.")
group = click.Group("import", help="Import rows that other systems wrote into the root.",
                    commands={"predictions": predictions_command, "labels": labels_command})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `import predictions` or `import labels`; returns its exit code."""
    return run(group, argv)


if __name__ == "__main__":
    end_with(main)
