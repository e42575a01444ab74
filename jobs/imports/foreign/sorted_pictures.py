"""Labels from pictures that people sorted: FOLDER/<class>/**/<picture>, the folders of `trueup import images`.

A picture's predictions are found by its content, where their pictures are in the root, else by the name of its file
(jobs/imports/foreign/pictures.py). It counts as labelled when it was put into its folder (the ctime of its file).
"""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from contract import clock, layout
from contract.errors import BadLabel
from contract.records import LABEL
from contract.stores.store import Storage
from contract.texts.figures import write_count
from inference.model import class_folders
from jobs.imports import rows
from jobs.imports.foreign.pictures import NoPrediction, Pictures
from jobs.imports.found import Asked, Found, Missing
from jobs.imports.pictures import Taken, look_at

LABELER, SHOWN = "import", 3


def is_sorted(path: Path) -> bool:
    """Says whether a path is a folder with pictures in folders."""
    pictures = (file for ending in layout.PICTURES for file in path.glob(f"*/**/*{ending}"))
    return path.is_dir() and any(islice(pictures, 1))


def read(storage: Storage, path: Path, asked: Asked) -> Found:
    """Reads the labels of sorted pictures. EmptyData, BadLabel, UsageError as `find_class_folders`."""
    found, looked = Found(), look_at(path)
    if looked.refused:
        some = "; ".join(f"{one['file']}: {one['reason']}" for one in looked.refused[:SHOWN])
        found.notes.append(f"{write_count(len(looked.refused), 'file')} not taken (e.g. {some})")
    named = {picture: (f"/{picture.sha256}.{picture.extension}", class_folders.show(picture.file)) for picture in looked.taken}
    pictures = Pictures(storage, (uri for uris in named.values() for uri in uris), asked)
    for picture, uris in named.items():
        where = class_folders.show(picture.file)
        try:
            found.good += [(where, _make_row(picture, i, asked)) for i in _find(pictures, uris)]
        except NoPrediction:
            said = f"no prediction of this picture in the root: neither of its content nor with an id like {picture.file.name!r}"
            found.missing.append(Missing(where, picture.file.name, said, column="picture"))
        except (ValueError, BadLabel) as error:
            found.bad.append(f"{where}: {error}")
    return found


def _find(pictures: Pictures, uris: tuple[str, str]) -> list[str]:
    """The ids of a picture's predictions: by its content, else by its name. NoPrediction, ValueError."""
    try:
        return pictures.find(uris[0])
    except NoPrediction:
        return pictures.find(uris[1])


def _make_row(picture: Taken, prediction_id: str, asked: Asked) -> rows.Row:
    at = datetime.fromtimestamp(picture.file.stat().st_ctime, UTC)
    return rows.make_row(LABEL, {"prediction_id": prediction_id, "label": picture.label, "labeler": asked.labeler or LABELER,
                               "labeled_at": clock.iso(at), "model": asked.model})
