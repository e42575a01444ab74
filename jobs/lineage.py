"""Traces a prediction, version or dataset both ways: to version, dataset, labels and labelers, and to what learnt from it.

    trueup lineage PREDICTION_ID --root R [--day D]      its version and that version's data; its labels; who learnt from it
    trueup lineage --version V --model M --root R        its ancestors, and for each the dataset, its days and labelers
    trueup lineage --dataset ID --root R                 its predictions' days and labelers, and the versions made from it
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock, ids, layout
from contract.counts import rank_role
from contract.documents import expiry, manifest
from contract.documents.card import Card
from contract.documents.manifest import Manifest, read_index
from contract.errors import DamagedDocument, Mismatch, NoSuchVersion, NotFound, UsageError, pass_over
from contract.registry import Registry, check_version, models
from contract.rows.models import require_model
from contract.rows.reading import rows_where
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from jobs.engines.rules import KEPT_FIRST, in_order

PREDICTION = ("prediction_id", "model", "model_version", "predicted_label", "image_sha256", "role")
LABEL = ("prediction_id", "label_id", "label", "labeler", "origin", "labeled_at", "withdraws")
INDEX = ("image_sha256", "prediction_id", "day", "split", "label", "origin")
Row = dict[str, Any]
log = logging.getLogger(__name__)


@stage_command("lineage", help="From a prediction to version, dataset, labels and labelers, and back.")
@click.argument("prediction_id", required=False)
@click.option("--version", help="Of the model: what it was made from.")
@click.option("--dataset", help="What it was made from, and what was made from it.")
@click.option("--model", help="With --version: name of the model.")
@click.option("--day", help="The prediction's day, for ids that are no UUIDv7.")
def command(settings: Settings, prediction_id: str | None, version: str | None, dataset: str | None, model: str | None,
            day: str | None) -> Outcome:
    """Traces a prediction, a version or a dataset."""
    if sum(x is not None for x in (prediction_id, version, dataset)) != 1:
        raise UsageError("expected one of PREDICTION_ID, --version V or --dataset ID.")
    storage = open_root(settings.need_root())
    if prediction_id is not None:
        found = trace_prediction(storage, prediction_id, clock.parse_day(day) if day else None)
    elif dataset is not None:
        found = trace_dataset(storage, manifest.load(storage, dataset))
    else:
        registry = Registry(storage, with_options(settings, model=model).need_model())
        require_model(storage, registry.model)
        found = {"model": registry.model, "versions": list(trace_version(registry, check_version(version or "")))}
    return Outcome(document=found, text="\n".join(write_lines(found)))


def trace_prediction(storage: Storage, prediction_id: str, day: str | None = None) -> Row:
    """The prediction's rows, its labels, what its version was made from, and which datasets and versions hold it."""
    day = ids.day_of(prediction_id) or day
    if day is None:
        raise UsageError(f"prediction {prediction_id!r}: expected a UUIDv7, which says its day. Name the day with --day.")
    rows = list(read_table_rows(storage, layout.PREDICTIONS, day, [prediction_id], tuple({*PREDICTION, *KEPT_FIRST})))
    if not rows and (expired := expiry.find_rows(storage, day)):
        named = dict.fromkeys(PREDICTION) | {"prediction_id": prediction_id, "day": day}
        return {"prediction": named, "labels": [], "versions": [],
                "expired": expired.to_dict() | {"sentence": expired.sentence},
                "went_into": list(_find_holders(storage, prediction_id, None))}
    if not rows:
        raise NotFound(f"{storage.root}: expected prediction {prediction_id} in the rows of {day}, found none.")
    # What was answered, not a shadow beside it; of several such rows the one that counts (rule 2 of docs/design.md).
    counting = min(in_order(rows, list(KEPT_FIRST)), key=lambda row: rank_role(row["role"]))
    first = {name: counting[name] for name in (*PREDICTION, "file")}
    labels = list(read_table_rows(storage, layout.LABELS, day, [prediction_id], LABEL))
    made = []
    if first["model"]:
        made = list(trace_version(Registry(storage, first["model"]), str(first["model_version"])))  # others write whole numbers
    return {"prediction": first | {"day": day}, "labels": labels, "versions": made,
            "picture": _find_picture(storage, day, first["image_sha256"]),
            "went_into": list(_find_holders(storage, prediction_id, first["image_sha256"]))}


def _find_picture(storage: Storage, day: str, sha256: str | None) -> Row | None:
    """Whether the picture is there, was erased, expired with those of its day, or is missing; None: it was not stored."""
    if sha256 is None:
        return None
    if any(storage.list(layout.image(sha256, ""))):
        return {"state": "stored"}
    if storage.exists(layout.erasure(sha256)):
        return {"state": "erased"}
    gone = expiry.find_pictures(storage, day)
    return {"state": "expired", "sentence": gone.sentence} if gone else {"state": "missing"}


def trace_version(registry: Registry, version: str) -> Iterator[Row]:
    """A version and its ancestors, each with its dataset; one whose card is missing (logs of other services) ends it."""
    following = version
    try:
        for card in registry.ancestors(version):
            made = _find_dataset(registry.storage, card.dataset) if card.dataset else None
            yield {"version": card.version, "parent": card.parent, "made_from": card.made_from, "dataset": made}
            following = card.parent or ""
    except NoSuchVersion:
        yield {"version": following, "made_from": "no card here", "dataset": None}
    except DamagedDocument as error:
        pass_over(error)
        yield {"version": following, "made_from": "its card cannot be read", "dataset": None}


def _find_dataset(storage: Storage, dataset: str) -> Row | None:
    """What `trace_dataset` says of a dataset; None for one that is gone or cannot be read, which is named."""
    try:
        return trace_dataset(storage, manifest.load(storage, dataset))
    except (NotFound, Mismatch) as error:
        pass_over(error)
        return None


def trace_dataset(storage: Storage, made: Manifest) -> Row:
    """The dataset's rows by split and day, the labels given to its predictions by labeler, the versions made from it."""
    index = read_index(storage, made, INDEX).to_pylist()
    named = [row for row in index if row["prediction_id"] is not None]
    people: Counter[str] = Counter()
    for day in sorted({row["day"] for row in named}):
        wanted = [row["prediction_id"] for row in named if row["day"] == day]
        people.update(row["labeler"] or "" for row in read_table_rows(storage, layout.LABELS, day, wanted, LABEL))
    expired = [day for day in sorted({row["day"] for row in named}) if expiry.find_rows(storage, day)]
    return {"dataset": made.dataset, "parent": made.parent, "rows": made.rows, "label_sources": made.label_sources,
            "expired_days": expired, "imported": len(index) - len(named),
            "days": dict(sorted(Counter(row["day"] for row in index).items())),
            "labelers": dict(sorted(people.items())),
            "trained": [f"{card.model}/{card.version}" for card in list_cards(storage) if card.dataset == made.dataset]}


def list_cards(storage: Storage) -> Iterator[Card]:
    """All cards under the root."""
    for model in models(storage):
        registry = Registry(storage, model)
        for version in registry.versions():
            try:
                yield registry.card(version)
            except DamagedDocument as error:
                pass_over(error)


def _find_holders(storage: Storage, prediction_id: str, image_sha256: str | None) -> Iterator[Row]:
    """Datasets that hold the prediction's picture, and the versions trained on them."""
    trained = list(list_cards(storage))
    for name in storage.folders(layout.datasets()):
        if not storage.exists(layout.manifest(name)):
            continue
        try:
            rows = read_index(storage, manifest.load(storage, name), INDEX).to_pylist()
        except (NotFound, Mismatch) as error:
            pass_over(error)
            continue
        for row in rows:
            if row["image_sha256"] == image_sha256 is not None or row["prediction_id"] == prediction_id:
                yield {"dataset": name, "split": row["split"], "label": row["label"], "origin": row["origin"],
                       "trained": [f"{card.model}/{card.version}" for card in trained if card.dataset == name]}


def read_table_rows(storage: Storage, table: str, day: str, wanted: Sequence[str], columns: Sequence[str]) -> Iterator[Row]:
    """Yields the rows of a day with one of these prediction ids, times as text, with the `file` that each is in.

    A file that cannot be read is passed over, and named.
    """
    unread: list[str] = []
    for key, row in rows_where(storage, table, day, "prediction_id", wanted, columns, unreadable=unread):
        yield {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items()} | {"file": key}
    for line in unread:
        log.warning("passed over: %s", line)


def write_lines(found: Row) -> Iterator[str]:
    """The document for people."""
    if "prediction" in found:
        p = found["prediction"]
        if "expired" in found:
            yield f"prediction {p['prediction_id']} of {p['day']}: expired; {found['expired']['sentence']}"
        else:
            who = f"{p['model']} version {p['model_version']}"
            yield f"prediction {p['prediction_id']} of {p['day']}: {p['predicted_label']!r} by {who}"
            yield from _picture_lines(found.get("picture"))
        yield from (f"  label {r['label']!r} by {r['labeler']} ({r['origin'] or 'import'})" for r in found["labels"])
        yield from (f"  in {r['split']} of dataset {r['dataset']} as {r['label']!r}; trained: {', '.join(r['trained']) or 'none'}"
                    for r in found["went_into"])
    for version in found.get("versions", ()):
        yield f"version {version['version']}: {version['made_from']}"
        yield from (f"  {line}" for line in (_dataset_lines(version["dataset"]) if version["dataset"] else ()))
    if "days" in found:
        yield from _dataset_lines(found)


def _picture_lines(picture: Row | None) -> Iterator[str]:
    if picture and picture["state"] != "stored":
        yield f"  its picture: {picture.get('sentence') or picture['state']}"


def _dataset_lines(made: Row) -> Iterator[str]:
    days = list(made["days"])
    yield f"dataset {made['dataset']}: rows {made['rows']}, days {days[0]} to {days[-1]}, {made['imported']} imported"
    yield f"  labels by {', '.join(f'{name} ({n})' for name, n in made['labelers'].items()) or 'nobody here'}"
    if made["expired_days"]:
        yield f"  the rows of {len(made['expired_days'])} of these days expired, and with them who gave their labels"
    yield f"  trained: {', '.join(made['trained']) or 'none'}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup lineage`."""
    return run(command, argv, prog_name="trueup lineage")


if __name__ == "__main__":
    end_with(main)
