"""How a dataset treats labels that are likely wrong: `dataset.suspects` (docs/suspects.md).

Nothing is searched for here. The newest document of `trueup labels suspects` at the dataset's moment counts, without the
labels that people confirmed up to then, so the same moment gives the same dataset again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from contract import clock
from contract.documents.manifest import Manifest, read_index
from contract.review.send_suspects import send
from contract.review.suspects import Pair, Suspect, list_open, read_newest, read_said
from contract.settings import Settings
from contract.stores.store import Storage
from contract.texts.figures import write_count

log = logging.getLogger(__name__)
REASON = "label likely wrong"
Row = dict[str, Any]


def find_doubted(storage: Storage, settings: Settings, as_of: datetime) -> dict[Pair, str]:
    """Finds the labels that are not to be learnt, with the reason of each: none unless `dataset.suspects` is `drop`."""
    if settings.dataset.suspects != "drop":
        return {}
    return {one.pair: why for one, why in _find_open(storage, settings, as_of)}


def leave_out_doubted(rows: Sequence[Row], listed: Sequence[dict[str, str]],
                      doubted: Mapping[Pair, str]) -> tuple[list[Row], list[dict[str, str]]]:
    """Takes doubted rows out of train and validation, and lists them.

    A held-out row stays: the model that doubts its label is judged by it, and would choose its own judges.
    """
    kept: list[Row] = []
    gone: list[dict[str, str]] = []
    for row in rows:
        why = doubted.get((row["image_sha256"], row["label"])) if row["split"] != "holdout" else None
        if why is None:
            kept.append(row)
        else:
            gone.append({"image_sha256": row["image_sha256"], "reason": REASON, "detail": f"{row['label']}: {why}"})
    return kept, [*listed, *gone]


def ask_about(storage: Storage, settings: Settings, made: Manifest, as_of: datetime) -> None:
    """Sends the suspects among a dataset's rows to people, each once; repeated it sends what is not sent yet."""
    there = {(row["image_sha256"], row["label"]) for row in read_index(storage, made, ("image_sha256", "label")).to_pylist()}
    asked = [one for one, _ in _find_open(storage, settings, as_of) if one.pair in there]
    sent = send(storage, settings.need_model(), asked, settings.serve.label_days, f"dataset {made.dataset}")
    if sent.new:
        log.info("asked people about %s of dataset %s", write_count(sent.new, "label"), made.dataset)


def _find_open(storage: Storage, settings: Settings, as_of: datetime) -> list[tuple[Suspect, str]]:
    moment = clock.iso(as_of)
    found = read_newest(storage, settings.need_model(), moment)
    suspects = found.suspects if found else []
    said = read_said(storage, suspects, settings.gates.trusted_origins, moment)
    return [(one, _explain(one, said)) for one in list_open(suspects, said)]


def _explain(one: Suspect, said: Mapping[Pair, Any]) -> str:
    words = said.get(one.pair)
    return f"{one.why}; people said {', '.join(dict.fromkeys(words.others))}" if words and words.others else one.why
