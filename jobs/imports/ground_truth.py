"""Labels from an output manifest of SageMaker Ground Truth (augmented manifest, single-label image classification).

Each line names a picture (`source-ref`) and what people said of it. Its predictions are found by `prediction_id`, where
the input manifest brought one, else by the stored image that the line names; every prediction of that image gets the
label. The labeler is the labelling job: the manifest holds the consolidated answer, not the workers'.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contract import layout
from contract.days import prediction_days
from contract.errors import BadLabel, ForeignSchema
from contract.records import LABEL
from contract.rows.reading import rows_where
from contract.stores.store import Storage
from jobs.imports import rows
from jobs.imports.rows import Row

KIND = "groundtruth/image-classification"
STORED = re.compile(r"(?:^|/)([0-9a-f]{64})\.\w+$")
SUFFIX = "-metadata"


def is_manifest(path: Path) -> bool:
    """Whether a file of JSON lines is such a manifest: its first line names a source and a Ground Truth job."""
    if path.suffix.lower() not in (".manifest", ".jsonl", ".ndjson", ".json") or not path.is_file():
        return False
    with open(path, encoding="utf-8") as file:
        try:
            first = json.loads(file.readline())
        except ValueError:
            return False
    return isinstance(first, dict) and "source-ref" in first and _answer(first) is not None


def read(storage: Storage, path: Path) -> tuple[list[tuple[int, Row]], list[str]]:
    """Label rows with the numbers of their lines, and one text for each line that cannot be taken."""
    lines = list(_lines(path))
    known = _predictions(storage, {sha for _, line in lines if (sha := _sha256(line))})
    good, bad = [], []
    for number, line in lines:
        try:
            said = _read_answer(line)
            found = [line["prediction_id"]] if line.get("prediction_id") else sorted(known.get(_sha256(line) or "", ()))
            if not found:
                raise ValueError(f"no prediction of {line.get('source-ref')!r} in the root; put `prediction_id` into the "
                                 f"lines of the input manifest, or let it name the stored images")
            good += [(number, rows.row_of(LABEL, said | {"prediction_id": i})) for i in found]
        except (ValueError, TypeError, BadLabel) as error:
            bad.append(f"{path}: line {number}: {error}")
    return good, bad


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if text.strip():
            try:
                line = json.loads(text)
            except ValueError as error:
                raise ForeignSchema(f"{path}: line {number}: expected a JSON object, got {error}.") from error
            yield number, line if isinstance(line, dict) else {}


def _answer(line: dict[str, Any]) -> dict[str, Any] | None:
    """The metadata of the labelling job whose answer the line holds: the newest, when jobs were chained."""
    found = [v for k, v in line.items() if k.endswith(SUFFIX) and isinstance(v, dict)
             and str(v.get("type", "")).startswith("groundtruth/")]
    return max(found, key=lambda v: str(v.get("creation-date", "")), default=None)


def _read_answer(line: dict[str, Any]) -> dict[str, Any]:
    answer = _answer(line)
    if answer is None or answer["type"] != KIND:
        raise ValueError(f"expected an answer of the type {KIND}, got {answer and answer['type']!r}")
    if answer.get("failure-reason") or str(answer.get("human-annotated", "yes")) != "yes":
        raise ValueError(f"no person labelled it ({answer.get('failure-reason') or 'human-annotated: no'})")
    return {"label": answer.get("class-name"), "labeler": answer.get("job-name"), "labeled_at": answer.get("creation-date"),
            "origin": "import"}


def _sha256(line: dict[str, Any]) -> str | None:
    found = STORED.search(str(line.get("source-ref", "")))
    return found[1] if found else None


def _predictions(storage: Storage, wanted: set[str]) -> dict[str, set[str]]:
    """Maps each of these images to the ids of its predictions. ForeignSchema: a file that cannot be read."""
    found = defaultdict(set)
    columns = ("prediction_id", "image_sha256")
    for day in prediction_days(storage) if wanted else ():
        for _, row in rows_where(storage, layout.PREDICTIONS, day, "image_sha256", wanted, columns, unreadable=None):
            found[row["image_sha256"]].add(row["prediction_id"])
    return found
