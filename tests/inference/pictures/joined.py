"""Joins the labels of days with their predictions in this process: what `trueup items` does as one of its own."""

from contract import clock
from contract.days import prediction_days
from contract.rows.items import ItemsDocument, write_items
from jobs.engines import day_files
from jobs.engines.embedded.engine import list_items
from jobs.engines.question import ITEM_COLUMNS, Question


def join(storage, model, days=None):
    """Writes the items of days (default: all)."""
    listed = [day_files.list_day(storage, day) for day in days or prediction_days(storage)]
    read, _ = day_files.read_footers(storage, listed, ITEM_COLUMNS)
    question = Question(model, clock.now_us(), "live")
    for files, made in zip(read, list_items(storage, read, question), strict=True):
        document = ItemsDocument.of(made, model=model, role="live", inputs=question.inputs(files), files=files.fingerprint())
        write_items(storage, document, made)
