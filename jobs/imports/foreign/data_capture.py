"""Predictions from SageMaker data capture: files of JSON lines, one event each, or the folder tree that holds them.

The form is that of "Data capture" and "Interpret captured data" in the Amazon SageMaker developer guide:

    {"captureData": {"endpointInput": {…},
                     "endpointOutput": {"observedContentType": "application/json", "mode": "OUTPUT", "encoding": "JSON",
                                        "data": "{\\"predicted_label\\": \\"cat\\", \\"probability\\": 0.9}"}},
     "eventMetadata": {"eventId": "aaaa-bbbb", "inferenceTime": "2026-11-18T17:25:49Z"}, "eventVersion": "0"}

`inferenceId`, which the caller gave, is the prediction's id where it is there, else `eventId`: by these Model Monitor joins
labels, too. The file names no model: it comes by `--model`; nor its version, unless `customAttributes` have
`model_version` or `eventMetadata` a `variantName`: else it comes by `--model-version`.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from contract.errors import BadLabel, EmptyData, ForeignSchema, UsageError, shorten
from contract.records import PREDICTION
from contract.stores.store import Storage
from jobs.imports import rows
from jobs.imports.foreign.answers import read_answer, read_classes
from jobs.imports.foreign.json_files import dig, read_first_line, read_lines, write_scalar
from jobs.imports.found import Asked, Found

IDS = ("eventMetadata.inferenceId", "eventMetadata.eventId")
VERSION = re.compile(r"(?:^|[,;&\s])model_version=([^,;&\s]+)")


def is_capture(path: Path) -> bool:
    """Whether a file, or the first file below a folder, holds captured events."""
    first = next(_files(path), None)
    return first is not None and {"captureData", "eventMetadata"} <= read_first_line(first).keys()


def read(storage: Storage, path: Path, asked: Asked) -> Found:
    """Prediction rows, one for each event; events whose answer cannot be told go to `bad`."""
    missing = [name for name in ("model", "model_version") if name not in asked.fill]
    classes = read_classes(asked.classes) if asked.classes else None
    found = Found()
    for where, event in _events(path):
        try:
            raw = {**asked.fill, **_identify(event, asked), **_read_output(event, classes, asked)}
            lacking = [f"--{name.replace('_', '-')}" for name in missing if name not in raw]
            if lacking:
                raise UsageError(f"{where}: data capture does not say the model and its version: give {' and '.join(lacking)}.")
            found.good.append((where, rows.make_row(PREDICTION, raw)))
        except (ValueError, TypeError, BadLabel, ForeignSchema) as error:
            found.bad.append(f"{where}: {error}")
    return found


def _files(path: Path) -> Iterator[Path]:
    """The file, or every `.jsonl` below the folder (…/<endpoint>/<variant>/2026/11/18/17/….jsonl), hidden ones left out."""
    if path.is_dir():
        yield from (p for p in sorted(path.rglob("*.jsonl"))
                    if p.is_file() and not any(part.startswith(".") for part in p.relative_to(path).parts))
    elif path.is_file() and path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        yield path


def _events(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    n = 0
    for file in _files(path):
        for number, event in read_lines(file):
            n += 1
            yield f"{file}: line {number}", event
    if not n:
        raise EmptyData(f"{path}: expected files of captured events (*.jsonl), found none.")


def _identify(event: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Id and time of an event, and the version where the caller logged it."""
    paths = (asked.id_field,) if asked.id_field else IDS
    found = next(filter(None, (write_scalar(dig(event, path)) for path in paths)), None)
    if found is None:
        raise ValueError(f"expected an id at {' or '.join(paths)}, got none")
    raw = {"prediction_id": found, "predicted_at": dig(event, "eventMetadata.inferenceTime"),
           "request_id": write_scalar(dig(event, "eventMetadata.eventId"))}
    version = _version(dig(event, "eventMetadata.customAttributes")) or write_scalar(dig(event, "eventMetadata.variantName"))
    return raw | ({"model_version": version} if version else {})


def _version(attributes: Any) -> str | None:
    """`model_version` among the custom attributes of a request: JSON, or pairs `name=value`."""
    for text in attributes if isinstance(attributes, list) else [attributes]:
        try:
            said = json.loads(text) if isinstance(text, str) else text
        except ValueError:
            match = VERSION.search(text)
            said = {"model_version": match[1]} if match else None
        if isinstance(said, dict) and write_scalar(said.get("model_version")):
            return write_scalar(said["model_version"])
    return None


def _read_output(event: dict[str, Any], classes: Sequence[str] | None, asked: Asked) -> dict[str, Any]:
    output = dig(event, "captureData.endpointOutput")
    if not isinstance(output, dict) or output.get("data") in (None, ""):
        raise ValueError("expected captureData.endpointOutput with data, got none: the endpoint captures its input alone. Let "
                         "its capture options have Output, too")
    return read_answer(_decode(output), _form(output), classes, asked.label_path, asked.confidence_path)


def _form(output: dict[str, Any]) -> str | None:
    kind = f"{output.get('observedContentType') or ''} {output.get('encoding') or ''}".lower()
    return next((form for form in ("json", "csv") if form in kind), None)


def _decode(output: dict[str, Any]) -> str:
    data = output["data"]
    if not isinstance(data, str):
        return json.dumps(data)
    if str(output.get("encoding", "")).upper() != "BASE64":
        return data
    try:
        return base64.b64decode(data, validate=True).decode("utf-8-sig")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"expected text in base64, got {shorten(data)} of {output.get('observedContentType')!r} ({error}). "
                         f"Let the endpoint answer in JSON or CSV") from error
