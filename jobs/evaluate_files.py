"""An evaluation of two files, without a root: they are imported into a folder that lives as long as the command.

    trueup evaluate --predictions p.csv --labels l.csv
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from command.command import Outcome
from command.load_settings import with_options
from contract import clock
from contract.days import prediction_days
from contract.documents.evaluation import Rows
from contract.errors import EmptyData, UsageError
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from jobs.count_window import make
from jobs.engines import day_files
from jobs.evaluate_text import make_outcome
from jobs.evaluation_request import request_of
from jobs.import_table import import_file, say
from jobs.imports.found import Asked
from jobs.imports.options import Reading, split_for_two

UNNAMED = {"model": "model", "model_version": "1"}  # of a file that has no such column


def evaluate_files(settings: Settings, predictions: str | None, labels: str | None, as_of: str | None,
                   slices: Sequence[str], role: str, reading: Reading, skip_bad: bool = False,
                   per_version: bool = False) -> Outcome:
    """Evaluates the predictions of one file by the labels of another, by the code that evaluates a root.

    `per_version`: the versions share ids, and a label is of each version's prediction. The document has what the import of
    the files says as `import`; rows that it did not take are in the categories of `rows` that they would have in a root.
    """
    if settings.evaluate.labeler_fit and not settings.evaluate.labeler_weights:
        raise UsageError("evaluate.labeler_fit names a fit that lies in a root: --predictions has none. Leave it out.")
    if not predictions:
        raise UsageError("expected --predictions FILE beside --labels, got none.")
    if as_of:
        reading = replace(reading, latest=max(clock.now_us(), clock.to_us(clock.parse_moment(as_of))))
    with tempfile.TemporaryDirectory(prefix="trueup-quick-") as folder:
        storage = open_root(folder, create=True)
        asked = Asked(fill=UNNAMED | _name_columns(settings), prefer=settings.model, role=role, per_version=per_version)
        imported = _import_both(storage, asked, predictions, labels, reading, skip_bad)
        days = prediction_days(storage)
        chosen = with_options(settings, model=settings.model or _find_only_model(storage, predictions), root=folder)
        request = request_of(chosen, as_of, slices, role, None, ())
        request = replace(request, first=min(days, default=None), last=max(days, default=None))
        document, _, _ = make(storage, request)
    document["rows"] = _add_rows(document["rows"], imported)
    where = f"{predictions} and {labels}" if labels else f"{predictions}, no labels"
    ended = make_outcome(document, where)
    ended.document["import"] = {table: {k: v for k, v in done.items() if k != "files"} for table, done in imported.items()}
    return ended


def _import_both(storage: Storage, asked: Asked, predictions: str, labels: str | None, reading: Reading,
                 skip_bad: bool) -> dict[str, dict[str, Any]]:
    """Table -> what `import_file` says of its file."""
    first, second = split_for_two(reading) if labels else (reading, reading)
    done = {"predictions": import_file(storage, "predictions", Path(predictions), asked, skip_bad, reading=first,
                                       verb="evaluate")}
    say(done["predictions"])
    if labels:
        if not done["predictions"]["rows"]:
            raise EmptyData(f"{predictions}: expected the predictions that {labels} judges, got none that can be taken of "
                            f"{len(done['predictions']['bad']):,} rows. Name a file that has them.")
        asked = replace(asked, fill={}, count_orphans=True)
        done["labels"] = import_file(storage, "labels", Path(labels), asked, skip_bad, reading=second, verb="evaluate")
        say(done["labels"])
    return done


def _add_rows(rows: Rows, imported: Mapping[str, dict[str, Any]]) -> Rows:
    """The counts of rows with those that were not taken: left out as bad, without a label, of no prediction."""
    said, of_labels = imported["predictions"], imported.get("labels", {"bad": [], "unlabelled": 0, "left_out": {}})
    bad, invalid = len(said["bad"]), len(of_labels["bad"]) + of_labels["unlabelled"]
    orphan = of_labels["left_out"].get("orphan", 0)
    return {**rows, "predictions": rows["predictions"] + bad, "invalid_predictions": rows["invalid_predictions"] + bad,
            "labels": rows["labels"] + invalid + orphan, "invalid": rows["invalid"] + invalid,
            "orphan": rows["orphan"] + orphan}


def _name_columns(settings: Settings) -> dict[str, str]:
    return {"model": settings.model} if settings.model else {}


def _find_only_model(storage: Storage, predictions: str) -> str:
    models = day_files.list_models_in(storage, prediction_days(storage))
    if len(models) > 1:
        raise UsageError(f"{predictions} has rows of {', '.join(models)}: name one with --model.")
    return models[0] if models else UNNAMED["model"]
