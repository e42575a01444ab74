"""An evaluation of two files, without a root: they are imported into a folder that lives as long as the command.

    trueup evaluate --predictions p.csv --labels l.csv
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from command.command import Outcome
from command.load_settings import with_options
from contract.days import prediction_days
from contract.errors import UsageError
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from jobs.count_window import evaluate
from jobs.engines import day_files
from jobs.evaluate_text import outcome
from jobs.evaluation_request import request_of
from jobs.import_table import import_file, say
from jobs.imports.found import Asked

UNNAMED = {"model": "model", "model_version": "1"}  # of a file that has no such column


def evaluate_files(settings: Settings, predictions: str | None, labels: str | None, as_of: str | None,
                   slices: Sequence[str], role: str, per_version: bool = False) -> Outcome:
    """Evaluates the predictions of one file by the labels of another; the same path as for a root.

    `per_version`: the versions share ids, and a label is of each version's prediction.
    """
    if not predictions:
        raise UsageError("expected --predictions FILE beside --labels, got none.")
    with tempfile.TemporaryDirectory(prefix="trueup-quick-") as folder:
        storage = open_root(folder, create=True)
        asked = Asked(fill=UNNAMED | _name_columns(settings), prefer=settings.model, role=role, per_version=per_version)
        say(import_file(storage, "predictions", Path(predictions), asked))
        if labels:
            say(import_file(storage, "labels", Path(labels), replace(asked, fill={}, count_orphans=True)))
        days = prediction_days(storage)
        chosen = with_options(settings, model=settings.model or _find_only_model(storage, predictions), root=folder)
        request = request_of(chosen, as_of, slices, role, None, ())
        request = replace(request, first=min(days, default=None), last=max(days, default=None))
        document, _ = evaluate(storage, request)
    where = f"{predictions} and {labels}" if labels else f"{predictions}, no labels"
    return outcome(document, where)


def _name_columns(settings: Settings) -> dict[str, str]:
    return {"model": settings.model} if settings.model else {}


def _find_only_model(storage: Storage, predictions: str) -> str:
    models = day_files.models_in(storage, prediction_days(storage))
    if len(models) > 1:
        raise UsageError(f"{predictions} has rows of {', '.join(models)}: name one with --model.")
    return models[0] if models else UNNAMED["model"]
