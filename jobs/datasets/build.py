"""From labelled rows to a finished dataset: look at the images, plan, write the files, and the manifest last.

Killed anywhere, it leaves an attempt's folder that no document names. Started again with the same input it finds the
manifest, or makes it under the same id.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from contract import clock, jsonio, layout
from contract.dataset_record import INDEX, SPLITS
from contract.documents import manifest
from contract.documents.card import is_decoder
from contract.documents.manifest import Manifest, Table, read_index
from contract.errors import LeakageFound, Mismatch, NoSuchModel
from contract.registry import Registry
from contract.review.suspects import Pair
from contract.rows.items import list_erased
from contract.settings import DatasetSettings, Settings
from contract.stores.store import Storage, create_if_absent
from jobs.datasets import petastorm_writer
from jobs.datasets import plan as dataset_plan
from jobs.datasets.doubted import leave_out_doubted
from jobs.datasets.images import explain_missing, look_at
from jobs.datasets.plan import Plan, Row
from jobs.datasets.replay import find_present
from jobs.datasets.tasks import Session
from jobs.engines.question import Question


def build(spark: Session, storage: Storage, question: Question, labelled: Sequence[Row], settings: DatasetSettings,
          window: dict[str, str | None], read: Collection[str] = (), doubted: Mapping[Pair, str] | None = None) -> Manifest:
    """The manifest of the dataset that these rows (consensus.find_labelled) make; written only when there is none.

    `read`: the days whose labels are in `labelled`; labels of other days that the parent's rows rest on are read again, as
    `question` says. `doubted`: labels of pictures that are not to be learnt, and why (jobs/datasets/doubted.py).
    Raises EmptyData: a class has no training row, or none is held out; LeakageFound, Mismatch: an input contradicts itself.
    """
    model, as_of = question.model, clock.from_us(question.as_of)
    parent, known = find_live_dataset(storage, model)
    replayed = read_parent_rows(storage, parent)
    present = find_present(spark.sparkContext, storage, replayed, question, read) if settings.replay else []
    rows, listed = dataset_plan.choose_candidates(labelled, replayed, settings, list_erased(storage), present)
    rows, listed = leave_out_doubted(rows, listed, doubted or {})
    looks = look_at(spark.sparkContext, storage, dataset_plan.select_to_look_at(rows))
    looks = explain_missing(storage, rows, looks)
    plan = dataset_plan.finish(rows, listed, looks, known, settings)
    check_leakage(plan)
    found = dataset_plan.make_dataset_id(plan, model, parent.dataset if parent else None, settings)
    if storage.exists(layout.manifest(found)):
        return manifest.load(storage, found)
    made = _write(spark, storage, plan, settings, dataset=found, model=model, parent=parent.dataset if parent else None,
                  as_of=clock.iso(as_of), window=window)
    _check_erasures(storage, plan, made)
    if create_if_absent(storage, layout.manifest(found), made.to_bytes()):
        return made
    return manifest.load(storage, found)  # another process made the same dataset meanwhile; the manifest names its files


def find_live_dataset(storage: Storage, model: str) -> tuple[Manifest | None, list[str]]:
    """The dataset of the live version (None: it has none, or nothing is live) and the classes known so far, in order."""
    registry = Registry(storage, model)
    try:
        card = registry.card(registry.live())
    except NoSuchModel:
        return None, []
    found = manifest.load(storage, card.dataset) if card.dataset else None
    return found, [*card.classes, *(c for c in (found.classes if found else []) if c not in card.classes)]


def count_parent_rows(storage: Storage, settings: Settings) -> int:
    """Counts the rows of the live version's dataset, which are taken over where dataset.replay is set; else 0."""
    parent = find_live_dataset(storage, settings.need_model())[0] if settings.dataset.replay else None
    return sum(parent.rows.values()) if parent else 0


def read_parent_rows(storage: Storage, parent: Manifest | None) -> list[Row]:
    """The parent's index rows, ready to be rows of ours. Mismatch when the file is not the one of its manifest."""
    if parent is None:
        return []
    rows = read_index(storage, parent).to_pylist()
    for row in rows:
        row["came_with"] = row["came_with"] or parent.dataset
    return rows


def check_leakage(plan: Plan) -> None:
    """Each image stands once. True by construction; checked, because everything later rests on it."""
    if len({row["image_sha256"] for row in plan.rows}) != len(plan.rows):
        raise LeakageFound("expected every image in one split, got one in two. Please report this: the plan is wrong.")


def _check_erasures(storage: Storage, plan: Plan, made: Manifest) -> None:
    """Raises Mismatch where a picture was erased meanwhile: its erasure could not see this attempt's files yet."""
    gone = {row["image_sha256"] for row in plan.rows} & list_erased(storage)
    if gone:
        storage.erase(layout.dataset_attempt(made.dataset, made.attempt))
        raise Mismatch(f"{len(gone)} pictures, for example {min(gone)}, were erased on request while the dataset was made. "
                       f"It was removed; start again, they will be left out.")


def _write(spark: Session, storage: Storage, plan: Plan, settings: DatasetSettings, dataset: str,
           **facts: Any) -> Manifest:
    attempt = f"attempt-{os.urandom(4).hex()}"
    folder = layout.dataset_attempt(dataset, attempt)
    index = _create(storage, layout.dataset_index(folder), _index_bytes(plan), len(plan.rows))
    listed = _create(storage, layout.dataset_left_out(folder), jsonio.dumps(plan.listed), len(plan.listed))
    places = [(*place, dataset_plan.digest_rows(rows)) for place, rows in plan.files().items()]
    files, common_metadata = petastorm_writer.write(spark, storage, folder, index.key, places, settings.rows_per_group,
                                                    settings.max_side)
    return Manifest(dataset=dataset, attempt=attempt, created_at=clock.iso(clock.now()), classes=plan.classes,
                    rows={s: sum(r["split"] == s for r in plan.rows) for s in SPLITS}, per_class=plan.counts(),
                    label_sources=_count(r["origin"] for r in plan.rows),
                    holdout_sources=_count(r["origin"] for r in plan.rows if r["split"] == "holdout"),
                    replayed={s: sum(r["split"] == s and r["came_with"] is not None for r in plan.rows) for s in SPLITS},
                    decoders=_count(r["decoded_by"] for r in plan.rows if is_decoder(r.get("decoded_by"))),
                    files=files, index=index, left_out=_count(e["reason"] for e in plan.listed), listed=listed,
                    leakage=_leakage(plan, settings), settings=settings.model_dump(mode="json"),
                    split_by=dataset_plan.SPLIT_BY, common_metadata=common_metadata, **facts)


def _create(storage: Storage, key: str, data: bytes, rows: int) -> Table:
    storage.create(key, data)
    return Table(key=key, sha256=hashlib.sha256(data).hexdigest(), rows=rows)


def _index_bytes(plan: Plan) -> bytes:
    """The index with one row group for each file, which is what that file's task reads."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    with pq.ParquetWriter(out, INDEX.arrow()) as writer:
        for rows in plan.files().values():
            writer.write_table(pa.Table.from_pylist(rows, INDEX.arrow()), row_group_size=len(rows))
    return out.getvalue()


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _leakage(plan: Plan, settings: DatasetSettings) -> manifest.LeakageCheck:
    near = sum(entry["reason"] == "nearly a held-out picture" for entry in plan.listed)
    return manifest.LeakageCheck(images_in_two_splits=0, near_bits=settings.near_bits, near_left_out=near)
