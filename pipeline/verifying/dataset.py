"""The dataset behind a version: its manifest's figures counted again from its index, and every file by its hash."""

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from contract import jsonio, layout
from contract.documents.card import Card
from contract.documents.manifest import Manifest, read_index
from contract.documents.verification import DIFFERS, EQUAL, ERASED, MISSING, UNKNOWN, Finding, compare, say
from contract.errors import DamagedDocument, Mismatch, NotFound
from contract.stores.hashing import hash_object
from contract.stores.store import Storage

AT_ONCE = 4


def verify_dataset(storage: Storage, card: Card) -> list[Finding]:
    """Checks the dataset that a card names; nothing for a version that was brought."""
    if card.dataset is None:
        return []
    key = layout.manifest(card.dataset)
    try:
        data = storage.read(key)
        value = jsonio.parse(data, storage.uri(key))
        made = Manifest.parse(value, storage.uri(key))
    except NotFound:
        return [say(key, MISSING, f"the manifest of the dataset of version {card.version}, and not there")]
    except DamagedDocument as error:
        return [say(key, DIFFERS, str(error))]
    findings = [] if jsonio.dumps(value) == data else [say(key, DIFFERS, "not the bytes that such a document is written as")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        findings += pool.map(lambda named: _check_file(storage, made, *named), list_files(made))
    return [*findings, *_check_figures(storage, key, made, card)]


def list_files(made: Manifest) -> list[tuple[str, str, bool]]:
    """(key, sha256, whether pictures are in it) of each file that a manifest names."""
    return [*((f.key, f.sha256, True) for f in made.files), (made.index.key, made.index.sha256, False),
            (made.listed.key, made.listed.sha256, False)]


def _check_file(storage: Storage, made: Manifest, key: str, expected: str, pictures: bool) -> Finding:
    try:
        got = hash_object(storage, key)
    except (NotFound, OSError):
        if made.erased and pictures:
            return say(key, ERASED, f"removed on request with {len(made.erased)} pictures, as the manifest says")
        return say(key, MISSING, "named by the manifest, and not there")
    return say(key, EQUAL, f"sha256 {got}") if got == expected else say(
        key, DIFFERS, f"expected the sha256 {expected} of the manifest, got {got}")


def _check_figures(storage: Storage, key: str, made: Manifest, card: Card) -> Iterator[Finding]:
    """What the manifest says of its rows, counted from the index that it names."""
    try:
        index = read_index(storage, made, ("split", "label", "origin"))
    except (NotFound, Mismatch, KeyError) as error:
        yield say(key, UNKNOWN, f"its figures were not counted again: {error}")
        return
    rows = index.group_by(["split", "label", "origin"]).aggregate([([], "count_all")]).to_pylist()
    told: dict[str, Any] = {"rows": made.rows, "per_class": made.per_class, "label_sources": made.label_sources}
    now = count_rows(rows, made)
    if made.holdout_sources is not None:
        told["holdout_sources"] = made.holdout_sources
    else:
        del now["holdout_sources"]
    if card.settings:  # of a version that was trained here
        told["classes"], now["classes"] = made.classes, card.classes
    yield compare(key, told, now)


def count_rows(rows: list[dict[str, Any]], made: Manifest) -> dict[str, Any]:
    """The manifest's figures from rows of (split, label, origin, count_all), with the zeros that it writes."""
    def total(name: str, of: str | None = None, least: Mapping[str, int] | None = None) -> dict[str, int]:
        found = Counter({key: 0 for key in least or {}})
        for row in rows:
            if of is None or row["split"] == of:
                found[row[name]] += row["count_all"]
        return dict(found)

    return {"rows": total("split", least=made.rows),
            "per_class": {split: total("label", split, of) for split, of in made.per_class.items()},
            "label_sources": total("origin", least=made.label_sources),
            "holdout_sources": total("origin", "holdout", made.holdout_sources)}
