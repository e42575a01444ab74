"""A bundle: one zip with everything that a check reads, so that somebody without this bucket can do the same.

It holds the objects under their keys, a marker that makes it a root, and `bundle.json`: what it is of, and the size and the
sha256 of each object when it was packed. Unpacked are only the objects that stand there, as plain files under a new folder.
"""

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contract import clock, jsonio, layout
from contract.documents.document import Document, Moment
from contract.documents.verification import DIFFERS, EQUAL, MISSING, Finding, say
from contract.errors import AlreadyExists, DamagedDocument, NotFound, TrueupError, UsageError
from contract.storage import SCHEMA
from contract.stores.hashing import read_pieces
from contract.stores.store import Storage, may_be_key

CONTENTS = "bundle.json"
FIRST = (1980, 1, 1, 0, 0, 0)  # the time of every member: the same content gives the same bytes
PIECE = 8 << 20
LARGEST_CONTENTS = 256 << 20  # bytes of `bundle.json`


class Packed(BaseModel):
    """An object of a bundle."""

    model_config = ConfigDict(frozen=True)

    size: int = Field(ge=0)
    sha256: str


class Bundle(Document):
    """`bundle.json`."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    evaluation: str | None = None
    version: str | None = None
    root: str
    made_at: Moment
    files: dict[str, Packed]


def write_bundle(path: Path, storage: Storage, keys: Iterable[str], *, model: str, evaluation: str | None,
                 version: str | None) -> Bundle:
    """Packs objects into a new file. AlreadyExists when there is one of that name; an object that is gone is left out."""
    files: dict[str, Packed] = {}
    try:
        with path.open("xb") as target, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as made:
            for key in sorted(set(keys)):
                try:
                    files[key] = _pack(made, storage, key)
                except NotFound:
                    continue
            bundle = Bundle(model=model, evaluation=evaluation, version=version, root=storage.root,
                            made_at=clock.iso(clock.now()), files=files)
            made.writestr(zipfile.ZipInfo(CONTENTS, FIRST), bundle.to_bytes())
    except FileExistsError:
        raise AlreadyExists(f"{path}: expected a new file for the bundle, found one. Name another, or remove it.") from None
    except OSError as error:
        raise UsageError(f"{path}: expected a file that can be written, got: {error}. Name another.") from None
    return bundle


def _pack(made: zipfile.ZipFile, storage: Storage, key: str) -> Packed:
    pieces = read_pieces(storage, key)
    first = next(pieces, b"")  # NotFound comes before anything is written
    size, found = 0, hashlib.sha256()
    with made.open(zipfile.ZipInfo(key, FIRST), "w", force_zip64=True) as member:
        piece: bytes | None = first
        while piece:
            member.write(piece)
            found.update(piece)
            size += len(piece)
            piece = next(pieces, None)
    return Packed(size=size, sha256=found.hexdigest())


def unpack_bundle(path: Path, folder: Path) -> tuple[Bundle, list[Finding]]:
    """Unpacks a bundle into an empty folder, which becomes a root; says of each object whether it is as it was packed.

    DamagedDocument: no whole zip, no `bundle.json`, or a name in it that no object under a root can have.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            bundle = _read_contents(path, packed)
            findings = [finding for key, expected in bundle.files.items()
                        if (finding := _unpack(packed, key, expected, folder))["state"] != EQUAL]
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, TrueupError):
            raise
        raise DamagedDocument(f"{path}: expected a bundle, a whole zip file, got: {error}. Ask for it again.") from None
    (folder / layout.MARKER).write_bytes(jsonio.dumps({"schema": SCHEMA}))
    many = len(bundle.files)
    said = f"{many - len(findings):,} of {many:,} objects are as they were packed"
    return bundle, [*findings, say(CONTENTS, DIFFERS if findings else EQUAL, said)]


def _read_contents(path: Path, packed: zipfile.ZipFile) -> Bundle:
    names = packed.namelist()
    if names.count(CONTENTS) != 1 or packed.getinfo(CONTENTS).file_size > LARGEST_CONTENTS:
        raise DamagedDocument(f"{path}: expected a bundle of `trueup verify --bundle`, found a zip without its {CONTENTS}.")
    bundle = Bundle.parse(jsonio.parse(packed.read(CONTENTS), f"{path}: {CONTENTS}"), f"{path}: {CONTENTS}")
    for key in bundle.files:
        if not may_be_key(key) or "\\" in key or not key.startswith(layout.FOLDERS):
            raise DamagedDocument(f"{path}: expected keys of a root, got {key!r}. Nothing was unpacked.")
        if names.count(key) > 1:
            raise DamagedDocument(f"{path}: expected {key} once, got it {names.count(key)} times. Nothing was unpacked.")
    return bundle


def _unpack(packed: zipfile.ZipFile, key: str, expected: Packed, folder: Path) -> Finding:
    """One object as a plain file; what is longer than it was when it was packed is cut off, and said."""
    target, size, found = folder / key, 0, hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with packed.open(key) as member, target.open("xb") as file:
            while size <= expected.size and (piece := member.read(min(PIECE, expected.size - size + 1))):
                file.write(piece)
                found.update(piece)
                size += len(piece)
    except KeyError:
        target.unlink(missing_ok=True)
        return say(key, MISSING, "named by the bundle, and not in it")
    except zipfile.BadZipFile:
        return say(key, DIFFERS, "damaged in the bundle")
    if size != expected.size or found.hexdigest() != expected.sha256:
        return say(key, DIFFERS, f"the bundle says the sha256 {expected.sha256}, it has {found.hexdigest()}")
    return say(key, EQUAL, f"sha256 {expected.sha256}")
