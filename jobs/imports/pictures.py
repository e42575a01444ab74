"""Which pictures of class folders are taken: each is looked at before one is stored, and what is not taken has its reason.

A picture that lies under two classes is taken for neither: which of the two is right cannot be told. Copies within a
class are one picture. Pictures are the same when their pixels are, whatever file they lie in.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from contract import clock, layout
from contract.errors import BadImage, EmptyData, Mismatch
from contract.stores.store import Storage
from inference.model import class_folders
from inference.model.class_folders import ClassFolders

READERS = 4  # threads that read and decode
ERASED = "it was erased on request (trueup forget)"


class Taken(NamedTuple):
    """A file that is taken: its class, the sha256 and ending of what is stored, the digest of its pixels, what it was."""

    file: Path
    label: str
    sha256: str
    extension: str
    pixels: str
    made_from: str | None
    decoded_by: str | None


@dataclass
class Import:
    """The files of class folders that are taken; `refused` lists every other one, {"file", "reason"}."""

    folders: ClassFolders
    taken: list[Taken] = field(default_factory=list)

    @property
    def refused(self) -> list[dict[str, str]]:
        """Files that are not taken, with their reasons, by path."""
        return sorted(self.folders.refused, key=lambda entry: entry["file"])

    @property
    def converted(self) -> dict[str, int]:
        """How many pictures of a format (bmp, tiff, …) are stored as PNG."""
        return dict(sorted(Counter(picture.made_from for picture in self.taken if picture.made_from).items()))

    @property
    def empty(self) -> list[str]:
        """Classes of which no picture is taken."""
        full = {picture.label for picture in self.taken}
        return [name for name in self.folders.classes if name not in full]

    def leave_out(self, reasons: Mapping[Path, str]) -> None:
        """Leaves these files out, and lists each with its reason."""
        for file, reason in reasons.items():
            self.folders.refuse(file, reason)
        self.taken = [picture for picture in self.taken if picture.file not in reasons]


def look_at(folder: Path) -> Import:
    """Looks at every file of class folders and stores nothing. EmptyData, BadLabel, UsageError as `find_class_folders`."""
    found = Import(class_folders.find_class_folders(folder))
    with ThreadPoolExecutor(READERS) as pool:
        for (file, _), picture in zip(found.folders.files, pool.map(_look, found.folders.files), strict=True):
            if isinstance(picture, str):
                found.folders.refuse(file, picture)
            else:
                found.taken.append(picture)
    _judge_repeated(found)
    return found


def _look(file_and_class: tuple[Path, str]) -> Taken | str:
    """What is taken of a file, or the reason why nothing is."""
    from inference.model import foreign_picture

    file, label = file_and_class
    try:
        picture = foreign_picture.read_file(file)
    except BadImage as error:
        return str(error)
    return Taken(file, label, hashlib.sha256(picture.data).hexdigest(), picture.extension, picture.pixels, picture.made_from,
                 picture.decoded_by)


def _judge_repeated(found: Import) -> None:
    same: dict[str, list[Taken]] = defaultdict(list)
    for picture in found.taken:
        same[picture.pixels].append(picture)
    gone: dict[Path, str] = {}
    for pictures in same.values():
        first = min(pictures, key=lambda p: (len(str(p.file)), p.file))  # "6.png" rather than "6 copy.png"
        for picture in pictures:
            if picture is not first:
                gone[picture.file] = f"a copy of {_name(found, first)}, which is taken"
        for picture in pictures:
            other = next((p for p in pictures if p.label != picture.label), None)
            if other is not None:
                gone[picture.file] = (f"the same picture lies in {_name(found, other)}, of another class: which of the two is "
                                      f"right cannot be told, so neither is taken")
    found.leave_out(gone)


def _name(found: Import, picture: Taken) -> str:
    return class_folders.show(picture.file.relative_to(found.folders.folder))


def leave_out_erased(found: Import, storage: Storage) -> None:
    """Leaves out the pictures that were erased on request."""
    found.leave_out({p.file: ERASED for p in found.taken if storage.exists(layout.erasure(p.sha256))})


def require_classes(found: Import, allow_empty: bool) -> None:
    """Raises EmptyData when no picture is taken at all, or none of a class, unless `allow_empty`: it would vanish silently."""
    if found.taken and (allow_empty or not found.empty):
        return
    reasons = {entry["file"].partition("/")[0]: entry["reason"].removesuffix(".") for entry in reversed(found.refused)}
    said = "; ".join(f"{name!r} ({reasons.get(class_folders.show(Path(found.folders.classes[name].name)), 'no file')})"
                     for name in found.empty[:5]) + (", …" if len(found.empty) > 5 else "")
    whole = class_folders.show(found.folders.folder)
    if not found.taken:
        raise EmptyData(f"{whole}: expected class folders with pictures in them, found no picture that can be taken: {said}.")
    raise EmptyData(f"{whole}: expected pictures of every class, found none of {len(found.empty)}: {said}. Add pictures, "
                    f"remove the folders, or leave these classes out: --allow-empty-classes. Nothing was imported.")


def store(found: Import, storage: Storage, labeler: str, at: int) -> Iterator[dict[str, Any]]:
    """Stores the pictures; yields the labelled row of each.

    `at`: when they were labelled, microseconds since 1970. Mismatch: a file is another one than was looked at.
    """
    from inference.model import foreign_picture

    for picture in found.taken:
        key = layout.image(picture.sha256, picture.extension)
        if not storage.exists(key):
            data = foreign_picture.read_file(picture.file).data
            if hashlib.sha256(data).hexdigest() != picture.sha256:
                raise Mismatch(f"{class_folders.show(picture.file)}: expected the picture that was looked at, got another. "
                               f"Start again once nobody changes the folder.")
            storage.put(key, data)
        yield make_row(picture, labeler, at)


def make_row(picture: Taken, labeler: str, at: int) -> dict[str, Any]:
    """The labelled row of a picture, as jobs.datasets.consensus.find_labelled gives it; `at` as in `store`."""
    return {"day": clock.day_of(clock.from_us(at)), "prediction_id": None, "image_sha256": picture.sha256,
            "image_uri": layout.image(picture.sha256, picture.extension), "decoded_by": picture.decoded_by,
            "label": picture.label, "origin": "import", "votes": 1, "agreeing": 1, "labelers": [labeler], "labeled_at": at,
            "selection_probability": None}
