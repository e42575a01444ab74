"""Counts a window of days and makes an evaluation: stored counts where they are good, an engine for the rest.

`jobs/evaluate.py` is the command; it and an evaluation of two files (`jobs/evaluate_files.py`) run this.
"""

import hashlib
import logging
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from command.progress import progress
from contract import clock, counts_store, jsonio, layout, samples
from contract.accepting.thresholds import find_thresholds
from contract.counts import DayCounts
from contract.counts_store import CountsDocument
from contract.days import prediction_days
from contract.deciding.names import SHADOW
from contract.documents import manifest
from contract.documents.evaluation import Evaluation
from contract.documents.expiry import ExpiredRows
from contract.errors import DamagedDocument, Expired, ForeignSchema, NotFound, pass_over
from contract.registry import Registry
from contract.rows.models import require_model
from contract.samples import Sample
from contract.stores.recorded import RecordedReads
from contract.stores.store import Storage, create_if_absent
from jobs.doubts import find_doubts, tell
from jobs.engines import day_files
from jobs.engines.content_hashes import ContentHashes
from jobs.engines.prefetch import prefetch
from jobs.engines.question import DayFiles, Question
from jobs.evaluation_request import ENGINES, Request
from jobs.unknown_roles import warn_of_unknown_roles
from metrics import evaluation
from metrics.evaluation import Background, Scope
from metrics.since_dataset import Learnt
from metrics.tables import tables
from metrics.window import WindowCounts

if TYPE_CHECKING:
    import pyarrow as pa

READS_AT_ONCE = 16
log = logging.getLogger(__name__)


@dataclass
class Counted:
    """What was counted: each day's document, the sums over the window, and the files left out.

    No day is held whole: only its sums and what the trend and the drift show of it are.
    """

    documents: dict[str, CountsDocument] = field(default_factory=dict)
    window: WindowCounts = field(default_factory=WindowCounts)
    left_out: dict[str, str] = field(default_factory=dict)
    expired: list[str] = field(default_factory=list)  # days of which only these counts are left

    def take(self, document: CountsDocument, counts: DayCounts) -> None:
        """Adds a day."""
        self.documents[counts.day] = document
        self.window.add(counts)


def evaluate(storage: Storage, request: Request) -> tuple[Evaluation, str]:
    """Counts, builds and writes one evaluation; returns its document and the key of the folder it lies in."""
    document, counted, more = make(storage, request)
    return document, write(storage, document, counted, more)


def make(storage: Storage, request: Request) -> tuple[Evaluation, WindowCounts, Mapping[str, "pa.Table"]]:
    """Counts and builds one evaluation. Only counts are written, and items where evidence needs them.

    Returns its document, the counts that it is of, and the tables that evidence adds, by name.
    """
    question = request.question
    require_model(storage, question.model)
    today = clock.day_of(clock.from_us(question.as_of))
    window = day_files.choose_window(storage, request.first, request.last, today, request.days)
    counted = count(storage, request, window.days)
    warn_of_unknown_roles(storage, question, counted.window)
    document = build(storage, request, window, counted)
    tell(document["doubts"])
    more: Mapping[str, pa.Table] = {}
    if names := choose_sections(storage, request):
        from jobs.evidence.collect import Material, collect, name_grounds

        seen = RecordedReads(storage, passing=[layout.live(question.model)])
        material = Material(seen, request, document, counted.window)
        made = collect(names, material)
        if "shadow" not in request.evidence and "shadow" in made and not made["shadow"]["rows"]:
            del made["shadow"]  # nobody asked for the section, and the shadow has no rows yet
        if made:
            document["evidence"] = made
        document["rests_on"] = dict(sorted({**document["rests_on"], **name_grounds(seen.seen)}.items()))
        more = material.tables
    return document, counted.window, more


def choose_sections(storage: Storage, request: Request) -> tuple[str, ...]:
    """Returns the sections that were asked for, and, for live answers, those that the registry's history implies: `automatic`
    where thresholds are in force, `shadow` where a shadow runs."""
    question, names = request.question, request.evidence
    if question.role != "live":
        return names
    registry = Registry(storage, question.model)
    newest, _ = registry.newest_known()
    called = {"automatic": bool(find_thresholds(registry, clock.iso(clock.from_us(question.as_of)))),
              "shadow": newest is not None and SHADOW in newest.state.aliases}
    return (*names, *(name for name, is_called in called.items() if is_called and name not in names))


def count(storage: Storage, request: Request, days: Sequence[str]) -> Counted:
    """The counts of each day: stored ones where they are good, else made by the engine and stored."""
    question, counted = request.question, Counted()
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        listed = list(pool.map(lambda d: day_files.list_day(storage, d), days))
        missing = listed if request.full else _reuse(storage, question, listed, counted, pool)
        if request.full and (gone := [day for day in listed if day.expired]):
            log.warning("not counted again: %s, whose rows expired; the counts that were kept stand.",
                        ", ".join(day.day for day in gone))
            missing = [day for day in listed if not day.expired] + _reuse(storage, question, gone, counted, pool)
    _refuse_expired(question, [day.expired for day in missing if day.expired])
    counted.expired = [day.day for day in listed if day.expired]
    whole, counted.left_out = day_files.read_footers(storage, missing, question.slices, request.quarantine)
    hurt = [d for d, before in zip(whole, missing, strict=True) if d.fingerprint() != before.fingerprint()]
    if hurt and not request.full:
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            still = {d.day for d in _reuse(storage, question, hurt, counted, pool)}
        whole = [d for d in whole if d not in hurt or d.day in still]
    # Closing ends the engine at once when a day cannot be written.
    with ContentHashes(storage, whole) as hashes, closing(_make_missing(storage, request, whole, counted)) as made:
        for day, counts in made:
            made_from = {"model": question.model, "role": question.role, "inputs": question.inputs(day), "engine": request.engine,
                         "files": day.fingerprint(), "hashes": hashes.of(day), "slices": counts_store.slices_of(question.slices)}
            document = CountsDocument.of(counts, consensus=question.consensus, **made_from)
            counted.take(counts_store.write(storage, document, counts), counts)
            del counts  # before the next day is counted
    return counted


def _refuse_expired(question: Question, gone: Sequence[ExpiredRows]) -> None:
    """Raises Expired for a day whose rows expired and whose kept counts are not those asked for."""
    for expired in gone:
        kept = ", ".join(f"{c.model} as {c.role}" for c in expired.counts) or "none"
        raise Expired(f"{expired.sentence}, so it cannot be counted again. Counts that were kept: {kept}, by the rules, slices, "
                      f"weights and moment of then; asked for were those of {question.model} as {question.role} by others. Ask "
                      f"with the settings of then, or leave the day out (--from).")


def _reuse(storage: Storage, question: Question, days: Sequence[DayFiles], counted: Counted,
           pool: ThreadPoolExecutor) -> list[DayFiles]:
    """Takes the stored counts that are good; returns the days that have none."""

    def find_stored(day: DayFiles) -> tuple[CountsDocument, DayCounts] | None:
        found = counts_store.find(storage, question.model, day.day, question.inputs(day), question.as_of)
        return (found, counts_store.read(storage, found)) if found else None

    missing = []
    for day, found in zip(days, prefetch(pool, find_stored, days, READS_AT_ONCE), strict=True):
        if found:
            counted.take(*found)
        else:
            missing.append(day)
    return missing


def _make_missing(storage: Storage, request: Request, days: Sequence[DayFiles],
                  counted: Counted) -> Generator[tuple[DayFiles, DayCounts], None, None]:
    """Each day with the engine's counts; a day whose data cannot be read through is counted without those files."""
    if not days:
        return
    engine = import_module(ENGINES[request.engine])
    left = list(days)
    with progress(f"evaluate ({request.engine})", len(days), "days") as shown:
        try:
            for counts in engine.count(storage, days, request.question, **request.options):
                shown.advance(day=counts.day)
                yield left.pop(0), counts
                del counts
        except Exception as error:  # whatever Spark or mrjob make of a file that cannot be read through
            if isinstance(error, ForeignSchema) and not request.quarantine:
                raise
            bad = day_files.find_unreadable(storage, left)
            if not bad:
                raise
            if not request.quarantine:
                raise ForeignSchema(min(bad.values())) from error
            counted.left_out |= bad
            yield from _make_missing(storage, request, [day_files.leave_out(d, bad) for d in left], counted)


def build(storage: Storage, request: Request, window: day_files.Window, counted: Counted) -> Evaluation:
    """Builds the document of the evaluation."""
    question, seen = request.question, RecordedReads(storage, passing=[layout.live(request.question.model)])
    scope = Scope(question.model, (window.first, window.last), question.as_of, request.engine, question.role,
                  counts={day: document.name for day, document in counted.documents.items()},
                  partial=[{"file": key, "reason": reason} for key, reason in sorted(counted.left_out.items())],
                  fit=question.fit, labeler_weights=question.labeler_weights or {}, roles=question.roles,
                  rule="scores" if question.scores else "majority", version=question.version)
    background = find_background(seen, question, counted.window, window.days)
    document = evaluation.build(scope, counted.window, background, request.rules)
    if request.rules.bucket_edges is not None:
        document["bucket_edges"] = list(request.rules.bucket_edges)
    named = {layout.counts_document(question.model, day, d.name): d.sha256 for day, d in counted.documents.items()}
    document["rests_on"] = dict(sorted({**seen.seen, **named, **request.rests_on}.items()))
    document["doubts"] = find_doubts(storage, question, counted.window, background.classes, window.beyond)
    days, today = prediction_days(storage), clock.day_of(clock.from_us(question.as_of))
    document["newest_day"] = max((day for day in days if day <= today), default=None)
    if counted.expired:
        document["expired"] = counted.expired
    if not document["versions"]:
        document["models_with_rows"] = day_files.list_models_in(storage, days)
    return document


def find_background(storage: Storage, question: Question, window: WindowCounts, days: Sequence[str]) -> Background:
    """Reads what a figure needs beside the counts of these days; `jobs/verifying` does so again, of the root as it was then."""
    return Background(read_classes(storage, question.model, window), read_samples(storage, question, days),
                      find_learnt(storage, question.model))


def read_classes(storage: Storage, model: str, window: WindowCounts) -> dict[str, list[str]]:
    """Version -> its class list, of the counted versions that have a card."""
    registry, counted = Registry(storage, model), window.origins
    return {v: registry.card(v).classes for v in registry.versions() if v in counted}


def read_samples(storage: Storage, question: Question, days: Sequence[str]) -> dict[str, dict[str, Sample]]:
    """Kind -> day -> the sample that was drawn of predictions of the role that is counted."""
    folders = storage.folders(layout.samples(question.model, question.role))
    drawn = {day for folder in folders if (day := layout.day_of(folder)) in days and day}
    found = {kind: {d: samples.read(storage, question.model, d, kind, question.role) for d in sorted(drawn)}
             for kind in samples.KINDS}
    return {kind: {d: s for d, s in of_day.items() if s is not None} for kind, of_day in found.items()}


def find_learnt(storage: Storage, model: str) -> Learnt | None:
    """What the live version was trained on; None when nothing is live."""
    registry = Registry(storage, model)
    newest = registry.newest()
    if newest is None or newest.state.live is None:
        return None
    dataset = registry.card(newest.state.live).dataset
    try:
        last = manifest.load(storage, dataset).window.get("to") if dataset else None
    except NotFound:  # trained elsewhere, or the dataset was deleted since
        dataset, last = None, None
    except DamagedDocument as error:
        pass_over(error)
        last = None
    return Learnt(newest.state.live, dataset, last)


def name_evaluation(as_of: str, digest: str) -> str:
    """`20261120T080000Z-0a1b2c3d`: the moment, and the beginning of the digest of the document."""
    return f"{clock.parse_moment(as_of).strftime('%Y%m%dT%H%M%SZ')}-{digest[:8]}"


def write(storage: Storage, document: Evaluation, window: WindowCounts,
          more: Mapping[str, "pa.Table"] = MappingProxyType({})) -> str:
    """Tables, then `evaluation.json`, under a name made of `as_of` and the content; returns the folder's key.

    `more`: tables that evidence adds, by name.
    """
    beside = {name: counts_store.to_parquet(table) for name, table in {**tables(document, window), **more}.items()}
    document["tables"] = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(beside.items())}
    written, digest = jsonio.dumps_with_digest(document)
    model, evaluation_id = document["model"], name_evaluation(document["as_of"], digest)
    made = {layout.evaluation_table(model, evaluation_id, name): data for name, data in beside.items()}
    for key, data in {**made, layout.evaluation_document(model, evaluation_id): written}.items():
        create_if_absent(storage, key, data)  # the same evaluation may have been written before
    return layout.evaluation(model, evaluation_id)
