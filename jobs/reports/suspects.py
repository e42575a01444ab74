"""Labels that are likely wrong, as the report shows them: the newest list of the model, its strongest with their pictures."""

import logging
from collections.abc import Collection
from typing import NamedTuple

from contract.errors import DamagedDocument, RootError, pass_over
from contract.review.strongest import Strongest, choose_strongest
from contract.review.suspects import Suspect, is_any, read_newest, read_said
from contract.rows.items import list_erased
from contract.settings import ReportSettings
from contract.stores.store import Storage
from jobs.reports.examples import make_thumbnail

MOST = 12  # rows of each split
log = logging.getLogger(__name__)


class Suspected(NamedTuple):
    """The strongest suspects (None: there is a list, and the asker may not read it), and hash -> thumbnail of those whose picture
    can be shown."""

    found: Strongest | None
    thumbnails: dict[str, str]


def find_suspected(storage: Storage, model: str, trusted: Collection[str], wanted: ReportSettings) -> Suspected | None:
    """Finds what the newest list of a model says; None where nobody looked or it is not known, and for a damaged list, which is
    named.

    `trusted`: origins whose newer labels are people's word on a suspect, beside the answers that it asked for. Of each split as
    many get pictures as mistakes do, `report.cells` times `report.examples`.
    """
    there = False
    try:
        there = is_any(storage, model)  # a stage's role may list, and not read
        document = read_newest(storage, model) if there else None
        if document is None:
            return None
        said = read_said(storage, document.suspects, trusted)
        found = choose_strongest(document, said, MOST, list_erased(storage))
    except DamagedDocument as error:
        pass_over(error)
        return None
    except RootError as error:  # the role of a gate on a cluster reads fewer places (docs/deploy.md)
        log.warning("labels that are likely wrong are left out: %s", error)
        return Suspected(None, {}) if there else None
    return Suspected(found, _show(storage, found, wanted.cells * wanted.examples))


def _show(storage: Storage, found: Strongest, most: int) -> dict[str, str]:
    shown: dict[str, str] = {}
    try:
        for rows in found.by_split.values():
            shown |= {one.image_sha256: data for one, _ in rows[:most] if (data := _make_thumbnail(storage, one))}
    except RootError as error:  # the asker may not read pictures: then none of them
        log.warning("pictures are left out: %s", error)
    return shown


def _make_thumbnail(storage: Storage, one: Suspect) -> str | None:
    return make_thumbnail(storage, {"image_sha256": one.image_sha256, "image_uri": one.image_uri,
                                    "prediction_id": one.prediction_id or one.image_sha256})
