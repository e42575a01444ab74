"""Erases a picture: `trueup forget PREDICTION_ID`, or `trueup forget --image HASH` (also `python -m jobs.forget …`).

Pictures are removed, rows stay (docs/design.md#the-bucket). The erasure document is written first, so that nothing restores
the picture: running services drop it from their outboxes within a second or so, others when they start. Then the image is
erased in all its versions, with the pictures of dataset attempts that hold it, reports that show it, and its measures. Killed
anywhere and run again, it finishes. Versions that learnt from the picture are listed; their weights stay.
"""

import getpass
import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.process import end_with
from contract import clock, ids, layout
from contract.dataset_record import SPLITS
from contract.documents import erasures
from contract.errors import DamagedDocument, NotFound, RootError, UsageError
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from jobs.erasing import find
from jobs.erasing.find import Attempt, Rows
from jobs.erasing.measures import erase_measures

# They name pictures by hash and show none: the lineage, the leakage check and replay need them.
KEPT_OF_AN_ATTEMPT = (layout.dataset_index(""), layout.dataset_left_out(""))
EXTENSIONS = ("jpg", "png", "webp")  # of stored images (inference/model/strip_metadata.py)


@stage_command("forget")
@click.argument("prediction_id", required=False)
@click.option("--image", metavar="HASH", help="The picture's image_sha256, instead of a prediction.")
@click.option("--by", default=getpass.getuser, help="Who decides. [default: your login name]")
@click.option("--reason", default="", help="Kept in the erasure document.")
def command(settings: Settings, prediction_id: str | None, image: str | None, by: str, reason: str) -> Outcome:
    """Erase the picture of a prediction, or the one with this hash, everywhere under the root and in outboxes."""
    if (prediction_id is None) == (image is None):
        raise UsageError("expected a prediction id, or --image HASH, and not both.")
    if image is not None and not ids.is_sha256(image):
        raise UsageError(f"--image {image!r}: expected the sha256 of a stored image, 64 hex digits in lower case.")
    storage = open_root(settings.need_root())
    hashes = {image} if image else find.find_images(storage, prediction_id or "")
    done = [forget(storage, sha256, asked=image or prediction_id or "", by=by, reason=reason)
            for sha256 in sorted(hashes)]
    return Outcome(document={"images": done}, text="\n".join(map(write_text, done)))


def forget(storage: Storage, sha256: str, asked: str, by: str, reason: str = "") -> dict[str, Any]:
    """Erases one image; says what was there and which versions learnt from it. Harmless when repeated."""
    new = erasures.ask(storage, erasures.Erasure(image_sha256=sha256, at=clock.iso(clock.now()), by=by, asked=asked,
                                                 reason=reason))
    rows = find.find_rows(storage, sha256)
    held = find.find_attempts(storage, sha256, rows.unread)
    return {"image_sha256": sha256, "erasure": layout.erasure(sha256), "new": new,
            "predictions": len(rows.prediction_ids), "images": _erase_images(storage, sha256, rows),
            "datasets": _erase_datasets(storage, sha256, held), "reports": _erase_reports(storage, sha256, rows),
            "measures": erase_measures(storage, sha256, rows.unread),
            "versions": [asdict(v) for v in find.find_versions(storage, held, rows.unread)],
            "unread": rows.unread}


def _erase_images(storage: Storage, sha256: str, rows: Rows) -> list[str]:
    there = [entry.key for entry in storage.list(layout.image(sha256, ""))]
    # An object that a row names is erased only when it is that picture: a row could name any object.
    there += sorted(uri for uri in rows.uris if uri not in there and _is_at(storage, sha256, uri))
    # Also where nothing is listed: older versions and unfinished uploads are not.
    for key in {*there, *(layout.image(sha256, extension) for extension in EXTENSIONS)}:
        storage.erase(key)
    return there


def _is_at(storage: Storage, sha256: str, key: str) -> bool:
    try:
        return hashlib.sha256(storage.read(key)).hexdigest() == sha256
    except (NotFound, RootError):
        return False


def _erase_datasets(storage: Storage, sha256: str, held: Sequence[Attempt]) -> list[str]:
    for attempt in held:
        if attempt.split is not None:
            _mark(storage, sha256, attempt)
        for entry in list(storage.list(attempt.folder)):
            if entry.key.removeprefix(attempt.folder) not in KEPT_OF_AN_ATTEMPT:
                storage.erase(entry.key)
        for split in SPLITS:
            storage.erase(layout.dataset_split(attempt.folder, split))
    return [attempt.folder for attempt in held]


def _mark(storage: Storage, sha256: str, attempt: Attempt) -> None:
    """The manifest says so before its files go, so that a reader is told instead of finding nothing."""
    try:
        made = find.read_manifest(storage, attempt.dataset)
    except DamagedDocument:  # named where the attempts were looked for; a reader gets no further than it
        return
    if made and attempt.folder.endswith(f"/{made.attempt}/") and sha256 not in made.erased:
        marked = made.model_copy(update={"erased": sorted([*made.erased, sha256])})
        storage.put(layout.manifest(attempt.dataset), marked.to_bytes())


def _erase_reports(storage: Storage, sha256: str, rows: Rows) -> list[str]:
    """Pages that show a picture name its hash or its prediction. `trueup report` renders them again, without it."""
    names = [text.encode() for text in (sha256, *rows.prediction_ids)]
    pages = [e.key for folder in (layout.all_evaluations(), layout.all_replays()) for e in storage.list(folder)
             if e.key.endswith(".html")]
    shown = [key for key in pages if any(name in data for data in [storage.read(key)] for name in names)]
    for key in shown:
        storage.erase(key)
    return shown


def write_text(done: dict[str, Any]) -> str:
    """What was erased, for people."""
    lines = [f"Erased image {done['image_sha256']}; {done['predictions']} prediction rows name it and stay.",
             *(f"  removed  {key}" for key in [*done["images"], *done["datasets"], *done["reports"], *done["measures"]])]
    if not done["images"]:
        lines.append("  No such image was in the bucket (any more); outboxes will drop it.")
    lines += [f"  {v['model']} version {v['version']} learnt from it: {v['because']}" for v in done["versions"]]
    if done["versions"]:
        lines.append("  Their weights stay. Train again without it and publish, or roll back.")
    return "\n".join(lines + [f"  could not be read: {line}" for line in done["unread"]])


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup forget`."""
    return run(command, argv, prog_name="trueup forget")


if __name__ == "__main__":
    end_with(main)
