"""Checks that the pictures of a folder can become a first dataset, before any of them is stored."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from contract.errors import EmptyData, RootError
from contract.rows.items import list_erased
from contract.settings import DatasetSettings
from contract.storage import open_root
from inference.model import class_folders, foreign_picture
from jobs.imports.pictures import READERS, Import, Taken


def require_dataset(found: Import, rows: Sequence[Mapping[str, Any]], root: str, model: str, settings: DatasetSettings) -> None:
    """Raises EmptyData when a class would have no training picture, or no picture would be held out.

    `rows` are the pictures' labelled rows (pictures.make_row). Where a version is live nothing is checked: a class that is too
    small waits then, and a small import is no error.
    """
    from jobs.datasets import plan
    from jobs.datasets.build import find_live_dataset

    try:
        storage = open_root(root)
        known, erased = find_live_dataset(storage, model)[1], list_erased(storage)
    except RootError:  # not there yet, so nothing is live
        known, erased = [], set()
    if known:
        return
    with ThreadPoolExecutor(READERS) as pool:
        looks = dict(pool.map(_look, found.taken))
    chosen, listed = plan.choose_candidates([dict(row) for row in rows], [], settings, erased)
    try:
        plan.finish(chosen, listed, looks, [], settings)
    except EmptyData as error:
        what = str(error).rpartition(". ")[0]  # what follows is advice for labelled predictions
        raise EmptyData(f"{class_folders.show(found.folders.folder)}: {what}. Of {len(rows)} pictures, each goes to training, "
                        f"validation or the held-out ones by its content, and training pictures that look nearly like a "
                        f"held-out one are left out. Add more, and more different, pictures. Nothing was imported.") from None


def _look(picture: Taken) -> tuple[str, Any]:
    """Returns (sha256, Look), which is what the plan of a dataset needs of a picture."""
    from inference.model import preprocess
    from inference.model.perceptual_hash import phash
    from jobs.datasets.images import Look

    data = foreign_picture.read_file(picture.file).data
    image = preprocess.decode_visible(data)
    return picture.sha256, Look(image.width, image.height, len(data), phash(image))
