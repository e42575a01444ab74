"""A folder that grows, such as SageMaker's data capture: each run of `import --new` takes the files that are new, once.

A file is identified by its content (SHA-256) and imported whole: its rows are written, then its record. Killed between the
two, the next run writes the same rows under the same name and goes on. A file that cannot be imported is named and gets no
record, and the others go on.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from command.progress import progress
from contract import clock, layout
from contract.documents.imported import Imported, remember
from contract.errors import RootError, TrueupError, UsageError
from contract.storage import open_root
from contract.stores.store import Storage

ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".manifest")


def import_new(root: str, table: str, folder: Path, take: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """Imports by `take` each file below `folder` whose content has no record in the root, in the order of their names.

    Returns the sums of what `take` returned, `taken` (how many files), `known` (how many were imported before) and
    `failed`, {"file", "error"} for each that could not be.
    """
    found = [(path, hash_file(path)) for path in find_files(folder)]
    known = _list_known(root, table)
    new = {sha256: path for path, sha256 in reversed(found) if sha256 not in known}  # of equal files the first
    done: dict[str, Any] = {"rows": 0, "files": [], "bad": [], "notes": [], "taken": 0, "known": len(found) - len(new),
                            "failed": []}
    with progress(f"import {table}", len(new), "files") as shown:
        for sha256, path in sorted(new.items(), key=lambda item: item[1]):
            try:
                _take(root, table, folder, path, sha256, take, done)
            except TrueupError as error:
                done["failed"].append({"file": str(path), "error": str(error)})
            shown.advance(rows=done["rows"])
    return done


def find_files(folder: Path) -> Iterator[Path]:
    """Finds the files of rows below a folder, sorted; hidden ones and unfinished ones (`_…`) are left out."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder with --new, got {'a file' if folder.exists() else 'nothing there'}. "
                         f"Without --new one file is imported.")
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.name.lower().removesuffix(".gz").endswith(ENDINGS):
            yield path


def hash_file(path: Path) -> str:
    """Hashes a file's content, as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _list_known(root: str, table: str) -> set[str]:
    try:
        storage = open_root(root)
    except RootError:  # the first import makes the root
        return set()
    return {layout.document_name(entry.key) for entry in storage.list(layout.imported(table))}


def _take(root: str, table: str, folder: Path, path: Path, sha256: str, take: Callable[[Path], Mapping[str, Any]],
          done: dict[str, Any]) -> None:
    result = take(path)
    if hash_file(path) != sha256:
        raise UsageError(f"{path}: expected the content that the run began with, and it changed meanwhile. What it held was "
                         f"imported; its rest is taken by the next run. Let files appear whole: write them under another "
                         f"name and rename them.")
    storage: Storage = open_root(root)
    remember(storage, Imported(table=table, name=path.relative_to(folder).as_posix(), sha256=sha256, rows=result["rows"],
                               bad=len(result["bad"]), files=result["files"], at=clock.iso(clock.now())))
    done["taken"] += 1
    done["rows"] += result["rows"]
    for name in ("files", "bad", "notes"):
        done[name] += result[name]
