"""Why labels find no prediction: what the root's ids look like, and the nearest of them."""

import difflib
from collections.abc import Sequence
from itertools import islice
from pathlib import PurePosixPath

from contract import layout
from contract.days import prediction_days
from contract.rows.listing import list_rows
from contract.rows.reading import read_columns
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.imports.found import Missing

LOOKED_AT = 5_000  # ids of the root, newest day first
TRIED = 20  # ids of the file


def explain_missing(storage: Storage, missing: Sequence[Missing]) -> str:
    """A sentence for a file of labels of which not one has its prediction in the root."""
    there = _read_ids(storage)
    near = next(((one, found) for one in missing[:TRIED] if (found := _find_nearest(one.name, there))), None)
    one = near[0] if near else missing[0]
    said = (f"{one.where}: column {one.column!r}: expected ids of the predictions, got none of them in "
            f"{write_count(len(missing), 'row')}: {one.name!r}")
    if near:
        hint = " The root's were made by --id-per-version: give it here, too." if near[1].startswith(f"{one.name}@") else ""
        return f"{said} (nearest: {near[1]!r}). Write the ids alike.{hint}"
    if there:
        return f"{said} (the root has for example {there[0]!r}). Give both the same ids."
    return f"{said}. The root has no predictions: import them first."


def _find_nearest(name: str, there: Sequence[str]) -> str | None:
    """The id that most likely means the same: the same file name, the same without its ending, else a like spelling."""
    for reduce in (str.casefold, _base, _stem):
        mine = reduce(name.strip())
        found = next((other for other in there if reduce(other.strip()) == mine), None)
        if found:
            return found
    begins = next((other for other in there if other.startswith(f"{name}@")), None)
    by_base = {_base(other): other for other in there[:1_000]}
    near = difflib.get_close_matches(_base(name), by_base, 1)
    return begins or (by_base[near[0]] if near else None)


def _base(name: str) -> str:
    return PurePosixPath(name.casefold()).name


def _stem(name: str) -> str:
    return PurePosixPath(name.casefold()).stem


def _read_ids(storage: Storage) -> list[str]:
    entries = (e for day in reversed(prediction_days(storage)) for e in list_rows(storage, layout.PREDICTIONS, day))
    ids = (i for e in entries for i in read_columns(storage, e.key, ("prediction_id",), ("prediction_id",)).column(0).to_pylist())
    return [str(i) for i in islice(ids, LOOKED_AT) if i]
