"""An evaluation is built again from counts that were made again, and compared figure by figure.

What the root knew beside the counts (cards, samples, what was live) is read as it was then: only the documents that the
evaluation names in `rests_on` are looked at, each with the hash that stands there.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from contract import jsonio, layout
from contract.counts import RULES
from contract.counts_store import explain_rules, from_table_bytes, to_parquet
from contract.documents.evaluation import Evaluation, parse
from contract.documents.rests_on import check_hashes
from contract.documents.verification import DIFFERS, EQUAL, MISSING, TOLD, UNKNOWN, Finding, compare, say
from contract.errors import DamagedDocument, NotFound, TrueupError
from contract.evidence.evidence import Evidence
from contract.stores.recorded import PinnedStorage
from contract.stores.store import Storage
from jobs.count_window import find_background, name_evaluation
from jobs.doubts import find_doubts
from jobs.engines.question import Question, restore_question
from jobs.engines.scores import LabelerScores
from jobs.verifying.counts import OPTIONS, CheckedDay, Options, check_days, list_rows, render
from jobs.verifying.evidence import Basis, remake
from jobs.verifying.fit import check_fit
from metrics import evaluation as figures
from metrics.evaluation import Scope
from metrics.tables import tables
from metrics.version import Rules
from metrics.window import WindowCounts

# What the root was like at that moment, which no file says that could be read again, and what is checked elsewhere.
NOT_COUNTED = ("newest_day", "models_with_rows", "expired", "partial", "rests_on", "tables", "doubts", "engine", "counts",
               "bucket_edges", "evidence")
OF_COUNTS = ("no class named", "missing values")  # doubts that follow from the counts; others show examples of rows
# Figures that follow from cards, samples and what was live, and not from the counts alone.
OF_BACKGROUND = re.compile(r"\.(estimate|corrected|class_list|new_labels|per_class|macro|weighted|balanced_accuracy|top_k)\b|"
                           r"^(since_dataset|doubts)")


@dataclass
class Checked:
    """What was found, what would lie in the places of the documents if they were made now, and every key that was read."""

    findings: list[Finding] = field(default_factory=list)
    instead: dict[str, bytes] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    engines: dict[str, str] = field(default_factory=dict)  # day -> that counted it again


def verify_evaluation(storage: Storage, model: str, evaluation_id: str, engine: str | None = None,
                      options: Options = OPTIONS) -> Checked:
    """Checks one evaluation. NotFound: there is none of that name."""
    found, key = Checked(), layout.evaluation_document(model, evaluation_id)
    data = storage.read(key)
    found.read.add(key)
    try:
        evaluation = parse(data, storage.uri(key))
        found.findings.append(_check_name(key, data, evaluation_id))
    except DamagedDocument as error:
        found.findings.append(say(key, DIFFERS, str(error)))
        return found
    if evaluation["rules"] != RULES:
        found.findings.append(say(key, UNKNOWN, explain_rules(evaluation)))
        return found
    found.findings += check_hashes(storage, evaluation.get("rests_on", {}), found.read)
    try:
        scores = check_fit(storage, evaluation, found.findings, found.read, engine, options)
    except TrueupError as error:
        found.findings.append(say(key, UNKNOWN, f"not counted again, because its fit of labelers cannot be read: {error}"))
        return found
    days = check_days(storage, evaluation, engine, options, scores)
    for day in days:
        found.findings += [*day.raw.findings, *day.findings]
        found.read |= day.read | day.raw.read
        found.instead |= dict(render(day))
        if day.recounted is not None and day.engine is not None:
            found.engines[day.day] = day.engine
    _check_figures(storage, evaluation, evaluation_id, days, found, scores, engine, options)
    return found


def _check_name(key: str, data: bytes, evaluation_id: str) -> Finding:
    """The name of an evaluation ends with the digest of its document, so that no byte of it changes unseen."""
    value = jsonio.loads(data)
    if jsonio.dumps(value) != data:
        return say(key, DIFFERS, "not the bytes that such a document is written as")
    name = name_evaluation(value["as_of"], jsonio.digest(value))
    if name != evaluation_id:
        return say(key, DIFFERS, f"its content has the name {name}, not the one it lies under")
    return say(key, EQUAL, "its content is the one that it is named by")


def _check_figures(storage: Storage, evaluation: Evaluation, evaluation_id: str, days: list[CheckedDay], found: Checked,
                   scores: LabelerScores | None, engine: str | None, options: Options) -> None:
    key = layout.evaluation_document(evaluation["model"], evaluation_id)
    lacking = [day.day for day in days if day.best is None]
    if lacking:
        found.findings.append(say(key, UNKNOWN, f"not computed again: there are no counts of {', '.join(lacking)}"))
        return
    window = WindowCounts.of(day.best for day in days if day.best is not None)
    try:
        question = next((day.question for day in days if day.question), None) or restore_question(
            evaluation, "scores" if scores else "majority", scores=scores)
        rules = _rules(evaluation)
        recomputed = rebuild(storage, evaluation, window, question, rules)
    except TrueupError as error:
        found.findings.append(say(key, UNKNOWN, f"not computed again: {error}"))
        return
    told, now = ({name: value for name, value in document.items() if name not in NOT_COUNTED}
                 for document in (evaluation, recomputed))
    rest = compare(key, told | {"doubts": _pick_doubts(evaluation)}, now | {"doubts": _pick_doubts(recomputed)})
    if not evaluation.get("rests_on") and rest["differ"]:
        rest["said"] += "; an earlier release made it, which did not note its cards and samples: those of today were taken"
        if all(OF_BACKGROUND.search(f["figure"]) for f in rest["differ"]):
            rest["state"] = UNKNOWN
    found.findings.append(rest)
    kept = cast(Evaluation, {**recomputed, **{n: evaluation[n] for n in NOT_COUNTED if n in evaluation}})  # type: ignore[literal-required]
    remade = remake(Basis(storage, key, evaluation, kept, window, days, question, rules, dict(found.instead), engine, options))
    if remade.sections:
        kept["evidence"] = cast(Evidence, remade.sections)
    found.findings += remade.findings
    found.read |= remade.read
    found.instead[key] = jsonio.dumps(kept)
    made = {**tables(kept, window), **remade.tables}
    found.instead |= {layout.evaluation_table(evaluation["model"], evaluation_id, name): to_parquet(table)
                      for name, table in remade.tables.items()}
    found.findings += _check_tables(storage, evaluation, evaluation_id, made, remade.not_made, found.read)
    found.findings.append(say(key, TOLD, "seen at that moment, in no counts: newest_day, models_with_rows, doubts with examples "
                              "of rows, files left out; its name vouches for them"))


def rebuild(storage: Storage, evaluation: Evaluation, window: WindowCounts, question: Question, rules: Rules) -> Evaluation:
    """The document from these counts, and from what the root knew beside them then."""
    named = evaluation.get("rests_on")
    then = PinnedStorage(storage, named) if named else storage
    background = find_background(then, question, window, sorted(evaluation["counts"]))
    days_of = (evaluation["window"]["from"], evaluation["window"]["to"])
    scope = Scope(question.model, days_of, question.as_of, evaluation["engine"], question.role, evaluation["counts"],
                  evaluation["partial"], question.fit, question.labeler_weights, question.roles,
                  "scores" if question.scores else "majority", question.version)
    made = figures.build(scope, window, background, rules)
    made["doubts"] = find_doubts(storage, question, window, background.classes)
    return cast(Evaluation, jsonio.loads(jsonio.dumps(made)))  # as it is read


def _rules(evaluation: Evaluation) -> Rules:
    edges = evaluation.get("bucket_edges")
    return Rules(evaluation["accepted_ratio"], tuple(edges) if edges else None, evaluation["confidence"])


def _pick_doubts(document: Evaluation) -> list[Any]:
    return [doubt for doubt in document["doubts"] if doubt["kind"] in OF_COUNTS]


def _check_tables(storage: Storage, evaluation: Evaluation, evaluation_id: str, made: Mapping[str, Any],
                  not_made: Collection[str], read: set[str]) -> Iterator[Finding]:
    """The tables beside the document: there, with the bytes that it names, and with what is computed now."""
    hashes = evaluation.get("tables")
    for name in sorted({*made, *(hashes or {})}):
        key = layout.evaluation_table(evaluation["model"], evaluation_id, name)
        try:
            data = storage.read(key)
        except NotFound:
            yield say(key, MISSING, "a table of the evaluation, and not there")
            continue
        read.add(key)
        got = hashlib.sha256(data).hexdigest()
        if hashes is not None and hashes.get(name) != got:
            yield say(key, DIFFERS, f"expected the sha256 {hashes.get(name)}, got {got}")
        elif name in not_made:
            yield say(key, UNKNOWN, "as the evaluation names it, and not computed again")
        elif name not in made:
            yield say(key, DIFFERS, "no such table is computed")
        elif data == to_parquet(made[name]):
            yield say(key, EQUAL, f"{made[name].num_rows:,} rows equal")
        else:
            yield _compare_table(key, data, made[name])


def _compare_table(key: str, data: bytes, made: Any) -> Finding:
    try:
        stored = from_table_bytes(data)
    except ValueError as error:
        return say(key, DIFFERS, f"expected a table, got what cannot be read: {error}")
    return compare(key, {"rows": list_rows(stored)}, {"rows": list_rows(made)})
