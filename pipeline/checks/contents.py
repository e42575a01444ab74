"""What `trueup doctor --contents` looks at: whether what documents of the root name is there. For after a restore.

Reads documents and listings, and of the newest days' rows the columns that name versions. Changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterator

from contract import layout
from contract.counts_store import CountsDocument
from contract.days import prediction_days
from contract.documents import manifest
from contract.errors import DamagedDocument, ForeignSchema, Mismatch, NotFound, TrueupError
from contract.evaluations import list_known_models, read_evaluation
from contract.registry import Registry, models
from contract.rows.items import list_erased
from contract.rows.listing import list_day, list_rows
from contract.rows.reading import read_columns
from contract.runs import Runs
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_count
from pipeline.checks.machine import ABSENT, BAD, OK, Row

NEWEST = 20  # evaluations that are looked at
SHOWN = 5  # names in a finding


def check_contents(settings: Settings) -> Iterator[Row]:
    """Yields a row for each check of each model, and for datasets, pictures and rows of all.

    Of a model that was never published there are evaluations alone.
    """
    storage = open_root(settings.need_root())
    published = models(storage)
    for model in list_known_models(storage):
        checks = (check_history, check_versions, check_evaluations, check_run)
        for check in checks if model in published else (check_evaluations,):
            yield check(storage, model)
    days = prediction_days(storage)
    yield check_numbers(storage, days[-settings.evaluate.days:])
    yield check_datasets(storage)
    yield check_erasures(storage)
    yield check_sequences(storage, days[-settings.evaluate.days:], of_all=len(days) <= settings.evaluate.days)


def check_history(storage: Storage, model: str) -> Row:
    """Checks that the history is whole, and no shorter than its copy says."""
    registry, name = Registry(storage, model), f"history of {model}"
    records, damaged = registry.history_known()
    copied = registry.read_copied_number()
    if damaged:
        return name, BAD, _say(damaged), "bring those records back from a version or a copy; what is live is known without them"
    if copied > len(records):
        return (name, BAD, f"it ends with record {len(records)}, live.json is a copy of record {copied}: what was made live "
                f"since is lost", f"bring {layout.history(model).format(copied)} back, or decide again: trueup model promote "
                "VERSION")
    return name, OK, f"{len(records)} records, live {records[-1].state.live if records else 'nothing'}", ""


def check_versions(storage: Storage, model: str) -> Row:
    """Checks that each version has its claim, and its weights unless they were deleted."""
    registry, name = Registry(storage, model), f"versions of {model}"
    newest, _ = registry.newest_known()
    state = newest.state if newest else None
    gone = state.deleted if state else []
    there = registry.versions()
    lacking = [f"version {v} has no weights" for v in there if v not in gone and not storage.exists(layout.weights(model, v))]
    lacking += [f"version {v} has no network for {card.runtime}" for v in there if v not in gone
                and (card := registry.card(v)).converted is not None
                and not storage.exists(layout.network(model, v, card.runtime))]
    lacking += [f"version {v} has no claim" for v in there if not storage.exists(layout.claim(model, v))]
    if state and state.live and state.live not in there:
        lacking.append(f"version {state.live}, which is live, has no card")
    if lacking:
        return (name, BAD, _say(lacking), "weights and cards: bring them back, or make another version live (trueup rollback); "
                f"claims: trueup model reserve {max(there, key=int, default='1')} --model {model} --reason restored")
    return name, OK, f"{len(there)} with card, claim and weights", ""


def check_numbers(storage: Storage, days: list[str]) -> Row:
    """Checks that no number stands in rows that the registry would give again."""
    used: dict[str, set[int]] = defaultdict(set)
    unread = []
    for day in days:
        for entry in list_rows(storage, layout.PREDICTIONS, day):
            try:
                table = read_columns(storage, entry.key, ("model", "model_version"), ("model", "model_version"))
            except ForeignSchema:
                unread.append(entry.key)
                continue
            for row in table.group_by(["model", "model_version"]).aggregate([]).to_pylist():
                if str(row["model_version"]).isdecimal():
                    used[row["model"]].add(int(row["model_version"]))
    published = set(models(storage))
    free = {model: max(numbers) for model, numbers in used.items() if model in published
            and max(numbers) > Registry(storage, model).newest_claim()}
    if free:
        found = [f"rows of {model} name version {n}, a number that the registry would give again"
                 for model, n in sorted(free.items())]
        cures = [f"trueup model reserve {n} --model {model} --reason restored" for model, n in sorted(free.items())]
        return "numbers of versions", BAD, "; ".join(found), "; ".join(cures)
    if unread:
        return ("numbers of versions", BAD, f"cannot be read: {_say(unread)}", "bring the files back, or convert them: trueup "
                "evaluate says what is wrong with each")
    return "numbers of versions", OK, f"none in the rows of {write_count(len(days), 'day')} is free", ""


def check_evaluations(storage: Storage, model: str) -> Row:
    """Checks that the newest evaluations have their counts, and these the rows that they were made from."""
    name, lost_counts, lost_rows = f"evaluations of {model}", [], set[str]()
    there: dict[str, set[str]] = {}
    names = sorted(storage.folders(layout.evaluations(model)), reverse=True)[:NEWEST]
    for evaluation_id in names:
        try:
            counts = read_evaluation(storage, model, evaluation_id)["counts"]
        except (NotFound, DamagedDocument) as error:
            lost_counts.append(str(error))
            continue
        for day, of_day in counts.items():
            if day not in there:
                there[day] = {key for key, _, _ in list_day(storage, day).fingerprint()}
            try:
                document = CountsDocument.load(storage, layout.counts_document(model, day, of_day))
            except (NotFound, DamagedDocument):
                lost_counts.append(f"{evaluation_id} names counts of {day} that are not there")
                continue
            lost_rows |= {key for key, _, _ in document.files} - there[day]
    if lost_counts:
        return name, BAD, _say(lost_counts), f"evaluate again: trueup evaluate --model {model}"
    if lost_rows:
        return (name, BAD, f"counted and not there: {write_count(len(lost_rows), 'file')} of rows: {_say(sorted(lost_rows))}",
                f"bring them back; without them the figures stand as they were counted, and trueup evaluate --model {model} "
                f"counts what there is")
    return name, OK, f"the newest {len(names)} have their counts, and these their rows", ""


def check_run(storage: Storage, model: str) -> Row:
    """Checks that an open run has what its finished stages name."""
    name = f"runs of {model}"
    try:
        run = Runs(storage, model).newest()
        if run is None or run.end() is not None:
            return name, OK, "none is open", ""
        lacking = []
        done = {stage: run.stage(stage) or {} for stage in ("evaluate", "dataset", "train")}
        if (made := done["evaluate"].get("id")) and not storage.exists(layout.evaluation_document(model, made)):
            lacking.append(f"evaluation {made}")
        if (made := done["dataset"].get("dataset")) and not storage.exists(layout.manifest(made)):
            lacking.append(f"dataset {made}")
        if (made := done["train"].get("version")) and not storage.exists(layout.card(model, made)):
            lacking.append(f"version {made}")
    except TrueupError as error:
        return name, BAD, str(error), "bring the document back, or remove it"
    if lacking:
        return (name, BAD, f"run {run.key} is open and names what is not there: {', '.join(lacking)}",
                f"remove {run.folder} from the stage that made it on, and trueup cycle runs it again")
    return name, OK, f"run {run.key} is open; the next cycle carries it on", ""


def check_datasets(storage: Storage) -> Row:
    """Checks that datasets have the files that their manifests name, and cards the datasets."""
    lacking, n = [], 0
    for dataset in storage.folders(layout.datasets()):
        try:
            made = manifest.load(storage, dataset)
        except NotFound:  # an attempt that nobody finished
            continue
        except Mismatch as error:
            lacking.append(str(error))
            continue
        n += 1
        there = {entry.key: entry.size for entry in storage.list(layout.dataset(dataset))}
        if not made.erased:
            lacking += [file.key for file in made.files if there.get(file.key) != file.size]
    for model in models(storage):
        registry = Registry(storage, model)
        named = {registry.card(v).dataset for v in registry.versions()} - {None}
        lacking += [f"dataset {d} of {model}'s versions" for d in sorted(map(str, named))
                    if not storage.exists(layout.manifest(d))]
    if lacking:
        return ("datasets", BAD, f"not there: {_say(lacking)}", "bring them back; without them their versions answer, but cannot "
                "be assessed again or followed by trueup lineage")
    return "datasets", OK, f"{n} with all their files", ""


def check_erasures(storage: Storage) -> Row:
    """Checks that no picture came back that was asked to be erased."""
    erased = list_erased(storage)
    back = sorted(sha256 for sha256 in erased if any(True for _ in storage.list(layout.image(sha256, ""))))
    if back:
        return ("erasures", BAD, f"{write_count(len(back), 'picture')} came back after being erased: {_say(back)}",
                f"erase each again: trueup forget --image {back[0]}")
    return "erasures", OK, f"none of {len(erased)} erased pictures is there; of what was erased after a copy it knows nothing", ""


def check_sequences(storage: Storage, days: list[str], of_all: bool) -> Row:
    """Says which rows of a service's outbox are in no file of these days: they were lost, or wait in the outbox.

    `of_all`: there are no other days, so an outbox's numbers begin with 1.
    """
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for day in days:
        for key, _, _ in list_day(storage, day).fingerprint():  # by the names that services gave, also of packed files
            if (found := layout.find_row_file(key)) is not None:
                spans[found[0]].append(found[1:])
    gaps = []
    for writer, of_writer in sorted(spans.items()):
        end = 0 if of_all else None
        for first, last in sorted(of_writer):
            if end is not None and first > end + 1:
                gaps.append(f"{writer} {end + 1} to {first - 1}")
            end = max(end or last, last)
    if gaps:
        return "rows of outboxes", ABSENT, f"in no file of these days: {_say(gaps)}; lost, not yet shipped, or of other days", ""
    return "rows of outboxes", OK, f"no gap in the numbers of {len(spans)} outboxes", ""


def _say(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
