"""From rows to `replay.json`: live and replayed answers of each day side by side, with their labels."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from command.progress import progress
from contract import clock, jsonio, layout
from contract.policy import GatePolicy
from contract.registry import Registry
from contract.rows.items import read_items
from contract.rows.replay import REASONS, Replay
from contract.stores.store import Storage, create_if_absent
from jobs.count_window import name_evaluation
from jobs.engines.distinct import read_distinct
from jobs.engines.question import Question
from jobs.evaluation_request import Request
from jobs.labelled.make import Listed
from jobs.replaying.plan import read_left_out
from metrics.significance.replayed import Comparison, Pair

if TYPE_CHECKING:
    import pyarrow as pa

ITEM = ("prediction_id", "label", "origin", "selection_probability")
MOST_NAMED = 20
FOREVER = 2**62  # microseconds since 1970 UTC
SCHEMA = ("prediction_id", "day", "kind", "reason")


def compare(storage: Storage, request: Request, version: str, listed: Listed, policy: GatePolicy) -> tuple[str, Replay]:
    """Compares the rows in the root, and writes the document; returns its id. The same rows and labels give the same id.

    `request`: the question of the live answers; `listed`: the items with their labels.
    """
    question, found, left = request.question, Comparison(), []
    days = [day for day in listed.window.days if day not in listed.expired]
    predictions = 0
    with progress("compare", len(days), "days") as shown:
        for day in days:
            live = read_distinct(storage, day, question)
            pairs = list(_pair(storage, question, version, day, live, listed))
            found.add(pairs)
            predictions += live.num_rows
            left += _list_left_out(storage, question, version, day, {p.prediction_id for p in pairs}, live)
            shown.advance(day=day)
    kinds = Counter(row["kind"] for row in left)
    card = Registry(storage, question.model).card(version)
    document = Replay(
        model=question.model, version=version, weights_sha256=card.weights_sha256, engine=request.engine,
        window={"from": listed.window.first, "to": listed.window.last}, as_of=clock.iso(clock.from_us(question.as_of)),
        predictions=predictions, left_out={kind: kinds[kind] for kind in REASONS}, left_out_first=left[:MOST_NAMED],
        expired=listed.expired, items={day: d.name for day, d in sorted(listed.documents.items())},
        **found.to_dict(policy.trusted_origins, policy.min_held_out, policy.confidence))
    return _write(storage, document, left), document


def _pair(storage: Storage, question: Question, version: str, day: str, live: pa.Table, listed: Listed) -> Iterator[Pair]:
    """Yields the predictions of a day that both answered, by the bytes of their ids."""
    # Whenever they were computed: the question's `as_of` is about the live answers and the labels.
    now = read_distinct(storage, day, replace(question, role="replay", version=version, as_of=FOREVER))
    answers = {row["prediction_id"]: row for row in now.select(["prediction_id", "predicted_label", "confidence"]).to_pylist()}
    document = listed.documents.get(day)
    items = read_items(storage, document, ITEM).to_pylist() if document else []
    said = {row["prediction_id"]: row for row in items}
    for row in live.to_pylist():
        answer, label = answers.get(row["prediction_id"]), said.get(row["prediction_id"], {})
        if answer:
            yield Pair(row["prediction_id"], row["model_version"], row["predicted_label"], row["confidence"],
                       answer["predicted_label"], answer["confidence"], label.get("label"), label.get("origin"),
                       label.get("selection_probability"),
                       {"day": day, "image_sha256": row["image_sha256"], "image_uri": row["image_uri"]})


def _list_left_out(storage: Storage, question: Question, version: str, day: str, done: set[str],
                   live: pa.Table) -> list[dict[str, Any]]:
    """Lists the live predictions that were not computed, with the reason that the parts of the replay left."""
    told = {row["prediction_id"]: row for row in read_left_out(storage, question.model, version, day).to_pylist()}
    unknown = {"kind": "gone", "reason": "its replayed row is no longer there"}
    return [{"prediction_id": name, "day": day, "kind": row["kind"], "reason": row["reason"]}
            for name in live["prediction_id"].to_pylist() if name not in done for row in [told.get(name, unknown)]]


def _write(storage: Storage, document: Replay, left: list[dict[str, Any]]) -> str:
    """Writes the table of what was left out, then the document, under a name made of its moment and content."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(left, pa.schema([(name, pa.string()) for name in SCHEMA])), out, compression="zstd")
    digest = hashlib.sha256(jsonio.dumps(document.to_dict())).hexdigest()
    replay_id = name_evaluation(document.as_of, digest)
    create_if_absent(storage, layout.replay_left_out(document.model, replay_id), out.getvalue())
    create_if_absent(storage, layout.replay_document(document.model, replay_id), document.to_bytes())
    return replay_id
