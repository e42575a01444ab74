"""The section `cost`: what a model's mistakes cost, and from which confidence on accepting is cheaper (docs/costs.md).

It rests on the counts that the evaluation names, on rows of the origin that the version's estimate rests on, with its weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.counts_store import load_all
from contract.evidence.mistake_cost import Cost, CostEntry
from contract.sections.cost_classes import find_unknown
from jobs.evidence.collect import Material
from metrics.cells import by_version
from metrics.costs.describe import describe
from metrics.marginals import by_price

if TYPE_CHECKING:
    from metrics.cells import Cells


def make(material: Material) -> Cost:
    """Makes the section of an evaluation. UsageError for a cost of a class that the model's cards do not have."""
    costs, document = material.request.costs, material.document
    cells = _read_cells(material)
    seen = {name for found in cells.values() for name in found.classes}
    unknown = find_unknown(material.storage, document["model"], costs.table, seen)
    versions = {}
    for name, figures in document["versions"].items():
        estimate = figures["estimate"]
        versions[name] = describe(cells.get(name), estimate["origin"], costs, [row["label"] for row in figures["per_class"]],
                                  document["confidence"], weighted=estimate["weighted"])
    told = [f"Version {name}: {found['sentence']}" for name, found in versions.items()]
    doubt = [f"No row has the classes {', '.join(unknown)} of the costs."] if unknown else []
    entries: list[CostEntry] = [{"label": label, "predicted": said, "cost": cost} for label, row in sorted(costs.table.items())
               for said, cost in sorted(row.items())]
    return {"costs": entries, "default": costs.default, "review": costs.review, "unknown": unknown, "versions": versions,
            "sentence": " ".join([*told, *doubt]) or "No version has rows."}


def _read_cells(material: Material) -> dict[str, Cells]:
    """The labelled cells of each version by (predicted, bin, label, origin)."""
    import pyarrow as pa

    parts = [by_price(counts.tables["cells"]) for counts in load_all(material.storage, material.document)]
    return by_version(pa.concat_tables(parts)) if parts else {}
