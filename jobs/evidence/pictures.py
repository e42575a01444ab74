"""The section `pictures`: each day's pictures against those that the live version was trained on (docs/picture-drift.md).

Days and the dataset are measured where they have no measures yet (jobs/pictures). When an evaluation is verified nothing is
measured: the documents that it names are compared again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contract import layout
from contract.documents import manifest
from contract.errors import DamagedDocument, Mismatch, NotFound
from contract.evidence.pictures import BandAccuracy, OfMeasure, OfReference, PictureDay, Pictures, Reference, Unusual
from contract.measured.document import Histogram, Measured, add_histograms, list_measured, read_pictures
from contract.measured.measures import BY_NAME
from contract.stores.recorded import PinnedStorage, unwrap
from jobs.evidence.collect import Material
from jobs.evidence.pictures_embedding import Embedded, find_embedded
from jobs.evidence.pictures_text import say
from jobs.pictures.measure import Measuring, measure_dataset, measure_day
from metrics.pictures.bands import judge_bands
from metrics.pictures.compare import can_compare, compare_counts, describe_spread, share_error
from metrics.pictures.unusual import find_unusual

if TYPE_CHECKING:
    import pyarrow as pa

MOST_UNUSUAL = 12  # of each day
NO_DATASET = "no dataset is known that it was trained on"
NO_PICTURES = "none of its training pictures could be measured"


@dataclass(frozen=True)
class Basis:
    """The dataset that days are compared with; without one, why there is none."""

    dataset: Measured | None
    reason: str | None


def make(material: Material) -> Pictures:
    """Makes the section."""
    days, left_out = _list_days(material)
    basis = _find_basis(material)
    before = _list_references(days, basis)
    pairs = [(day, name) for day, reference in zip(days, before, strict=True) for name in BY_NAME
             if reference and can_compare(reference[name].counts, day.histograms[name].counts)]
    embedded = find_embedded(material, _ask(material), [day.day or "" for day in days])
    comparisons = len(pairs) + (embedded.count_comparisons() if embedded else 0)
    error = share_error(comparisons)
    found = [_describe_day(day, reference, error, embedded) for day, reference in zip(days, before, strict=True)]
    tables = {day.day or "": read_pictures(material.storage, day) for day in days}
    since = material.document["since_dataset"]
    version = since["version"] if since else None
    origin, bands = _judge_bands(material, version, tables, basis, days)
    section: Pictures = {
        "version": version, "reference": _describe_reference(basis, days), "comparisons": comparisons, "error": error,
        "days": found, "left_out": left_out, "unusual": _list_unusual(days, before, tables), "origin": origin, "bands": bands,
        "sentence": ""}
    if embedded:
        section["embeddings"] = embedded.tell()
    return {**section, "sentence": say(section)}


def _list_days(material: Material) -> tuple[list[Measured], list[str]]:
    """The measures of the window's days, and days whose rows expired before they were measured."""
    asked = _ask(material)
    found, left_out = [], []
    for day in sorted(material.document["counts"]):
        folder = layout.measures(asked.question.model, day=day)
        if not _is_pinned(material) and (made := measure_day(unwrap(material.storage), day, asked)):
            found.append(Measured.load(material.storage, layout.measures_document(folder, made.document.inputs)))
        elif _is_pinned(material) and (named := list_measured(material.storage, folder)):
            found.append(named[0])
        else:
            left_out.append(day)
    return found, left_out


def _find_basis(material: Material) -> Basis:
    """The measures of the live version's dataset, or why there are none.

    LookupError when an evaluation is verified that does not name them.
    """
    since, asked = material.document["since_dataset"], _ask(material)
    if since is None or since["dataset"] is None:
        return Basis(None, NO_DATASET)
    folder = layout.measures(asked.question.model, dataset=since["dataset"])
    if not _is_pinned(material):
        storage = unwrap(material.storage)
        try:
            made = measure_dataset(storage, manifest.load(storage, since["dataset"]), asked)
        except (NotFound, Mismatch, DamagedDocument) as error:
            return Basis(None, str(error))
        measured = Measured.load(material.storage, layout.measures_document(folder, made.document.inputs))
    elif named := list_measured(material.storage, folder):
        measured = named[0]
    else:
        raise LookupError(f"it names no measures of dataset {since['dataset']}")
    known = any(sum(histogram.counts) for histogram in measured.histograms.values())
    return Basis(measured, None) if known else Basis(None, NO_PICTURES)


def _ask(material: Material) -> Measuring:
    request = material.request
    conf = request.options.get("spark_conf") or {}
    return Measuring(request.question, request.engine == "spark", conf)


def _is_pinned(material: Material) -> bool:
    return isinstance(material.storage, PinnedStorage)


def _list_references(days: Sequence[Measured], basis: Basis) -> list[Mapping[str, Histogram] | None]:
    """What each day is compared with: the dataset, or the days before it; None for the first without a dataset."""
    if basis.dataset:
        return [basis.dataset.histograms for _ in days]
    return [add_histograms(days[:k]) if k else None for k in range(len(days))]


def _describe_day(day: Measured, reference: Mapping[str, Histogram] | None, error: float,
                  embedded: Embedded | None) -> PictureDay:
    figures: list[OfMeasure] = []
    for name, measure in BY_NAME.items():
        mine = day.histograms[name]
        theirs = reference[name].counts if reference else [0] * len(mine.counts)
        spread = describe_spread(mine, measure)
        figures.append({"measure": name, **compare_counts(theirs, mine.counts, error), "low_value": spread["low"],
                        "median": spread["median"], "high_value": spread["high"]})
    figures += embedded.describe(day.day or "", error) if embedded else []
    return {"day": day.day or "", "predictions": day.predictions, "unnamed": day.unnamed, "pictures": day.pictures,
            "missing": day.missing, "figures": figures}


def _describe_reference(basis: Basis, days: Sequence[Measured]) -> Reference:
    documents = [basis.dataset] if basis.dataset else list(days[:-1])
    histograms, figures = add_histograms(documents), []
    for name, measure in BY_NAME.items():
        spread = describe_spread(histograms[name], measure)
        of: OfReference = {"measure": name, "low_value": spread["low"], "median": spread["median"], "high_value": spread["high"]}
        figures.append(of)
    missing = {reason: sum(one.missing.get(reason, 0) for one in documents)
               for reason in sorted({reason for one in documents for reason in one.missing})}
    return {"kind": "dataset" if basis.dataset else "days before", "dataset": basis.dataset.dataset if basis.dataset else None,
            "pictures": sum(one.pictures for one in documents), "missing": missing, "figures": figures, "reason": basis.reason}


def _list_unusual(days: Sequence[Measured], before: Sequence[Mapping[str, Histogram] | None],
                  tables: Mapping[str, pa.Table]) -> list[Unusual]:
    return [one for day, reference in zip(days, before, strict=True) if reference and day.day
            for one in find_unusual(day.day, tables[day.day], {n: h.counts for n, h in reference.items()}, MOST_UNUSUAL)]


def _judge_bands(material: Material, version: str | None, tables: Mapping[str, pa.Table], basis: Basis,
                 days: Sequence[Measured]) -> tuple[str | None, list[BandAccuracy]]:
    """Accuracy of the live version by quarters, over labelled rows of the origin that its estimate rests on."""
    judged = material.document["versions"].get(version or "")
    origin = judged["estimate"]["origin"] if judged else None
    if judged is None or origin is None or not any(table.num_rows for table in tables.values()):
        return origin, []
    values, right = _join_labels(material, version or "", origin, tables)
    reference = basis.dataset.histograms if basis.dataset else add_histograms(days)
    return origin, judge_bands(values, right, reference, material.document["confidence"])


def _join_labels(material: Material, version: str, origin: str,
                 tables: Mapping[str, pa.Table]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Measure -> float [labelled rows] of the version and origin, NaN where not known, and whether the answer was right."""
    rows: dict[str, list[float | None]] = {name: [] for name in BY_NAME}
    right: list[bool] = []
    for day, items in material.items.items():
        table = tables.get(day)
        if table is None or not table.num_rows:
            continue
        place = {sha256: k for k, sha256 in enumerate(table["image_sha256"].to_pylist())}
        columns = {name: table[name].to_pylist() for name in BY_NAME}
        for item in items.select(["model_version", "origin", "predicted", "label", "image_sha256"]).to_pylist():
            k = place.get(item["image_sha256"])
            if k is not None and (item["model_version"], item["origin"]) == (version, origin):
                right.append(item["predicted"] == item["label"])
                for name in BY_NAME:
                    rows[name].append(columns[name][k])
    return {name: np.array(found, float) for name, found in rows.items()}, np.array(right, bool)
