"""Thumbnails of the mistakes that happen most, from the stored pictures of the newest days.

Each names its picture's hash, so that erasing the picture finds the reports that show it; erased ones are left out.
"""

import base64
import logging
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any

from contract import ids, layout
from contract.documents.evaluation import Evaluation
from contract.errors import BadImage, DamagedDocument, Mismatch, NotFound, RootError, pass_over, shorten
from contract.rows.items import load_items, read_items
from contract.settings import ReportSettings
from contract.stores.store import Storage, may_be_key
from jobs.datasets.consensus import IMAGE_COLUMNS, find_labelled_here
from jobs.engines import day_files
from jobs.engines.question import DayFiles, Question, restore_question
from jobs.labelers.use import apply_fit

SIDE, QUALITY = 72, 80
ITEM_COLUMNS = ("prediction_id", "model_version", "predicted", "label", "image_sha256", "image_uri")
log = logging.getLogger(__name__)


def find_examples(storage: Storage, evaluation: Evaluation, version: str, wanted: ReportSettings) -> list[dict[str, Any]]:
    """[{"label", "predicted", "count", "images": [{"sha256", "data", "day", "prediction_id"}]}] of the most frequent mistakes."""
    cells = evaluation["versions"][version]["most_confused"][:wanted.cells] if wanted.examples else []
    found: dict[tuple[str, str], dict[str, dict[str, str]]] = {(c["label"], c["predicted"]): {} for c in cells}
    try:
        _fill(storage, found, _rows(storage, evaluation, version, wanted) if cells else (), wanted.examples)
    except RootError as error:  # the role may not read pictures: leave all of them out instead of trying each
        log.warning("pictures are left out: %s", error)
    return [{**cell, "images": list(found[cell["label"], cell["predicted"]].values())} for cell in cells]


def show_unusual(storage: Storage, evaluation: Evaluation, wanted: ReportSettings) -> dict[str, str]:
    """Hash -> thumbnail of the most unusual pictures of the newest day that has some (section `pictures`)."""
    section = (evaluation.get("evidence") or {}).get("pictures")
    if not section or not wanted.examples or not section["unusual"]:
        return {}
    newest = max(one["day"] for one in section["unusual"])
    shown: dict[str, str] = {}
    try:
        for one in section["unusual"]:
            if one["day"] == newest and one["image_uri"] and (data := make_thumbnail(storage, one)):
                shown[one["image_sha256"]] = data
    except RootError as error:
        log.warning("pictures are left out: %s", error)
    return shown


def _fill(storage: Storage, found: dict[tuple[str, str], dict[str, dict[str, str]]], rows: Iterable[dict[str, Any]],
          most: int) -> None:
    """Puts up to `most` pictures into each cell of `found` (label, predicted), by their hash."""
    for row in rows:
        images = found.get((row["label"], row["predicted"]))
        if images is not None and len(images) < most and row["image_sha256"] not in images:
            data = make_thumbnail(storage, row)
            images |= {row["image_sha256"]: {"sha256": row["image_sha256"], "data": data, "day": row["day"],
                                             "prediction_id": row["prediction_id"]}} if data else {}
        if all(len(images) >= most for images in found.values()):
            break


def _rows(storage: Storage, evaluation: Evaluation, version: str, wanted: ReportSettings) -> Iterator[dict[str, Any]]:
    """Labelled predictions of the version with a stored picture, newest day first."""
    consensus = evaluation["consensus"]
    question = restore_question(evaluation)
    if consensus and consensus["rule"] == "scores":
        try:
            question = apply_fit(storage, question)
        except (NotFound, Mismatch) as error:  # without the fit the label of a picture is not known
            log.warning("pictures are left out: %s", error)
            return
    left_out = {file["file"] for file in evaluation["partial"]}
    for name in sorted(evaluation["counts"], reverse=True)[:wanted.days]:
        if (items := _read_items(storage, evaluation, name, version)) is not None:
            yield from items
            continue
        listed = day_files.leave_out(day_files.list_day(storage, name), left_out)
        (day,), bad = day_files.read_footers(storage, [listed], IMAGE_COLUMNS, quarantine=True)
        for reason in bad.values():
            log.warning("passed over: %s", reason)
        found = [row for row in _read_day(storage, day, question) if row["model_version"] == version]
        yield from sorted((r for r in found if r["image_sha256"] and r["image_uri"]), key=lambda r: r["prediction_id"])


def _read_items(storage: Storage, evaluation: Evaluation, day: str, version: str) -> list[dict[str, Any]] | None:
    """The rows of `_rows` from the items of exactly the day's counts (`trueup items`); None where there are none to read."""
    try:
        document = load_items(storage, evaluation["model"], day, evaluation["counts"][day])
        table = read_items(storage, document, ITEM_COLUMNS)
    except NotFound:
        return None
    except (DamagedDocument, Mismatch) as error:
        pass_over(error)
        return None
    return [row | {"day": day} for row in table.to_pylist()
            if row["model_version"] == version and row["image_sha256"] and row["image_uri"]]


def _read_day(storage: Storage, day: DayFiles, question: Question) -> list[dict[str, Any]]:
    """The labelled predictions of a day, without files whose data cannot be read through, which are named."""
    try:
        return list(find_labelled_here(storage, day, question))
    except Exception:  # whatever Arrow makes of such a file
        bad = day_files.find_unreadable(storage, [day])
        if not bad:
            raise
        for reason in bad.values():
            log.warning("passed over: %s", reason)
        return list(find_labelled_here(storage, day_files.leave_out(day, bad), question))


def make_thumbnail(storage: Storage, row: Mapping[str, Any]) -> str | None:
    """A small JPEG as a data URI; None for a picture that was erased or is gone, and for one that cannot be read, which is
    named."""
    from inference.model import preprocess

    try:
        if not ids.is_sha256(row["image_sha256"]) or not may_be_key(row["image_uri"]):
            raise BadImage(f"expected a sha256 and a place under the root, got {shorten(row['image_sha256'])} and "
                           f"{shorten(row['image_uri'])}.")
        if storage.exists(layout.erasure(row["image_sha256"])):
            return None
        data = storage.read(row["image_uri"])
        preprocess.inspect(data)
        small = preprocess.decode_visible(data)
    except NotFound:
        return None
    except RootError:
        raise
    except (BadImage, OSError) as error:
        log.warning("left out: the picture of prediction %s: %s", shorten(row["prediction_id"]), error)
        return None
    small.thumbnail((SIDE, SIDE))
    sink = BytesIO()
    small.save(sink, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(sink.getvalue()).decode()}"
