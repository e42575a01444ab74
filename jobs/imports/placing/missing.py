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

LOOKED_AT = 5_000  # ids of the root, newest day first
TRIED = 20  # ids of the file


def explain_missing(storage: Storage, wanted: Sequence[str]) -> str:
    """A sentence for a file of labels of which not one has its prediction in the root."""
    there = _read_ids(storage)
    said = f"none of the {len(wanted):,} labels has its prediction in the root"
    if not there:
        return f"{said}: it has no predictions. Import the predictions first."
    for name in wanted[:TRIED]:
        near = _find_nearest(name, there)
        if near:
            hint = " The root's ids were made by --id-per-version: give it here, too." if near.startswith(f"{name}@") else ""
            return f"{said}. The nearest ids: the file has {name!r}, the root {near!r}. Write the ids alike.{hint}"
    return f"{said}. Their ids are of another kind: the file has {wanted[0]!r}, the root for example {there[0]!r}."


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
