"""What a document was made from: `rests_on` in it, key -> sha256 of the bytes of what was read. How that is noted and checked."""

import hashlib
from collections.abc import Iterator

from contract import jsonio, layout
from contract.documents.finished_stages import STAGES
from contract.documents.manifest import Manifest
from contract.documents.verification import DIFFERS, EQUAL, MISSING, Finding, say
from contract.errors import NotFound, TrueupError
from contract.stores.recorded import RecordedReads
from contract.stores.store import Storage

ASSESSMENT = "assess"


def hash_grounds(storage: Storage, model: str, run: str | None, dataset: str | None) -> dict[str, str]:
    """What a promotion rests on: the documents of the run's stages, the decision it began with, the manifest of the dataset.

    Those that are not there are left out: the version was brought, or somebody removed them.
    """
    n = run.rpartition("/")[2] if run else ""
    keys = list_run_documents(model, int(n)) if n.isascii() and n.isdecimal() else []
    keys += _list_documents_of_the_maker(storage, model, int(n)) if keys else []
    seen = RecordedReads(storage)
    for key in keys + ([layout.manifest(dataset)] if dataset else []):
        try:
            data = seen.read(key)
        except NotFound:
            continue
        if keys and key == layout.stage(model, int(n), "evaluate"):
            _read_decision(seen, model, data)
    return dict(sorted(seen.seen.items()))


def _list_documents_of_the_maker(storage: Storage, model: str, n: int) -> list[str]:
    """Of a run that only looked at a shadow: the documents of the one that made the version."""
    try:
        made_by = str(jsonio.loads(storage.read(layout.stage(model, n, "shadow")))["made_by"]).rpartition("/")[2]
    except (NotFound, ValueError, KeyError, TypeError):
        return []
    return list_run_documents(model, int(made_by)) if made_by.isascii() and made_by.isdecimal() else []


def list_run_documents(model: str, n: int) -> list[str]:
    """The keys of a run's plan and of the documents of its stages."""
    return [layout.runs(model).format(n), *(layout.stage(model, n, name) for name in (*STAGES, ASSESSMENT))]


def _read_decision(storage: Storage, model: str, data: bytes) -> None:
    try:
        storage.read(layout.decision(model, jsonio.loads(data)["id"]))
    except (NotFound, ValueError, KeyError, TypeError):
        return


def check_hashes(storage: Storage, rests_on: dict[str, str], read: set[str]) -> Iterator[Finding]:
    """Checks each document that something was made from; a manifest may say by now that pictures were erased."""
    for key, expected in rests_on.items():
        try:
            data = storage.read(key)
        except NotFound:
            yield say(key, MISSING, "named by what was made from it, and not there")
            continue
        read.add(key)
        got = hashlib.sha256(data).hexdigest()
        if got == expected:
            yield say(key, EQUAL, f"sha256 {got}")
        elif is_erased(data, expected):
            yield say(key, EQUAL, "as it was, but for the list of pictures that were erased on request since")
        else:
            yield say(key, DIFFERS, f"expected the sha256 {expected}, got {got}")


def is_erased(data: bytes, expected: str) -> bool:
    """Whether these are the bytes of a manifest that had that hash before pictures of it were erased."""
    try:
        made = Manifest.parse(jsonio.loads(data), "")
    except (ValueError, TrueupError):
        return False
    before = made.model_copy(update={"erased": []}).to_bytes()
    return bool(made.erased) and made.to_bytes() == data and hashlib.sha256(before).hexdigest() == expected
