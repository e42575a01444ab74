"""The pictures of imported predictions: found below the places that were named, and stored as the service stores its own.

    trueup import predictions FILE --images FOLDER      (again for more places; s3://bucket/prefix, too)

A row names its picture by `image_uri`, `source_uri` or its id: an address below a place, a path below it, or the name of a
file that is there once, with or without its ending. Nothing outside the places is read. All pictures are looked at before
one is stored; they are stored before the rows that name them.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from command.progress import progress
from contract import layout
from contract.errors import BadImage, Mismatch, NotFound, RootError, UsageError, shorten
from contract.sections.pictures import list_own_endings
from contract.storage import open_storage
from contract.stores.store import Storage, create_if_absent, may_be_key
from contract.texts.figures import write_count
from jobs.imports.foreign.pictures import list_forms
from jobs.imports.found import Found
from jobs.imports.rows import Row

READERS = 4  # threads that read and decode
NAMES = ("image_uri", "source_uri", "prediction_id")  # what names a row's picture, the surest first


class NoPicture(ValueError):
    """A row whose picture is not there."""


class Place:
    """A folder or s3:// prefix that pictures may be read from."""

    def __init__(self, address: str) -> None:
        """UsageError: there is no such folder."""
        local = None if "://" in address else address  # a plain path is taken as it is: it may hold a %
        if address.startswith("file://"):
            local = unquote(address.removeprefix("file://"))
        if local is not None and not Path(local).is_dir():
            raise UsageError(f"--images {address}: expected a folder with pictures, or s3://bucket/prefix; there is none.")
        self.folder = None if local is None else os.path.realpath(local)
        self.storage = open_storage(self.folder or address)
        self.root = self.storage.root.rstrip("/") + "/"
        self.passed_over: set[str] = set()

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Key -> bytes of every file that ends like a picture; the endings of the others are kept in `passed_over`."""
        from inference.model import foreign_picture

        endings = (*layout.PICTURES, *foreign_picture.ENDINGS, *list_own_endings())
        found = {}
        for entry in self.storage.list():
            if entry.key.lower().endswith(endings):
                found[entry.key] = entry.size
            else:
                self.passed_over.add(PurePosixPath(entry.key).suffix.lower())
        return found

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """The name of a file, also without its ending -> the keys of the files that are called so."""
        found: dict[str, list[str]] = defaultdict(list)
        for key in self.sizes:
            name = PurePosixPath(key)
            for one in {name.name, name.stem}:
                found[one].append(key)
        return found

    def find(self, name: str) -> str | None:
        """Finds the key of the picture that a name means; None when it is not here. ValueError: it could be several."""
        for form in (self._strip_root(name), *list_forms(name)):
            if form in self.sizes:
                return form
        named = self._by_name.get(PurePosixPath(list_forms(name)[-1]).name, []) if name else []
        if len(named) > 1:
            raise ValueError(f"the picture {shorten(name)} could be each of {', '.join(sorted(named)[:3])} in "
                             f"{self.storage.root}. Name it by its path in image_uri or source_uri")
        return named[0] if named else None

    def _strip_root(self, name: str) -> str:
        address = Path(name).as_uri() if name.startswith("/") else name
        key = address.removeprefix(self.root) if address.startswith(self.root) else name
        return unquote(key) if address.startswith("file://") else key

    def read(self, key: str) -> bytes:
        """Reads a picture. BadImage: it is too large, leads out of the folder, or cannot be read."""
        from inference.model import foreign_picture

        if self.sizes[key] > foreign_picture.MOST_BYTES:
            raise BadImage(f"expected at most {foreign_picture.MOST_BYTES >> 20} MiB, got more. Save it smaller.")
        if self.folder and not os.path.realpath(Path(self.folder, key)).startswith(self.folder + os.sep):
            raise BadImage(f"{key} is a link that leads out of {self.folder}.")
        try:
            return self.storage.read(key) if may_be_key(key) else b""
        except (NotFound, RootError, OSError) as error:
            raise BadImage(f"{key} cannot be read: {error}") from None


class Looked(NamedTuple):
    """A picture that was looked at: where it is, and what it is stored as. `bytes` and `raw` (a sha256) are the file's;
    `decoded_by`: the user's decoder that made pixels of it."""

    place: Place
    key: str
    sha256: str
    extension: str
    width: int
    height: int
    bytes: int
    raw: str
    decoded_by: str | None


@dataclass
class RowPictures:
    """The pictures of one import; `counted` says what became of them."""

    places: Sequence[str]
    allow_missing: bool = False
    looked: dict[tuple[str, str], Looked | str] = field(default_factory=dict)  # of a file: how it is taken, or why it is not
    counted: dict[str, int] = field(default_factory=dict)

    @cached_property
    def _open(self) -> list[Place]:
        return [Place(address) for address in self.places]

    def attach(self, storage: Storage, found: Found) -> None:
        """Gives each good row its picture; rows whose picture cannot be taken become bad ones."""
        if not self.places:
            return
        self.counted = {"found": 0, "missing": 0, "erased": 0}
        where = [self._find_or_explain(row) for _, row in found.good]
        self._look_at({at for at in where if isinstance(at, tuple)})
        good = []
        for (place, row), at in zip(found.good, where, strict=True):
            try:
                self._attach(storage, row, at)
                good.append((place, row))
            except ValueError as error:
                found.bad.append(f"{place}: {error}")
        found.good = good
        if self.counted["missing"]:
            found.notes.append(f"{write_count(self.counted['missing'], 'prediction')} without a picture: nobody can be asked "
                               f"about it")
        if self.counted["erased"]:
            found.notes.append(f"{write_count(self.counted['erased'], 'picture')} not stored: erased on request (trueup forget)")

    def _find_or_explain(self, row: Row) -> tuple[Place, str] | ValueError:
        """Finds where the picture of a row lies, or says why it cannot be told."""
        names = [str(row[name]) for name in NAMES if row.get(name)]
        try:
            for name in names:
                for place in self._open:
                    if key := place.find(name):
                        return place, key
        except ValueError as error:
            return error
        places = ", ".join(place.storage.root for place in self._open)
        passed_over = set().union(*(place.passed_over for place in self._open))
        ending = next((end for end in map(_find_ending, names) if end in passed_over), None)
        passed = f" Files that end in {ending} were not looked at: pictures.endings (docs/decoders.md)." if ending else ""
        return NoPicture(f"no picture of {' or '.join(map(shorten, names))} in {places}.{passed} Name it in image_uri or "
                         f"source_uri, or take such rows without a picture: --allow-missing-images")

    def _look_at(self, files: Iterable[tuple[Place, str]]) -> None:
        """Looks at files that were not looked at before, several at once."""
        new = [(place, key) for place, key in files if (place.root, key) not in self.looked]
        with ThreadPoolExecutor(READERS) as pool, progress("pictures", len(new), "pictures") as shown:
            for (place, key), looked in zip(new, pool.map(lambda at: look(*at), new), strict=True):
                self.looked[place.root, key] = looked
                shown.advance()

    def _attach(self, storage: Storage, row: Row, at: tuple[Place, str] | ValueError) -> None:
        if isinstance(at, NoPicture) and self.allow_missing:
            self.counted["missing"] += 1
            return
        if isinstance(at, ValueError):
            raise at
        looked = self.looked[at[0].root, at[1]]
        if isinstance(looked, str):
            raise ValueError(f"the picture {at[1]}: {looked}")
        said = row.get("image_sha256")
        if said and said not in (looked.sha256, looked.raw):
            raise ValueError(f"column 'image_sha256': expected the hash of {looked.key}, {looked.raw}, got {shorten(said)}. It "
                             f"is another picture")
        erased = storage.exists(layout.erasure(looked.sha256))
        self.counted["erased" if erased else "found"] += 1
        uri = None if erased else layout.image(looked.sha256, looked.extension)
        row |= {"source_uri": row.get("source_uri") or looked.place.storage.uri(looked.key), "image_sha256": looked.sha256,
                "image_uri": uri, "width": row.get("width") or looked.width, "height": row.get("height") or looked.height,
                "bytes": row.get("bytes") or looked.bytes, "decoded_by": looked.decoded_by or row.get("decoded_by")}

    def store(self, storage: Storage, rows: Iterable[Row]) -> None:
        """Stores the pictures that rows name. Mismatch: a file is another one than was looked at."""
        if not self.places:
            return
        named = {row["image_uri"] for row in rows}
        wanted = {layout.image(p.sha256, p.extension): p for p in self.looked.values() if isinstance(p, Looked)}
        left = [(uri, wanted[uri]) for uri in sorted(named & set(wanted))]
        with ThreadPoolExecutor(READERS) as pool:
            self.counted["stored"] = sum(pool.map(lambda one: _store(storage, *one), left))

    def describe(self) -> dict[str, Any]:
        """What a document says of the pictures: nothing where none were asked for."""
        return {"pictures": dict(self.counted)} if self.places else {}


def _find_ending(name: str) -> str:
    return PurePosixPath(list_forms(name)[-1]).suffix.lower()


def _store(storage: Storage, uri: str, picture: Looked) -> bool:
    """Stores a picture, and says whether it was new."""
    from inference.model import foreign_picture

    if storage.exists(uri):
        return False
    data = foreign_picture.take(picture.place.read(picture.key)).data
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        raise Mismatch(f"{picture.key}: expected the picture that was looked at, got another. Start again once nobody changes "
                       f"{picture.place.storage.root}.")
    return create_if_absent(storage, uri, data)


def look(place: Place, key: str) -> Looked | str:
    """Looks at one file: how it is taken, or the reason why it is not."""
    from inference.model import foreign_picture
    from inference.model.preprocess import MAX_PIXELS, inspect

    try:
        data = place.read(key)
        picture = foreign_picture.take(data)
        info = inspect(picture.data, MAX_PIXELS)
    except BadImage as error:
        return str(error)
    return Looked(place, key, hashlib.sha256(picture.data).hexdigest(), picture.extension, info.width, info.height, len(data),
                  hashlib.sha256(data).hexdigest(), picture.decoded_by)
