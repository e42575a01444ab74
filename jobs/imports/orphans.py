"""Labels of predictions that are not there: counted where a file of predictions stands beside, and an error when all are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract.errors import ForeignSchema
from jobs.imports.known import Known
from jobs.imports.spelling import find_nearest

Row = dict[str, Any]


def split_orphans(path: Path, rows: Sequence[tuple[int, Row]], known: Known) -> tuple[list[tuple[int, Row]], int]:
    """The rows whose predictions are in the root, and how many the others are. ForeignSchema when none is."""
    first = {row["prediction_id"]: number for number, row in reversed(rows)}
    there = known.find_ids(first)
    if first and not there:
        number, name = min((number, name) for name, number in first.items())
        near = find_nearest([name], known.list_ids())[name]
        hint = f" (nearest: {near!r})" if near else ""
        raise ForeignSchema(f"{path}: row {number}: column 'prediction_id': expected ids of the predictions, got none of them in "
                            f"{len(rows)} rows: {name!r}{hint}. Give both files the same ids.")
    good = [(number, row) for number, row in rows if row["prediction_id"] in there]
    return good, len(rows) - len(good)
