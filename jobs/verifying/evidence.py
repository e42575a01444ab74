"""Sections of evidence are made again, from items that the other engine makes of the raw files, and compared.

Items that lie in the root are not looked at. What a section read beside rows (gold items, repeats, samples, runs, cards) is
read as it was then: only documents that the evaluation names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from contract import jsonio, layout
from contract.documents.evaluation import Evaluation
from contract.documents.verification import DIFFERS, UNKNOWN, Finding, compare, say
from contract.errors import TrueupError
from contract.stores.recorded import PinnedStorage
from contract.stores.store import Storage
from jobs.engines import day_files
from jobs.engines.question import ITEM_COLUMNS, Question
from jobs.evaluation_request import ENGINES, Request
from jobs.evidence.collect import Material, collect
from jobs.gold_report import list_by_day
from jobs.verifying.counts import CheckedDay, Options, choose_engine
from metrics.costs.table import Costs
from metrics.version import Rules
from metrics.window import WindowCounts

if TYPE_CHECKING:
    import pyarrow as pa

OF_COUNTS = ("automatic", "cost")  # sections that need no rows


@dataclass
class Remade:
    """Sections and tables that were made again, those of `not_made` as they were told, and what was found and read."""

    sections: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pa.Table] = field(default_factory=dict)
    not_made: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    read: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Basis:
    """What evidence is made of again: the evaluation as told and as it was computed, its days, and how these are read."""

    storage: Storage
    key: str  # of the evaluation
    told: Evaluation
    recomputed: Evaluation
    window: WindowCounts
    days: Sequence[CheckedDay]
    question: Question
    rules: Rules
    instead: Mapping[str, bytes]  # counts that were made again
    engine: str | None
    options: Options


def remake(basis: Basis) -> Remade:
    """Makes every section of the told evaluation again."""
    found, names = Remade(), list(basis.told.get("evidence", {}))
    if not names:
        return found
    engine = choose_engine(basis.engine, basis.told["engine"])
    material = Material(_pin(basis), _request(basis, names), basis.recomputed, basis.window)
    raw = {one.day: one.raw.files.predictions if one.raw.files else () for one in basis.days}
    material.predictions = {day: [file.key for file in files] for day, files in raw.items()}
    reason = None
    if any(name not in OF_COUNTS for name in names):
        try:
            material.items = _list_items(basis, engine)
        except Exception as error:  # whatever an engine makes of a file whose bytes are others
            reason = str(error)
    for name in names:
        _remake_section(basis, name, material, engine, None if name in OF_COUNTS else reason, found)
    found.tables = material.tables
    if isinstance(material.storage, PinnedStorage):
        found.read |= set(material.storage.seen)
    return found


def _remake_section(basis: Basis, name: str, material: Material, engine: str, reason: str | None, found: Remade) -> None:
    told: Any = basis.told["evidence"][name]  # type: ignore[literal-required]
    try:
        if reason is None:
            found.sections[name] = jsonio.loads(jsonio.dumps(collect([name], material)))[name]
    except (TrueupError, ValueError, ArithmeticError, LookupError) as error:
        reason = f"{type(error).__name__}: {error}"
    if reason is not None:
        found.sections[name] = told
        found.not_made.append(name)
        found.findings.append(say(basis.key, UNKNOWN, f"evidence.{name}: not computed again: {reason}"))
        return
    of = compare(basis.key, {"evidence": {name: _leave_sentence_out(told)}},
                 {"evidence": {name: _leave_sentence_out(found.sections[name])}})
    by = "from the counts" if name in OF_COUNTS else f"from items by {engine}"
    of["said"] = f"evidence.{name}: {of['said']}, {by}"
    _excuse_difference(basis, name, material, of, found)
    found.findings.append(of)


def _leave_sentence_out(section: Mapping[str, Any]) -> dict[str, Any]:
    """The figures alone: another release may put them in other words; the evaluation's name vouches for the sentence."""
    return {name: value for name, value in section.items() if name != "sentence"}


def _excuse_difference(basis: Basis, name: str, material: Material, of: Finding, found: Remade) -> None:
    """Turns a difference into UNKNOWN where its cause may be something that the evaluation did not note."""
    loose = _find_loose_gold(basis, material, found) if name == "noise" else []
    if of["state"] != DIFFERS:
        return
    if not basis.told.get("rests_on") and name != "recounts":
        of["state"] = UNKNOWN
        of["said"] += "; an earlier release made it, which did not note what it read beside rows: that of today was taken"
    elif loose:
        of["state"] = UNKNOWN
        of["said"] += f"; it rests on rows of gold items that these counts do not name, of {', '.join(loose)}"


def _find_loose_gold(basis: Basis, material: Material, found: Remade) -> list[str]:
    """Lists days of gold items whose label rows are not all in files that the counts name, and notes the files."""
    counted = {one.day: one for one in basis.days}
    loose = []
    for day in sorted(list_by_day(material.storage, basis.question.model)):
        files = {entry.key for entry in basis.storage.list(layout.day_folder(layout.LABELS, day))}
        found.read |= files
        one = counted.get(day)
        if one is None or one.raw.files is None or not files <= one.raw.read:
            loose.append(day)
    return loose


def _pin(basis: Basis) -> PinnedStorage:
    """The root as the sections saw it: documents that the evaluation names, the counts of now, and label rows as they lie."""
    named = basis.told.get("rests_on")
    counts = {one.document.folder + file for one in basis.days if one.document for file in one.document.tables.values()}
    keys = None if named is None else {*named, *counts, *(one.key for one in basis.days)}
    return PinnedStorage(basis.storage, keys, basis.instead, beside=(f"{layout.LABELS}/",))


def _request(basis: Basis, names: Sequence[str]) -> Request:
    """What the evaluation was asked for, as its sections say it."""
    told = basis.told["evidence"]
    windows = tuple(window["days"] for window in told["combined"]["windows"]) if "combined" in told else ()
    costs = Costs()
    if "cost" in told:
        table: dict[str, dict[str, float]] = {}
        for entry in told["cost"]["costs"]:
            table.setdefault(entry["label"], {})[entry["predicted"]] = entry["cost"]
        costs = Costs(table, told["cost"]["default"], told["cost"]["review"])
    targets = tuple(told["automatic"]["wanted"]) if "automatic" in told else ()
    return Request(replace(basis.question, slices=()), engine=basis.told["engine"], rules=basis.rules, evidence=tuple(names),
                   windows=windows, costs=costs, targets=targets,
                   embeddings=told.get("pictures", {}).get("embeddings", {}).get("most"))


def _list_items(basis: Basis, engine: str) -> dict[str, pa.Table]:
    """Day -> its items by the engine, of all days with rows. LookupError: rows are gone that were there then."""
    gone_then = basis.told.get("expired", [])
    gone = [one.day for one in basis.days if one.raw.files is None and one.day not in gone_then]
    if gone:
        raise LookupError(f"the rows of {', '.join(gone)} are gone or cannot be told apart")
    files = [one.raw.files for one in basis.days if one.raw.files]
    question = replace(basis.question, slices=())
    whole, _ = day_files.read_footers(basis.storage, files, ITEM_COLUMNS)
    made = import_module(ENGINES[engine]).list_items(basis.storage, whole, question, **basis.options.get(engine, {}))
    return {day.day: items.table for day, items in zip(whole, made, strict=True)}
