"""Makes the sections of evidence that an evaluation asks for (`evaluate --evidence NAME`, `evaluate.evidence`).

A section is a function (Material) -> its TypedDict of contract/evidence/, which has a `sentence`. It is imported
when it is asked for, so an evaluation without evidence pays for none of it. The report shows it by the template
jobs/reports/templates/evidence/<name>.html.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from contract import clock, layout
from contract.documents.evaluation import Evaluation
from contract.evidence.evidence import Evidence
from contract.review.listed import ORIGIN, read_asked
from contract.stores.store import Storage
from jobs.evaluation_request import Request
from jobs.evidence.sections import SECTIONS
from metrics.window import WindowCounts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Material:
    """What sections are made from: the evaluation without its evidence, the counts that it rests on, and the root.

    `request` has the window, the moment and the engine; `items` are read, and made where there are none, on first use.
    """

    storage: Storage
    request: Request
    document: Evaluation
    counts: WindowCounts
    tables: dict[str, pa.Table] = field(default_factory=dict)  # name -> what a section writes beside the document

    @cached_property
    def items(self) -> dict[str, pa.Table]:
        """Day -> its items (contract.rows.items.make_schema), for the days of the window whose rows are still there."""
        from contract.rows.items import list_erased, read_items
        from jobs.labelled.make import list_window

        listed, erased = list_window(self.storage, self.request), list_erased(self.storage)
        return {day: read_items(self.storage, found, erased=erased) for day, found in sorted(listed.documents.items())}

    @cached_property
    def spoken(self) -> dict[str, pa.Table]:
        """Day -> its items without the votes that a list asked for (contract/review/listed.py): feedback is that of users."""
        return {day: leave_out_asked(items, read_asked(self.storage, day)) for day, items in self.items.items()}

    @cached_property
    def predictions(self) -> dict[str, list[str]]:
        """Day -> keys of its files of predictions, for the days of the window; of one whose rows expired there are none."""
        from contract.rows.listing import list_day

        return {day: [file.key for file in list_day(self.storage, day).predictions] for day in sorted(self.document["counts"])}


def leave_out_asked(items: pa.Table, asked: Collection[tuple[str, str, int]]) -> pa.Table:
    """Takes the votes of origin feedback out of items that are among (prediction id, labeler, us of the label)."""
    if not asked:
        return items
    import pyarrow as pa

    votes = [[vote for vote in of if vote["origin"] != ORIGIN
              or (name, vote["labeler"] or "", clock.to_us(vote["labeled_at"])) not in asked]
             for name, of in zip(items["prediction_id"].to_pylist(), items["votes"].to_pylist(), strict=True)]
    return items.set_column(items.schema.get_field_index("votes"), items.schema.field("votes"),
                            pa.array(votes, items.schema.field("votes").type))


def name_grounds(seen: Mapping[str, str]) -> dict[str, str]:
    """Selects from `seen`, key -> sha256, what an evaluation must name: cards, gold items, repeats, samples, runs.

    Counts are named elsewhere in it; items can be made again, and the hashes of raw files stand in the counts.
    """
    return {key: sha256 for key, sha256 in seen.items() if key.startswith(layout.GROUNDS)}


def collect(names: Sequence[str], material: Material) -> Evidence:
    """Makes the sections of these names, in the order of SECTIONS."""
    made: dict[str, Any] = {}
    for name in (name for name in SECTIONS if name in names):
        make: Callable[[Material], Any] = import_module(SECTIONS[name].module).make
        made[name] = make(material)
    return cast(Evidence, made)
