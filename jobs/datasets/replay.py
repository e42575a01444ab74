"""What people say today of the rows that a dataset takes over from its parent.

A parent's labels are those of the day it was made. Since then some were withdrawn or corrected, and training on them
would bring back what people withdrew; so the labels of its predictions' days are read again, as of now.
"""

import logging
from collections.abc import Collection, Sequence
from typing import Any

from contract.days import label_days
from contract.stores.store import Storage
from jobs.datasets.consensus import BESIDE, IMAGE_COLUMNS, find_labelled_readable
from jobs.datasets.tasks import Tasks
from jobs.engines.day_files import list_day, read_footers
from jobs.engines.question import Question

log = logging.getLogger(__name__)


def find_present(context: Tasks, storage: Storage, parent: Sequence[dict[str, Any]], question: Question,
                 read: Collection[str]) -> list[dict[str, Any]]:
    """Rows of `consensus.find_labelled` for the predictions of a parent's rows, of all days but those `read` already.

    A day whose labels are no longer there says nothing, and neither does an imported picture: those rows stay as they are.
    """
    ids = {row["prediction_id"] for row in parent if row["prediction_id"]}
    wanted = {row["day"] for row in parent if row["prediction_id"]} - set(read)
    days = sorted(wanted & set(label_days(storage)))
    if not days:
        return []
    there = [found for found in (list_day(storage, day) for day in days) if not found.expired]
    files, left_out = read_footers(storage, there, IMAGE_COLUMNS, quarantine=True, beside=BESIDE)
    for reason in left_out.values():
        log.warning("passed over: %s", reason)
    return [row for row in find_labelled_readable(context, storage, files, question) if row["prediction_id"] in ids]
