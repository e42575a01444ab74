"""Where everything lies in the bucket: every key comes from here (docs/design.md#the-bucket).

What is named in the plural is a folder, or where it says so the pattern of numbered documents (contract.sequence).
tests/contract/test_layout_is_the_only_place.py finds keys that are written anywhere else.
"""

import re
from typing import Literal
from urllib.parse import quote, unquote

from contract.errors import UsageError, shorten
from contract.ids import SHA256
from contract.stores.store import LONGEST_NAME

PREDICTIONS = "predictions"
LABELS = "labels"
MARKER = "trueup.json"  # says that a folder or a bucket's prefix is a root of ours
# Endings of pictures in folders of other people, in lower case; ours are named by `image`.
PICTURES = (".jpg", ".jpeg", ".png", ".webp")
# Every folder directly under a root.
FOLDERS = ("counts/", "datasets/", "erasures/", "evaluations/", "fits/", "images/", "imports/", "items/", "keys/", "labels/",
           "logs/", "measures/", "models/", "packages/", "predictions/", "replays/", "runs/", "samples/", "scoring/", "tables/")
GROUNDS = ("measures/", "models/", "runs/", "samples/")  # what figures rest on beside rows: documents that an evaluation names


def encode_name(text: str) -> str:
    """A model's name as one folder name: percent-encoded, so that '/' or a space in it cannot move anything."""
    if not text or text in (".", ".."):
        raise UsageError(f"expected the name of a model, got {text!r}.")
    try:
        folder = quote(text, safe="")
    except UnicodeEncodeError:
        raise UsageError(f"expected the name of a model in UTF-8, got {shorten(text)}.") from None
    if len(folder) > LONGEST_NAME:
        raise UsageError(f"expected the name of a model that is at most {LONGEST_NAME} bytes long as the name of a folder "
                         f"({shorten(folder)}), got {len(folder)}. Choose a shorter one.")
    return folder


def decode_name(folder: str) -> str:
    """The inverse of `encode_name`."""
    return unquote(folder)


def document_name(key: str) -> str:
    """Returns what names a document in its folder: what stands between the last '/' of its key and its ending."""
    return key.rpartition("/")[2].rpartition(".")[0]


def day_of(folder: str) -> str | None:
    """Returns the day in the name of a folder, `dt=<day>`; None for any other name."""
    match = re.fullmatch(r"dt=(\d{4}-\d{2}-\d{2})", folder)
    return match[1] if match else None


def table_folder(table: str) -> str:
    """The folder of a table of rows, predictions or labels, one folder `dt=<day>` below it for each day."""
    return f"{table}/"


def day_folder(table: str, day: str) -> str:
    """`predictions/dt=2026-11-20/`."""
    return f"{table_folder(table)}dt={day}/"


def holds_rows(key: str) -> bool:
    """Whether an object below a day's folder is data: it lies in that folder itself, not deeper, and its name begins
    with neither `_` nor `.` (docs/design.md#prediction-rows)."""
    return key.count("/") == 2 and not key.rpartition("/")[2].startswith(("_", "."))


def row_file(table: str, day: str, writer: str, first: int, last: int) -> str:
    """A file of rows: named by who wrote it and the outbox sequence numbers it holds."""
    return f"{table}/dt={day}/{writer}-{first:012d}-{last:012d}.parquet"


def find_row_file(key: str) -> tuple[str, int, int] | None:
    """The inverse of `row_file`: who wrote it, and the first and the last number; None for a file that others named."""
    match = re.fullmatch(r"[a-z]+/dt=[0-9-]{10}/(.+)-(\d{12})-(\d{12})\.parquet", key)
    return (match[1], int(match[2]), int(match[3])) if match else None


def compacted(table: str, day: str) -> str:
    """The folder of what `trueup compact` keeps of a day; its name hides it from whoever reads the day's files."""
    return f"{day_folder(table, day)}_compacted/"


def compactions(table: str, day: str) -> str:
    """The pattern of the documents that say which files of a day stand for which (contract.sequence)."""
    return f"{compacted(table, day)}{{:08d}}.json"


def packed_aside(table: str, day: str, number: int, attempt: str, part: int) -> str:
    """A file made for the compaction of that number, before other programs are shown it."""
    return f"{compacted(table, day)}{number:08d}-{attempt}-{part}.parquet"


def packed_file(table: str, day: str, number: int, attempt: str, part: int, rows: int) -> str:
    """The same file where every program finds it."""
    return row_file(table, day, f"packed-{number:08d}-{attempt}-{part}", 1, rows)


def is_packed(key: str) -> bool:
    """Whether the name of a file of rows says that it was packed: the inverse of `packed_file`."""
    return bool(re.search(r"/packed-\d{8}-[0-9a-f]{8}-\d+-\d{12}-\d{12}\.parquet$", key))


def find_compaction(key: str) -> re.Match[str] | None:
    """What a key in the folder `compacted` is: its compaction's `number`, and `ending`, json of a document."""
    return re.search(r"/_compacted/(?P<number>\d{8})(-[0-9a-f]{8}-\d+)?\.(?P<ending>json|parquet)$", key)


def expiry(day: str, document: Literal["rows", "pictures", "pictures-done"]) -> str:
    """What says that a day's rows or pictures went by age (contract/documents/expiry.py); hidden, and keeps the day's folder."""
    return f"{day_folder(PREDICTIONS, day)}_expired/{document}.json"


def image(sha256: str, extension: str) -> str:
    """`images/ab/abcdef….jpg`."""
    return f"images/{sha256[:2]}/{sha256}.{extension}"


def all_samples() -> str:
    """The folder of all models' samples."""
    return "samples/"


def samples(model: str, population: str = "live") -> str:
    """The folder of a model's samples, one folder `dt=<day>` in it for each day that has any; `of=<population>/` below it
    is of other predictions than live ones (contract.samples.Sample.population)."""
    return f"samples/{encode_name(model)}/" + ("" if population == "live" else f"of={population}/")


def sample(model: str, day: str, kind: str, population: str = "live") -> str:
    """The folder of a day's sample of one kind (audit or review)."""
    return f"{samples(model, population)}dt={day}/{kind}/"


def sample_document(model: str, day: str, kind: str, population: str = "live") -> str:
    """The document that says how a day's sample was drawn."""
    return f"{sample(model, day, kind, population)}sample.json"


def batches(model: str, day: str, kind: str, population: str = "live") -> str:
    """The pattern of the batches that a sample's items were handed out in (contract.sequence)."""
    return f"{sample(model, day, kind, population)}batch-{{}}.json"


def answers(model: str, day: str, kind: str, batch: int, population: str = "live") -> str:
    """The pattern of the answers to one batch (contract.sequence)."""
    return f"{sample(model, day, kind, population)}answer-{batch}-{{}}.json"


def find_sample_part(name: str) -> re.Match[str] | None:
    """What a file in a sample's folder is, by its name there: `part`, and of a batch the number, `batch`.

    None for whatever else lies there; `sample_document` is none of its parts.
    """
    return re.fullmatch(r"(?P<part>batch-(?P<batch>[0-9]{1,9})|answer-[0-9]{1,9}-[0-9]{1,9})\.json", name)


def picked_folder(model: str, day: str, population: str = "live") -> str:
    """The folder of what was listed of a day's predictions and sent to review, or blind (contract/review/listed.py)."""
    return f"{samples(model, population)}dt={day}/picked/"


def picked(model: str, day: str, population: str = "live") -> str:
    """The pattern of what was listed at one time (contract.sequence)."""
    return f"{picked_folder(model, day, population)}{{}}.json"


def suspects(model: str) -> str:
    """The pattern of the documents that list labels which are likely wrong (contract.sequence)."""
    return f"{samples(model)}suspects/{{}}.json"


def gold(model: str, kind: Literal["known", "judged"], name: str = "", document: str = "") -> str:
    """`samples/<model>/gold/known/<prediction id>/<n>.json`, `…/judged/<person>/<prediction id>.json`, or a folder of these."""
    return f"{samples(model)}gold/{kind}/" + (f"{name}/" if name else "") + (f"{document}.json" if document else "")


def repeats(model: str, person: str = "", prediction_id: str = "") -> str:
    """The folder `samples/<model>/repeats/<person>/<prediction id>/` of a blind repeat, or one above it."""
    return f"{samples(model)}repeats/" + (f"{person}/" if person else "") + (f"{prediction_id}/" if prediction_id else "")


def repeat(model: str, person: str, prediction_id: str) -> str:
    """The pattern of a blind repeat's documents (contract.sequence)."""
    return f"{repeats(model, person, prediction_id)}{{}}.json"


def scoring(model: str, version: str) -> str:
    """The folder of a version's batch scoring: `items-<hash>.parquet` beside the plans (contract.sequence)."""
    return f"scoring/{encode_name(model)}/{version}/"


def scoring_plans(model: str, version: str) -> str:
    """The pattern of the plans of a version's batch scoring (contract.sequence)."""
    return f"{scoring(model, version)}plan-{{}}.json"


def scoring_items(model: str, version: str, digest: str) -> str:
    """The table of the items that a plan is about, named by its content."""
    return f"{scoring(model, version)}items-{digest}.parquet"


def scoring_errors(model: str, version: str) -> str:
    """The folder of the images that a version could not score, one folder below it for each plan."""
    return f"{scoring(model, version)}errors/"


def scoring_parts(model: str, version: str, plan: int) -> str:
    """The folder of a plan's parts that are done."""
    return f"{scoring_errors(model, version)}plan-{plan}/"


def scoring_done(model: str, version: str, plan: int, first: int) -> str:
    """The errors table of a part, named by its first item; the part is done when it exists."""
    return f"{scoring_parts(model, version, plan)}done-{first:09d}.parquet"


def replayed(model: str, version: str, day: str) -> str:
    """The folder of how a version replays a day: `items-<hash>.parquet` beside the plans (contract.sequence)."""
    return f"{scoring(model, version)}replayed/dt={day}/"


def replay_plans(model: str, version: str, day: str) -> str:
    """The pattern of the plans by which a version replays a day (contract.sequence)."""
    return f"{replayed(model, version, day)}plan-{{}}.json"


def replay_items(model: str, version: str, day: str, digest: str) -> str:
    """The table of the predictions that a plan is about, named by its content."""
    return f"{replayed(model, version, day)}items-{digest}.parquet"


def replay_parts(model: str, version: str, day: str, plan: int) -> str:
    """The folder of a plan's parts that are done."""
    return f"{replayed(model, version, day)}plan-{plan}/"


def replay_done(model: str, version: str, day: str, plan: int, first: int) -> str:
    """What a part could not compute, named by its first item; the part is done when it exists."""
    return f"{replay_parts(model, version, day, plan)}done-{first:09d}.parquet"


def all_replays() -> str:
    """The folder of what all replays came to, with one folder for each model below it."""
    return "replays/"


def replays(model: str) -> str:
    """The folder of all replays of a model."""
    return f"{all_replays()}{encode_name(model)}/"


def replay(model: str, replay_id: str) -> str:
    """The folder of one replay, `<as_of>-<8 hex>`."""
    return f"{replays(model)}{replay_id}/"


def replay_document(model: str, replay_id: str) -> str:
    """The document of one replay, written last."""
    return f"{replay(model, replay_id)}replay.json"


def replay_left_out(model: str, replay_id: str) -> str:
    """The table of the predictions that a replay could not compute, beside its document."""
    return f"{replay(model, replay_id)}left_out.parquet"


def replay_page(model: str, replay_id: str) -> str:
    """The page of one replay."""
    return f"{replay(model, replay_id)}report.html"


def counts(model: str, day: str, inputs: str = "") -> str:
    """The folder of a day's counts; with `inputs`, of those made from exactly these inputs."""
    folder = f"counts/{encode_name(model)}/dt={day}/"
    return f"{folder}{inputs}/" if inputs else folder


def counts_table(table: str, digest: str) -> str:
    """The name of a table of counts beside their document, by the hash of its content."""
    return f"{table}-{digest}.parquet"


def counts_document(model: str, day: str, name: str) -> str:
    """The document of a day's counts, by the name `<inputs>/<known_through>` that an evaluation has for it."""
    return f"{counts(model, day)}{name}.json"


def all_items() -> str:
    """The folder of all items, with one folder for each model below it."""
    return "items/"


def items(model: str, day: str = "", inputs: str = "") -> str:
    """The folder of a model's items, of those of a day, or of those made from exactly these inputs."""
    return f"{all_items()}{encode_name(model)}/" + (f"dt={day}/" if day else "") + (f"{inputs}/" if inputs else "")


def items_table(digest: str) -> str:
    """The name of the table of items beside their document, by the hash of its content."""
    return f"items-{digest}.parquet"


def items_document(model: str, day: str, name: str) -> str:
    """The document of a day's items, by the name `<inputs>/<known_through>` that the counts of the same rows have."""
    return f"{items(model, day)}{name}.json"


def all_measures() -> str:
    """The folder of what was measured of pictures, with one folder for each model below it."""
    return "measures/"


def measures(model: str, day: str = "", dataset: str = "", version: str = "") -> str:
    """The folder of a model's measures, of those of a day's pictures, or of those of a dataset's training pictures; with a
    `version`, of what that makes of pictures."""
    below = (f"version={version}/" if version else "") + (f"dt={day}/" if day else f"dataset={dataset}/" if dataset else "")
    return f"{all_measures()}{encode_name(model)}/{below}"


def measured_version(folder: str) -> str | None:
    """Returns the version in the name of such a folder, `version=<v>`; None for any other name."""
    return folder.removeprefix("version=") if folder.startswith("version=") else None


def measures_document(folder: str, inputs: str) -> str:
    """The document of measures in such a folder, named by what they were made from."""
    return f"{folder}{inputs}.json"


def measures_table(folder: str, digest: str) -> str:
    """The table of the measures of each picture beside their document, named by its content."""
    return f"{folder}measured-{digest}.parquet"


def fits(model: str) -> str:
    """The folder of all fits of a model's labelers, with one folder for each below it."""
    return f"fits/{encode_name(model)}/"


def fit(model: str, name: str) -> str:
    """The folder of one fit of labelers."""
    return f"{fits(model)}{name}/"


def fit_document(model: str, name: str) -> str:
    """The document of one fit, written last."""
    return f"{fit(model, name)}fit.json"


def fit_table(table: str, digest: str) -> str:
    """The name of a table of a fit beside its document, by the hash of its content."""
    return f"{table}-{digest}.parquet"


def all_evaluations() -> str:
    """The folder of all evaluations, with one folder for each model below it."""
    return "evaluations/"


def evaluations(model: str) -> str:
    """The folder of all evaluations of a model."""
    return f"{all_evaluations()}{encode_name(model)}/"


def evaluation(model: str, evaluation_id: str) -> str:
    """The folder of one evaluation, `<as_of>-<8 hex>`."""
    return f"{evaluations(model)}{evaluation_id}/"


def evaluation_document(model: str, evaluation_id: str) -> str:
    """The document of one evaluation, written last."""
    return f"{evaluation(model, evaluation_id)}evaluation.json"


def evaluation_table(model: str, evaluation_id: str, table: str) -> str:
    """One of the tables beside an evaluation's document."""
    return f"{evaluation(model, evaluation_id)}{table}.parquet"


def decision(model: str, evaluation_id: str) -> str:
    """The decision that the gate made on an evaluation."""
    return f"{evaluation(model, evaluation_id)}decision.json"


def report(model: str, evaluation_id: str) -> str:
    """The page of one evaluation."""
    return f"{evaluation(model, evaluation_id)}report.html"


def comparison(model: str, evaluation_id: str, other: str) -> str:
    """The page that compares an evaluation with another one."""
    return f"{evaluation(model, evaluation_id)}compare-{other}.html"


def find_comparison(name: str) -> re.Match[str] | None:
    """What a file beside an evaluation was compared with, by its name there: `days`, and a `version` or None.

    None for a file that is no comparison.
    """
    return re.fullmatch(r"compare-(?P<days>.+?)(?:-version-(?P<version>\w+))?\.html", name)


def report_index(model: str) -> str:
    """The page that lists all reports of a model."""
    return f"{evaluations(model)}index.html"


def sql_tables(table: str) -> str:
    """The folder of a table of all evaluations, as SQL engines are told it."""
    return f"tables/{table}/"


def sql_table(table: str, model: str, evaluation_id: str) -> str:
    """A table of one evaluation where SQL engines look for partitions."""
    return f"{sql_tables(table)}model={encode_name(model)}/evaluation={evaluation_id}/rows.parquet"


def datasets() -> str:
    """The folder of all datasets."""
    return "datasets/"


def dataset(dataset_id: str) -> str:
    """The folder of a dataset."""
    return f"{datasets()}{dataset_id}/"


def manifest(dataset_id: str) -> str:
    """The document that makes a dataset exist."""
    return f"{dataset(dataset_id)}manifest.json"


def dataset_attempt(dataset_id: str, attempt: str) -> str:
    """The folder of one attempt at a dataset; the manifest names the one that was finished."""
    return f"{dataset(dataset_id)}{attempt}/"


def dataset_index(attempt_folder: str) -> str:
    """The rows of a dataset without their pictures, in an attempt's folder."""
    return f"{attempt_folder}rows.parquet"


def dataset_left_out(attempt_folder: str) -> str:
    """The pictures that a dataset left out and why, in an attempt's folder."""
    return f"{attempt_folder}left_out.json"


def dataset_split(attempt_folder: str, split: str) -> str:
    """The folder of a split's files, in an attempt's folder."""
    return f"{attempt_folder}{split}/"


def dataset_file(attempt_folder: str, split: str, number: int) -> str:
    """One Petastorm file of a split."""
    return f"{dataset_split(attempt_folder, split)}part-{number:05d}.parquet"


def models() -> str:
    """The folder of all models."""
    return "models/"


def versions(model: str) -> str:
    """The folder of a model's versions."""
    return f"{models()}{encode_name(model)}/versions/"


def version(model: str, number: str) -> str:
    """The folder of one version."""
    return f"{versions(model)}{number}/"


def card(model: str, number: str) -> str:
    """The card of a version, written last."""
    return f"{version(model, number)}card.json"


def weights(model: str, number: str) -> str:
    """The weights of a version."""
    return f"{version(model, number)}weights.safetensors"


def network(model: str, number: str, runtime: str) -> str:
    """The network of a version in the form of another runtime, beside the weights that it was made of."""
    return f"{version(model, number)}network.{runtime}"


def assessments(model: str, number: str) -> str:
    """The pattern of the comparisons of a converted version with the one that it was made of (contract.sequence)."""
    return f"{version(model, number)}assessment-{{}}.json"


def claim(model: str, number: str = "{}") -> str:
    """The claim of a version; without a number the pattern of all claims (contract.sequence)."""
    return f"{versions(model)}{number}/claim.json"


def history(model: str) -> str:
    """The pattern of the history records (contract.sequence)."""
    return f"{models()}{encode_name(model)}/history/{{:08d}}.json"


def history_signatures(model: str, seq: int | None = None, signer: str = "") -> str:
    """`models/<model>/signatures/00000007-<signer>.json`: somebody's word for a history record; without a number the folder."""
    folder = f"{models()}{encode_name(model)}/signatures/"
    return folder if seq is None else f"{folder}{seq:08d}-{signer}.json"


def tunings(model: str, study: str = "") -> str:
    """`models/<model>/tunings/`: searches for settings of training; with a study the folder of that one."""
    return f"{models()}{encode_name(model)}/tunings/" + (f"{study}/" if study else "")


def tuning(model: str, study: str, document: Literal["study", "journal", "tuning"]) -> str:
    """What a search looks for (`study.json`), its journal up to some entry in one document, what it found (`tuning.json`)."""
    return f"{tunings(model, study)}{document}.json"


def tuning_page(model: str, study: str) -> str:
    """`models/<model>/tunings/<study>/tuning.html`."""
    return f"{tunings(model, study)}tuning.html"


def tuning_journal(model: str, study: str) -> str:
    """The sequence of a search's journal, an entry of Optuna's in each document."""
    return f"{tunings(model, study)}journal/{{}}.json"


def tuning_trials(model: str, study: str, what: Literal["claims", "beats"], name: str = "") -> str:
    """The folder of who took which trial, or of their beats; with a name (`0003-1`: attempt 1 of trial 3) the document."""
    return f"{tunings(model, study)}{what}/" + (f"{name}.json" if name else "")


def canary_counts(model: str, salt: str, replica: str = "") -> str:
    """`models/<model>/canaries/<salt>/<replica>.json`: what a replica counted of a canary; without a replica the folder."""
    return f"{models()}{encode_name(model)}/canaries/{salt}/" + (f"{replica}.json" if replica else "")


def live(model: str) -> str:
    """A copy of the newest history record's state, for people and other programs."""
    return f"{models()}{encode_name(model)}/live.json"


def probe(model: str) -> str:
    """Written twice before the first write of the registry: a store must refuse the second, exclusive one."""
    return f"{models()}{encode_name(model)}/probe.json"


def proposal(model: str, number: int | str = "{}", document: str = "proposal") -> str:
    """A change that one administrator asked for and another is to approve (contract.sequence), or its `answer`."""
    return f"{models()}{encode_name(model)}/proposals/{number}/{document}.json"


def runs(model: str) -> str:
    """The pattern of the runs (contract.sequence)."""
    return f"runs/{encode_name(model)}/{{}}/run.json"


def run(model: str, n: int) -> str:
    """The folder of one run."""
    return f"runs/{encode_name(model)}/{n}/"


def owner(model: str, n: int, number: int | str = "{}") -> str:
    """An owner of a run; without a number the pattern of all its owners (contract.sequence)."""
    return f"{run(model, n)}owner-{number}.json"


def beat(model: str, n: int, owner: int) -> str:
    """What an owner of a run puts again and again while it lives."""
    return f"{run(model, n)}beat-{owner}.json"


def stage(model: str, n: int, stage_name: str) -> str:
    """The document of a finished stage of a run."""
    return f"{run(model, n)}{stage_name}.json"


def run_end(model: str, n: int) -> str:
    """The document that closes a run."""
    return f"{run(model, n)}end.json"


def notified(model: str, target: str, document: str) -> str:
    """What is kept of messages to a target of `notify:`: one for each that was accepted, by its key, and `last-failure`."""
    return f"runs/{encode_name(model)}/notified/{target}/{document}.json"


def checkpoints(folder: str) -> str:
    """The folder of the checkpoints of a training, in the folder of its run or of its version."""
    return f"{folder}checkpoints/"


def failure(checkpoint_folder: str, job: str) -> str:
    """What a rank of a training job says when it fails."""
    return f"{checkpoint_folder}{job}-failure.json"


def api_keys() -> str:
    """The folder of all API keys."""
    return "keys/"


def api_key(key_id: str) -> str:
    """The document of one API key."""
    return f"{api_keys()}{key_id}.json"


def api_key_of(key: str) -> str | None:
    """The inverse of `api_key`: the id that a document's key names; None for what else lies in that folder."""
    match = re.fullmatch(r"keys/([^/]+)\.json", key)
    return match[1] if match else None


def erasures() -> str:
    """The folder of the documents of all erased images."""
    return "erasures/"


def erasure(sha256: str) -> str:
    """The document of one erased image."""
    return f"{erasures()}{sha256}.json"


def erasure_of(key: str) -> str | None:
    """The inverse of `erasure`: the image's hash; None for what else lies in that folder."""
    match = re.fullmatch(rf"erasures/({SHA256})\.json", key)
    return match[1] if match else None


def imported(table: str, sha256: str = "") -> str:
    """The record of a file that was imported (jobs/imports/growing.py); without its hash the folder of a table's records."""
    return f"imports/{table}/{sha256}.json" if sha256 else f"imports/{table}/"


def step(model: str, digest: str) -> str:
    """The pattern of the attempts at one stage on a cluster (contract.sequence); answers lie beside the requests."""
    return f"runs/{encode_name(model)}/steps/{digest}/{{}}/request.json"


def step_document(request_key: str, document: str) -> str:
    """What lies beside the request of an attempt at a stage: its `answer`, its `cluster`."""
    return f"{request_key.rpartition('/')[0]}/{document}.json"


def step_of(request_key: str) -> tuple[str, str, int]:
    """The inverse of `step`: the model, the digest and the number of an attempt, from the key of its request."""
    _, model, _, digest, number, _ = request_key.split("/")
    return decode_name(model), digest, int(number)


def package(file: str = "") -> str:
    """What clusters unpack: files named by their content."""
    return f"packages/{file}"


def logs() -> str:
    """The folder that EMR writes the logs of clusters to."""
    return "logs/emr/"
