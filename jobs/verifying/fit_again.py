"""A fit of labelers is made again, from votes that the other engine lists of the raw files, and compared."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import clock
from contract.counts import RULES
from contract.counts_store import CountsDocument
from contract.documents.verification import BAD, Finding, compare
from contract.rows.items import ItemsDocument, load_items, write_items
from contract.stores.local import LocalStorage
from contract.stores.store import Storage
from jobs.engines import day_files
from jobs.engines.question import ITEM_COLUMNS, DayFiles, Question, RawFile
from jobs.evaluation_request import ENGINES
from jobs.verifying.counts import Options, choose_engine, list_rows
from jobs.verifying.raw_files import look_at_day

if TYPE_CHECKING:
    from contract.documents.labeler_fit import LabelerFit

MOST_VOTES = 200_000  # of a fit that is made again: more take minutes, most of them to list
TOLD = ("rules", "model", "form", "iterations", "log_likelihood", "votes", "predictions", "labelers", "left_out", "classes")


def fit_again(storage: Storage, fit: LabelerFit, roles: Mapping[str, str], engine: str | None, options: Options,
              findings: list[Finding], read: set[str]) -> str | None:
    """Makes a fit again and tells `findings` what differs; returns why it was not made again, None where it was.

    `roles`: the words for roles of the evaluation that rests on it, which a fit does not keep.
    """
    from contract.documents.labeler_fit import read_fit_table

    if fit.votes > MOST_VOTES:
        return f"it rests on {fit.votes:,} votes"
    if fit.rules != RULES:
        return f"other rules made it, {fit.rules}"
    by = choose_engine(engine, fit.engine)
    try:
        made, tables = _make(storage, fit, roles, by, options.get(by, {}), read)
    except Exception as error:  # whatever an engine makes of a file whose bytes are others
        return str(error)
    told: dict[str, Any] = {name: value for name, value in fit.to_dict().items() if name in TOLD}
    told |= {name: list_rows(read_fit_table(storage, fit, name)) for name in tables}
    found = compare(fit.key, told, made | {name: list_rows(table) for name, table in tables.items()})
    found["said"] = f"the fit of labelers made again: {found['said']}, from items by {by}"
    findings.append(found)
    return None


def _make(storage: Storage, fit: LabelerFit, roles: Mapping[str, str], engine: str, options: Mapping[str, Any],
          read: set[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a fit says, and its tables, of the same votes, by as many iterations from the same start."""
    from contract.documents.labeler_fit import load_fit
    from jobs.labelers.gather import gather_votes
    from jobs.labelers.make import Wanted, fit_votes

    question = Question(fit.model, clock.to_us(clock.parse_moment(fit.as_of)), fit.role, roles=roles)
    days = [_find_files(storage, fit, day, name, question, read) for day, name in sorted(fit.inputs.items())]
    whole, _ = day_files.read_footers(storage, days, ITEM_COLUMNS)
    with tempfile.TemporaryDirectory(prefix="trueup-fit-") as folder:
        there = LocalStorage(Path(folder))
        listed = import_module(ENGINES[engine]).list_items(storage, whole, question, **options)
        documents = [write_items(there, ItemsDocument.of(items, model=fit.model, role=fit.role, inputs=question.inputs(day),
                                                         files=day.fingerprint()), items)
                     for day, items in zip(whole, listed, strict=True)]
        gathered = gather_votes(there, documents)
    asked = fit.parameters
    wanted = Wanted(fit.form, fit.iterations, 0.0, asked.smoothing, asked.start is not None, fit.name)
    earlier = load_fit(storage, fit.model, asked.start) if asked.start else None
    fitted, tables, classes = fit_votes(storage, gathered, fit.form, wanted, earlier)
    said = {"rules": RULES, "model": fit.model, "form": fit.form, "iterations": len(fitted.log_likelihoods),
            "log_likelihood": fitted.log_likelihoods[-1], "votes": gathered.votes, "predictions": gathered.items,
            "labelers": len(gathered.index.labelers), "left_out": gathered.left_out,
            "classes": [one.model_dump() for one in classes]}
    return said, tables


def _find_files(storage: Storage, fit: LabelerFit, day: str, name: str, question: Question, read: set[str]) -> DayFiles:
    """The raw files of a day that a fit rests on, by its items. LookupError: they cannot be told, or are gone."""
    items = load_items(storage, fit.model, day, name)
    files = tuple(RawFile(key, int(size), etag, 0, 0, {}) for key, size, etag in items.files)
    if question.inputs(DayFiles(day, files, ())) != items.inputs or items.name != name:
        raise LookupError(f"the items of {day} were made by other settings than are known")
    raw = look_at_day(storage, CountsDocument(
        model=fit.model, day=day, role=fit.role, inputs=items.inputs, known_through=items.known_through,
        next_future=items.next_future, rows={}, files=items.files, tables={}))
    read |= raw.read
    if raw.files is None or any(found["state"] in BAD for found in raw.findings):
        raise LookupError(f"the rows of {day} are gone or are others than then")
    return raw.files
