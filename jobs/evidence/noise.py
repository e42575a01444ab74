"""The section `noise`: what a model's accuracy is behind the mistakes of those who label (docs/label-noise.md).

Of each version the items of the origin that its estimate rests on, and of these the deciding votes that were given blind
(`saw_prediction` is false) and name a class. Single votes are looked at, never the consensus of several, whose errors are
others. metrics/noise/ says what they tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from contract.counts import UNNAMED
from contract.documents.version_figures import Version
from contract.evidence.label_noise import Noise, VersionNoise
from contract.texts.figures import write_count, write_figure
from jobs.evidence.collect import Material
from jobs.gold_report import find_newest_rows, list_by_day
from metrics.noise.gold import GoldVotes
from metrics.noise.judge import Judged, complement, describe_classes, judge
from metrics.noise.votes import Votes, collect_votes

if TYPE_CHECKING:
    import pyarrow as pa

RESTS_ON = {"pairs": "one error rate from how often two people agree, errors independent",
            "triples": "an error rate per class from how three people agree, errors independent",
            "gold": "errors measured on gold items, taken to be as hard as the rest"}
NONE: np.ndarray = np.array([])


def make(material: Material) -> Noise:
    """Makes the section of an evaluation."""
    gold = count_gold(material)
    document = material.document
    versions = {name: _describe(material, name, figures, gold) for name, figures in document["versions"].items()}
    told = [f"Version {name}: {found['sentence']}" for name, found in versions.items()]
    return {"versions": versions, "sentence": " ".join(told) or "No version has rows."}


def count_gold(material: Material) -> GoldVotes:
    """The blind votes on the model's gold items, of all versions and days."""
    storage, question = material.storage, material.request.question
    found = []
    for day, answers in sorted(list_by_day(storage, question.model).items()):
        for _, answer, row in find_newest_rows(storage, day, answers, question):
            if not row["withdraws"] and row["label"] != UNNAMED and row["saw_prediction"] is False:
                found.append((answer.predicted == answer.label, row["label"] == answer.label, row["label"] == answer.predicted))
    right = [known for is_right, known, _ in found if is_right]
    wrong = [(known, hit) for is_right, known, hit in found if not is_right]
    return GoldVotes(len(right), sum(right), len(wrong), sum(hit for _, hit in wrong), sum(known for known, _ in wrong))


def _describe(material: Material, version: str, figures: Version, gold: GoldVotes) -> VersionNoise:
    estimate, listed = figures["estimate"], [row["label"] for row in figures["per_class"]]
    tables = list(material.items.values()) if estimate["origin"] else []
    names, votes = read_votes(tables, version, estimate["origin"] or "", listed, weighted=estimate["weighted"])
    judged = judge(votes, gold, material.document["confidence"])
    return {
        "origin": estimate["origin"], "weighted": estimate["weighted"], "votes": int(votes.count.sum()),
        "items": len(votes.predicted), "paired": int((votes.number >= 2).sum()), "tripled": int((votes.number >= 3).sum()),
        "classes": votes.classes, "method": judged.method,  # type: ignore[typeddict-item]
        "gold": {"right": gold.right, "right_known": gold.right_known, "wrong": gold.wrong, "wrong_known": gold.wrong_known,
                 "wrong_hits": gold.wrong_hits},
        "raw": judged.raw, "corrected": judged.corrected, "ceiling": judged.ceiling, "error_rate": complement(judged.ceiling),
        "per_class": describe_classes(judged, names), "checks": judged.checks, "sentence": _say(judged, votes)}


def read_votes(tables: Sequence[pa.Table], version: str, origin: str, names: Sequence[str], *,
               weighted: bool) -> tuple[list[str], Votes]:
    """(names of the classes, the blind deciding votes) of items of one version and origin.

    `weighted`: an item stands for 1 / its selection probability, and one without is left out; otherwise all are alike.
    """
    parts = [found for table in tables if (found := _read_day(table, version, origin, weighted=weighted)) is not None]
    starts = np.cumsum([0, *(len(p["predicted"]) for p in parts)])[:-1]
    item, label, predicted, probability, confidence = (
        np.concatenate([p[name] + at if name == "item" else p[name] for p, at in zip(parts, starts, strict=True)] or [NONE])
        for name in ("item", "label", "predicted", "probability", "confidence"))
    known = sorted({*names, *label.tolist(), *predicted.tolist()})
    code = {name: i for i, name in enumerate(known)}
    return known, collect_votes(max(len(known), 1), item.astype(np.int64), _encode(label, code), _encode(predicted, code),
                                probability, confidence)


def _encode(values: np.ndarray, code: Mapping[str, int]) -> np.ndarray:
    return np.fromiter((code[v] for v in values), np.int64, len(values))


def _read_day(table: pa.Table, version: str, origin: str, *, weighted: bool) -> dict[str, np.ndarray] | None:
    """The items of a day that have a blind deciding vote, and these votes by the place of their item; None without any."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mine = pc.and_(pc.equal(table["model_version"], version), pc.equal(table["origin"], origin))
    if weighted:
        mine = pc.and_(mine, pc.is_valid(table["selection_probability"]))
    chosen = table.filter(mine).combine_chunks()
    if not chosen.num_rows:
        return None
    lists = chosen["votes"].combine_chunks()
    parents, votes = pc.list_parent_indices(lists), pc.list_flatten(lists)
    label, of, saw = (pc.struct_field(votes, name) for name in ("label", "origin", "saw_prediction"))
    blind = pc.and_(pc.equal(saw, False), pc.and_(pc.equal(of, origin), pc.not_equal(label, UNNAMED)))
    blind = pc.fill_null(blind, False)
    at = parents.filter(blind).to_numpy()
    if not len(at):
        return None
    places, item = np.unique(at, return_inverse=True)
    kept = chosen.take(pa.array(places))
    probability = kept["selection_probability"].to_numpy() if weighted else np.ones(len(places))
    return {"item": item, "label": label.filter(blind).to_numpy(zero_copy_only=False),
            "predicted": kept["predicted"].to_numpy(), "probability": probability,
            "confidence": kept["confidence"].cast(pa.float64()).to_numpy()}


def _say(judged: Judged, votes: Votes) -> str:
    """The three figures and what they rest on, or why there are none."""
    if judged.raw["value"] is None:
        return f"not known: {judged.raw.get('reason')}."
    raw = f"{write_figure(judged.raw)} of single blind votes name the answer ({write_count(len(votes.predicted), 'prediction')})"
    if judged.method is None:
        return f"{raw}. What lies behind their mistakes is not known: {judged.reason}."
    gold = f" ({judged.reason})" if judged.reason else ""
    return (f"{raw}; behind the votes' own mistakes the accuracy is {write_figure(judged.corrected)}, and a model that is always "
            f"right would show {write_figure(judged.ceiling)}. Rests on {RESTS_ON[judged.method]}{gold}.")
