"""A replay as one page: agreement, flips, classes, labels, and the strongest disagreements with their pictures.

The page names the hash of each picture that it shows, so that `trueup forget` finds it; it is rendered again on demand.
"""

import logging
from functools import partial

from contract import layout
from contract.errors import RootError
from contract.rows.replay import Disagreement, Replay
from contract.stores.store import Storage
from contract.texts.pictures_link import link_to_pictures
from jobs.reports.examples import make_thumbnail
from jobs.reports.page import render_template

MOST_FLIPS, MOST_CLASSES = 50, 1000
log = logging.getLogger(__name__)


def write_replay_page(storage: Storage, model: str, replay_id: str) -> str:
    """Renders `report.html` of one replay (again, when there is one) and returns its key. NotFound, DamagedDocument."""
    key = layout.replay_page(model, replay_id)
    html, shown = _render(storage, model, replay_id)
    storage.put(key, html.encode())
    if any(storage.exists(layout.erasure(sha256)) for sha256 in shown):  # erased while this was rendered
        storage.put(key, _render(storage, model, replay_id)[0].encode())
    return key


def give_replay_page(storage: Storage, model: str, replay_id: str) -> str:
    """Renders a page that is missing, and stores it where the caller's role may. Raises as `write_replay_page`."""
    try:
        return storage.read(write_replay_page(storage, model, replay_id)).decode()
    except RootError as error:
        log.warning("the page of replay %s is given, not stored: %s", replay_id, error)
        return _render(storage, model, replay_id)[0]


def renew_replay_page(storage: Storage, model: str, replay_id: str) -> None:
    """Writes the page of a replay that was made just now. A failure is logged and never raised: the document is complete
    without a page."""
    try:
        write_replay_page(storage, model, replay_id)
    except Exception as error:  # whatever a template or a picture makes of it
        log.warning("the page of replay %s was not written: %s: %s.", replay_id, type(error).__name__, error)


def _render(storage: Storage, model: str, replay_id: str) -> tuple[str, set[str]]:
    """Returns the page, and the hashes of the pictures that it shows."""
    document = Replay.load(storage, layout.replay_document(model, replay_id))
    pictures = _make_thumbnails(storage, document.strongest)
    values = {"r": document.to_dict(), "id": replay_id, "pictures": pictures, "most_flips": MOST_FLIPS, "most": MOST_CLASSES,
              "link": partial(_link, model)}
    return render_template("replay.html", values), {str(row["image_sha256"]) for row in document.strongest
                                             if row["prediction_id"] in pictures}


def _make_thumbnails(storage: Storage, rows: list[Disagreement]) -> dict[str, str]:
    """Prediction id -> a small picture as a data URI, for those that are there."""
    try:
        made = {row["prediction_id"]: make_thumbnail(storage, row) for row in rows if row["image_sha256"] and row["image_uri"]}
    except RootError as error:  # the role may not read pictures: leave all of them out instead of trying each
        log.warning("pictures are left out: %s", error)
        return {}
    return {name: data for name, data in made.items() if data}


def _link(model: str, row: Disagreement) -> str:
    filters = {"version": row["live_version"], "from": row["day"], "to": row["day"], "prediction_id": row["prediction_id"]}
    return link_to_pictures(model, filters)
