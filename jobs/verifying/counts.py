"""The counts of an evaluation's days: the stored ones read as they lie, and made again from the raw files they name."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from contract import jsonio, layout
from contract.counts import RULES, TABLES, DayCounts
from contract.counts_store import CountsDocument, read, to_parquet
from contract.documents.evaluation import Evaluation
from contract.documents.verification import DIFFERS, EQUAL, MISSING, UNKNOWN, Finding, compare, say
from contract.errors import Mismatch, NotFound, TrueupError
from contract.stores.store import Storage
from jobs.engines import day_files
from jobs.engines.question import DayFiles, Question, RawFile, Slice, restore_question
from jobs.engines.scores import LabelerScores
from jobs.evaluation_request import ENGINES
from jobs.verifying.raw_files import RawDay, look_at_day

if TYPE_CHECKING:
    import pyarrow as pa

Options = Mapping[str, Mapping[str, Any]]
OPTIONS: Options = {"mapreduce": {"runner": "inline"}}
OTHER = {"embedded": "mapreduce"}  # engine -> the engine that checks it; every other one is checked by the embedded engine


@dataclass
class CheckedDay:
    """One day: its stored document and counts (None: not to be had), its raw files, and what was counted from them."""

    day: str
    key: str
    document: CountsDocument | None = None
    question: Question | None = None
    stored: DayCounts | None = None
    raw: RawDay = field(default_factory=RawDay)
    engine: str | None = None
    recounted: DayCounts | None = None
    findings: list[Finding] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    @property
    def best(self) -> DayCounts | None:
        """What figures are computed from: the new counts, else the stored ones."""
        return self.recounted or self.stored


def check_days(storage: Storage, evaluation: Evaluation, engine: str | None, options: Options = OPTIONS,
               scores: LabelerScores | None = None) -> list[CheckedDay]:
    """Checks every day that an evaluation names, and counts its raw files again with `engine` (None: another than made it).

    `options`: engine -> what its `count` is given beside the question. `scores`: of the fit that the evaluation names.
    """
    checked = [_read_day(storage, evaluation, day, name, scores) for day, name in sorted(evaluation["counts"].items())]
    for one in checked:
        if one.document is not None:
            one.raw = look_at_day(storage, one.document)
            made_by = one.document.engine or evaluation["engine"]
            one.engine = choose_engine(engine, made_by)
    for name in sorted({one.engine for one in checked if one.engine}):
        _recount(storage, [one for one in checked if one.engine == name and one.raw.files is not None], name,
                 options.get(name, {}))
    for one in checked:
        if one.document is not None:
            one.findings.append(_compare_day(one))
    return checked


def choose_engine(asked: str | None, made_by: str) -> str:
    """The engine that checks what one made: the one that was asked for, else another."""
    return asked or OTHER.get(made_by, "embedded")


def _read_day(storage: Storage, evaluation: Evaluation, day: str, name: str, scores: LabelerScores | None) -> CheckedDay:
    """Reads a day's document and tables, and checks them by their names and hashes."""
    one = CheckedDay(day, layout.counts_document(evaluation["model"], day, name))
    try:
        data = storage.read(one.key)
        one.read.add(one.key)
        one.document = CountsDocument.load(storage, one.key)
    except NotFound:
        one.findings.append(say(one.key, MISSING, f"the counts of {day} that the evaluation names are not there"))
        return one
    except TrueupError as error:
        one.findings.append(say(one.key, DIFFERS, str(error)))
        return one
    if jsonio.dumps(jsonio.loads(data)) != data:
        one.findings.append(say(one.key, DIFFERS, "not the bytes that such a document is written as"))
    if (one.document.model, one.document.day, one.document.name) != (evaluation["model"], day, name):
        one.findings.append(say(one.key, DIFFERS, f"expected the counts of {evaluation['model']}, {day}, {name}, got those of "
                                f"{one.document.model}, {one.document.day}, {one.document.name}"))
        one.document = None
        return one
    consensus, slices = one.document.consensus, tuple(Slice(*declared) for declared in one.document.slices)
    one.question = restore_question(evaluation, consensus, slices, scores)
    one.findings += _look_at_tables(storage, one.document, one.read)
    try:
        one.stored = read(storage, one.document)
    except (Mismatch, NotFound) as error:
        if not any(f["state"] in (DIFFERS, MISSING) for f in one.findings):
            one.findings.append(say(one.key, DIFFERS, str(error)))
    return one


def _look_at_tables(storage: Storage, document: CountsDocument, seen: set[str]) -> Iterator[Finding]:
    for name, file in document.tables.items():
        key = document.folder + file
        try:
            got = hashlib.sha256(storage.read(key)).hexdigest()[:16]
        except NotFound:
            yield say(key, MISSING, f"a table of the counts of {document.day}, and not there")
            continue
        seen.add(key)
        equal = file == layout.counts_table(name, got)
        yield say(key, EQUAL if equal else DIFFERS, "as its name says" if equal else f"its content has another sha256 ({got}…) "
                  f"than its name says")


def _recount(storage: Storage, days: Sequence[CheckedDay], engine: str, options: Mapping[str, Any]) -> None:
    """Counts days with one engine: those of one question together, those with a file that differs one by one."""
    groups: dict[str, list[CheckedDay]] = {}
    for one in days:
        assert one.document is not None
        apart = "" if one.raw.whole else one.day
        groups.setdefault(jsonio.digest([one.document.slices, one.document.consensus, apart]), []).append(one)
    for group in groups.values():
        try:
            _count_group(storage, group, engine, options)
        except Exception as error:  # whatever an engine makes of a file whose bytes are others
            for one in group:
                one.recounted = None
                one.findings.append(say(one.key, UNKNOWN, f"could not be counted again: {error}"))


def _count_group(storage: Storage, group: Sequence[CheckedDay], engine: str, options: Mapping[str, Any]) -> None:
    question = group[0].question
    assert question is not None
    whole, _ = day_files.read_footers(storage, [one.raw.files for one in group if one.raw.files], question.slices)
    made = import_module(ENGINES[engine]).count(storage, whole, question, **options)
    for one, counts in zip(group, made, strict=True):
        one.recounted = counts


def _compare_day(one: CheckedDay) -> Finding:
    """The stored counts of a day against those made now, figure by figure, down to the rows of the tables."""
    document, counts = one.document, one.recounted
    assert document is not None
    if counts is None:
        bad = [f["of"] for f in one.raw.findings if f["state"] in (DIFFERS, MISSING)]
        return say(one.key, UNKNOWN, f"not counted again: {bad[0]} is not what was counted" if bad else
                   "not counted again: the raw files are gone or cannot be told apart")
    stored = one.stored
    told = {"inputs": document.inputs, "known_through": document.known_through, "next_future": document.next_future,
            "rows": document.rows, "rules": document.rules}
    now = {"inputs": digest_inputs(one), "known_through": counts.known_through, "next_future": counts.next_future,
           "rows": {name: counts.rows[name] for name in document.rows if name in counts.rows}, "rules": RULES}
    found = compare(one.key, told, now)
    for name in TABLES if stored else ():
        assert stored is not None
        mine, theirs = stored.tables[name], counts.tables[name]
        if mine.equals(theirs):
            found["equal"] += mine.num_rows
        else:
            of_table = compare(one.key, {name: list_rows(mine)}, {name: list_rows(theirs)})
            found["equal"] += of_table["equal"]
            found["differ"] += of_table["differ"]
    found["state"] = DIFFERS if found["differ"] else EQUAL
    found["said"] = (f"{len(found['differ']):,} figures of the counts of {one.day} differ from what {one.engine} counts" if
                     found["differ"] else f"{found['equal']:,} counts of {one.day} equal, by {one.engine}")
    return found


def list_rows(table: "pa.Table") -> list[dict[str, Any]]:
    """The rows as JSON has them: sums of weights, which are decimals, as whole numbers."""
    return [{name: int(value) if isinstance(value, Decimal) else value for name, value in row.items()}
            for row in table.to_pylist()]


def digest_inputs(one: CheckedDay) -> str:
    """The hash under which the day's counts must lie, of the files that their document names."""
    assert one.document is not None and one.question is not None
    files = tuple(RawFile(key, int(size), etag, 0, 0, {}) for key, size, etag in one.document.files)
    return one.question.inputs(DayFiles(one.day, files, ()))


def render(one: CheckedDay) -> Iterable[tuple[str, bytes]]:
    """Yields (key, bytes) of the new counts as they would lie in the place of the stored ones; none where nothing was counted."""
    if one.document is None or one.recounted is None:
        return
    files = {}
    for name, table in one.recounted.tables.items():
        if table.num_rows:
            data = to_parquet(table)
            files[name] = layout.counts_table(name, hashlib.sha256(data).hexdigest()[:16])
            yield one.document.folder + files[name], data
    made = one.document.model_copy(update={"tables": files, "rows": one.recounted.rows, "next_future": one.recounted.next_future})
    yield one.key, made.to_bytes()
