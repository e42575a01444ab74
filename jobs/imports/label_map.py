"""The file of `--label-map`: pairs label,class, from the labels of a file to the model's classes."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from contract.errors import BadLabel, UsageError
from contract.labels import normalise
from jobs.imports.decoding import decode
from jobs.imports.json_file import Twice, parse_json
from jobs.imports.notes import Notes
from jobs.imports.options import Reading

HEAD = ("label", "class")


def read_label_map(path: Path) -> dict[str, str]:
    """Label -> class, both normalised.

    CSV of two columns (with or without the header label,class), or JSON: an object, or a list of pairs or of objects
    {"label", "class"}. UsageError names what is no pair, and a label that stands for two classes.
    """
    if not path.is_file():
        raise UsageError(f"--label-map {path}: no such file.")
    text = decode(path, path.read_bytes(), Reading(), Notes())
    found: dict[str, str] = {}
    for number, pair in enumerate(_read_pairs(path, text), 1):
        label, name = _check_pair(path, number, pair)
        if found.setdefault(label, name) != name:
            raise UsageError(f"--label-map {path}: {label!r} stands for {found[label]!r} and for {name!r}. Choose one.")
    return found


def _read_pairs(path: Path, text: str) -> Iterable[Any]:
    if path.suffix.lower() != ".json":
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
        except csv.Error as error:
            raise UsageError(f"--label-map {path}: expected CSV of two columns, got {error}.") from error
        return rows[1:] if rows and tuple(name.strip().lower() for name in rows[0]) == HEAD else rows
    try:
        found = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--label-map {path}: expected JSON, got {error}.") from error
    if isinstance(found, Twice):
        raise UsageError(f"--label-map {path}: {found.key!r} comes twice. Choose one.")
    if isinstance(found, dict):
        return list(found.items())
    if not isinstance(found, list):
        raise UsageError(f"--label-map {path}: expected an object or a list of pairs, got {type(found).__name__}.")
    return [tuple(pair.get(name) for name in HEAD) if isinstance(pair, dict) else pair for pair in found]


def _check_pair(path: Path, number: int, pair: Any) -> tuple[str, str]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise UsageError(f"--label-map {path}: pair {number}: expected label,class, got {pair!r}.")
    try:
        return normalise(pair[0]), normalise(pair[1])
    except BadLabel as error:
        raise UsageError(f"--label-map {path}: pair {number}: {error}") from error
