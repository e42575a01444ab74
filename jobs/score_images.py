"""Batch scoring: every new image under a prefix is classified by the live or a given version, on Spark.

    trueup score --root ROOT --model M --images FOLDER|s3://bucket/prefix [--version V] [--json]
    trueup score --root ROOT --model M --uris table.csv            a column `uri`; CSV, JSON lines or Parquet
    python -m jobs.score_images …           spark-submit jobs/score_images.py …

Prediction rows of role `batch` are written like the service's; count them by `trueup evaluate --role batch`. Run again,
only what is new is scored. Images that cannot be classified stand in an errors table with the reason, and the others go on.

A run is idempotent: a plan (contract.sequence) names its moment and its items before anything is scored, so ids and file
names follow from it, whichever process carries it out. A part is done when its `done-<k>.parquet` (its errors, often none)
exists, which is written after the part's rows. So the next run finishes one that died, and two runs at once agree.
"""

import hashlib
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__" and not __package__:  # run as a file, by spark-submit
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock, layout
from contract.documents.card import Card
from contract.documents.document import Document
from contract.errors import AlreadyExists, ForeignSchema, UsageError
from contract.registry import Registry
from contract.sections.modules import list_allowed
from contract.sections.pictures import list_own_endings
from contract.sequence import NumberedDocuments
from contract.settings import Settings
from contract.storage import open_root, open_storage
from contract.stores.local import LocalStorage
from contract.stores.store import Storage
from contract.texts.decoders import explain_other_decoder
from contract.texts.levels import explain_lost_levels
from jobs.scoring.part import Job, Part, score_parts
from jvm.spark_conf import collect_conf

PART = 512  # images whose rows become one file
SHOWN = 5
log = logging.getLogger(__name__)


class Item(NamedTuple):
    """One image: where it lies, its etag and its size ("" and -1 where a table of URIs does not say)."""

    uri: str
    etag: str = ""
    size: int = -1


class Plan(Document):
    """`scoring/<model>/<version>/plan-<n>.json`: what was new at a moment, in the order in which it is scored."""

    schema_: str = "1"
    model: str
    version: str
    at: int  # microseconds since 1970 UTC: the moment of all its predictions
    items: str  # key of the Parquet table of its items
    count: int
    part: int


def score(storage: Storage, settings: Settings, version: str | None, found: Sequence[Item], batch: int = 32,
          spark_conf: dict[str, str] | None = None, part: int = PART) -> dict[str, Any]:
    """Plans what is new, carries out all parts that are not done, and says what came of it."""
    registry = Registry(storage, settings.need_model())
    version = version or registry.live()
    _warn_of_pixels(registry.card(version), settings)
    add_plan(storage, registry.model, version, found, part)
    waiting = [p for n, plan in list_plans(storage, registry.model, version) for p in list_parts_left(storage, n, plan)]
    job = Job(registry.model, version, batch, settings.serve.max_bytes, settings.serve.max_pixels,
              settings.serve.store_images, settings.serve.log_all_classes, tuple(list_allowed()), settings.serve.redact,
              settings.pictures.decoder, settings.serve.redact_grey16)
    made = score_all(storage, job, waiting, spark_conf) if waiting else []
    errors = [e for m in made for e in m["errors"]]
    return {"model": registry.model, "version": version, "found": len(found), "scored": sum(m["scored"] for m in made),
            "errors": len(errors), "first_errors": errors[:SHOWN], "files": [m["file"] for m in made if m["file"]],
            "errors_table": storage.uri(layout.scoring_errors(registry.model, version)),
            "workers": len({m["worker"] for m in made}), "model_loads": sum(m["loaded"] for m in made)}


def _warn_of_pixels(card: Card, settings: Settings) -> None:
    """Warns where pictures come here otherwise than the version's card says: they are scored in any case."""
    from inference.model.own_decoder import load

    decoder = load(settings.pictures.decoder).name if settings.pictures.decoder else None
    for said in (explain_lost_levels(card, settings.serve.cuts_to_8_bits), explain_other_decoder(card, decoder)):
        if said is not None:
            log.warning("%s", said)


def score_all(storage: Storage, job: Job, waiting: Sequence[Part], spark_conf: dict[str, str] | None) -> list[dict[str, Any]]:
    """Scores the parts on Spark, in two tasks or more, so that code that is right only within one task fails on a laptop."""
    from jvm import session, task_store

    at, context = task_store.describe(storage), session.get_session(spark_conf, hands_out=True).sparkContext
    slices = max(2, min(len(waiting), 4 * context.defaultParallelism))
    return context.parallelize(list(waiting), slices).mapPartitions(lambda parts: score_parts(at, job, iter(parts))).collect()


def add_plan(storage: Storage, model: str, version: str, found: Sequence[Item], part: int) -> None:
    """Adds a plan of the images that no plan holds yet; looks again where another run added one meanwhile."""
    numbers = open_plans(storage, model, version)
    while True:
        newest = numbers.newest()
        known = {(i.uri, i.etag) for _, plan in list_plans(storage, model, version) for i in read_items(storage, plan)}
        new = sorted({i for i in found if (i.uri, i.etag) not in known})
        if not new:
            return
        plan = Plan(model=model, version=version, at=clock.now_us(), items=_write_items(storage, model, version, new),
                    count=len(new), part=part)
        try:
            numbers.append(plan.to_dict(), after=newest[0] if newest else 0)
            return
        except AlreadyExists:
            continue


def open_plans(storage: Storage, model: str, version: str) -> NumberedDocuments:
    """The plans of one version."""
    return NumberedDocuments(storage, layout.scoring_plans(model, version))


def list_plans(storage: Storage, model: str, version: str) -> Iterator[tuple[int, Plan]]:
    """All plans, oldest first."""
    numbers = open_plans(storage, model, version)
    newest = numbers.newest()
    for n in range(1, (newest[0] if newest else 0) + 1):
        yield n, Plan.parse(numbers.get(n), storage.uri(numbers.key(n)))


def list_parts_left(storage: Storage, n: int, plan: Plan) -> list[Part]:
    """The parts of a plan that are not done."""
    done = {e.key for e in storage.list(layout.scoring_parts(plan.model, plan.version, n))}
    left = [k for k in range(0, plan.count, plan.part) if layout.scoring_done(plan.model, plan.version, n, k) not in done]
    items = read_items(storage, plan) if left else []
    return [Part(n, k, plan.at, plan.items, [(i.uri, i.etag, i.size) for i in items[k:k + plan.part]]) for k in left]


def _write_items(storage: Storage, model: str, version: str, items: Sequence[Item]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([i._asdict() for i in items]), out, compression="zstd")
    key = layout.scoring_items(model, version, hashlib.sha256(out.getvalue()).hexdigest()[:16])
    storage.put(key, out.getvalue())
    return key


def read_items(storage: Storage, plan: Plan) -> list[Item]:
    """The items of a plan, in its order."""
    import pyarrow.parquet as pq

    columns = pq.read_table(io.BytesIO(storage.read(plan.items))).to_pydict()
    return [Item(*row) for row in zip(columns["uri"], columns["etag"], columns["size"], strict=True)]


def list_under(prefix: str) -> list[Item]:
    """The pictures under a folder or an s3:// prefix: files with the extension of a picture. UsageError: no such folder."""
    storage, endings = open_storage(prefix), (*layout.PICTURES, *list_own_endings())
    if isinstance(storage, LocalStorage) and not storage.folder.is_dir():
        raise UsageError(f"--images {prefix}: expected a folder with pictures, or s3://bucket/prefix; there is none.")
    return [Item(storage.uri(e.key), e.etag, e.size) for e in storage.list() if e.key.lower().endswith(endings)]


def read_table(path: Path) -> list[Item]:
    """The URIs in a table's column `uri`: s3://, file:/// or keys under the root. ForeignSchema without that column."""
    import pyarrow as pa
    from pyarrow import csv, json, parquet

    readers = {".csv": csv.read_csv, ".parquet": parquet.read_table, ".jsonl": json.read_json, ".json": json.read_json}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: expected a table that ends in {', '.join(readers)}.")
    try:
        table = reader(path)
    except (OSError, pa.ArrowException) as error:
        raise ForeignSchema(f"{path}: expected a table of URIs, got {error}.") from error
    if "uri" not in table.column_names:
        raise ForeignSchema(f"{path}: expected a column uri, got {', '.join(table.column_names)}. Rename it.")
    return [Item(str(uri)) for uri in table["uri"].to_pylist() if uri]


@stage_command("score")
@click.option("--model", help="Name of the model. [env: TRUEUP_MODEL]")
@click.option("--version", help="Version that classifies. [default: the live one]")
@click.option("--images", help="Folder or s3://bucket/prefix with pictures (.jpg, .jpeg, .png, .webp, and pictures.endings).")
@click.option("--uris", type=click.Path(path_type=Path), help="Table with a column uri: CSV, JSON lines or Parquet.")
@click.option("--batch", default=32, show_default=True, type=click.IntRange(1, 4096), help="Images at once in the network.")
@click.option("--spark-conf", multiple=True, metavar="KEY=VALUE", help="A setting of the Spark session; repeatable.")
def command(settings: Settings, model: str | None, version: str | None, images: str | None, uris: Path | None, batch: int,
            spark_conf: tuple[str, ...]) -> Outcome:
    """Classify the new images under a prefix, in batches on Spark; rows of role batch."""
    if images and uris is None:
        found = list_under(images)
    elif uris is not None and not images:
        found = read_table(uris)
    else:
        raise UsageError("expected one of --images (a folder or s3:// prefix) and --uris (a table).")
    settings = with_options(settings, model=model)
    storage = open_root(settings.need_root())
    document = score(storage, settings, version, found, batch, collect_conf(settings, spark_conf))
    return Outcome(document=document, text=write_text(document) + (_explain_none() if images and not found else ""))


def _explain_none() -> str:
    endings = ", ".join((*layout.PICTURES, *list_own_endings()))
    return f"\n  looked for files that end in {endings}; other endings: pictures.endings (docs/decoders.md)"


def write_text(document: dict[str, Any]) -> str:
    """What was done, for a terminal."""
    bad = [f"  not scored: {e['uri']}: {e['reason']}" for e in document["first_errors"]]
    more = [f"  … all errors: {document['errors_table']}"] if document["errors"] else []
    return "\n".join([f"{document['model']} version {document['version']}: {document['found']:,} images found, "
                      f"{document['scored']:,} scored now, {document['errors']:,} could not be", *bad, *more])


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup score`."""
    return run(command, argv)


if __name__ == "__main__":
    end_with(main)
