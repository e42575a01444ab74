"""Selected pictures for elsewhere: CSV, a folder as ZIP, tasks for Label Studio. Streamed, so that nothing is kept in the root
that `trueup forget` would have to reach."""

from __future__ import annotations

import base64
import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from contract.errors import NotFound
from contract.stores.store import Storage
from inference.pictures.thumbnails import read_picture

COLUMNS = ("prediction_id", "day", "model", "model_version", "predicted", "confidence", "label", "verdict", "origin", "votes",
           "image_sha256", "picture")
FORMS = {"csv": ("text/csv; charset=utf-8", "csv"), "folder": ("application/zip", "zip"),
         "label-studio": ("application/json", "json")}
ENDINGS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"RIFF": "webp", b"GIF8": "gif", b"BM": "bmp"}
MEDIA = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "gif": "image/gif", "bmp": "image/bmp"}


def export(storage: Storage, model: str, rows: Sequence[dict[str, Any]], form: str) -> Iterator[bytes]:
    """Yields the bytes of an export; `rows` as inference/pictures/room.py judges them, `form` one of FORMS.

    Of erased pictures, and of those that are not stored, only what the log says is in it.
    """
    return {"csv": _write_csv, "folder": _write_folder, "label-studio": _write_tasks}[form](storage, model, rows)


def describe(model: str, row: dict[str, Any], picture: str = "") -> dict[str, Any]:
    """Describes a row by COLUMNS; `picture` is the name of its file beside the table."""
    item = row["item"] or {}
    return {"prediction_id": row["prediction_id"], "day": row["day"], "model": model, "model_version": row["version"],
            "predicted": row["predicted"], "confidence": row["confidence"], "label": item.get("label"),
            "verdict": row["verdict"], "origin": item.get("origin"), "votes": len(item.get("votes", ())),
            "image_sha256": row["image_sha256"], "picture": "erased" if row["erased"] else picture}


def _write_csv(storage: Storage, model: str, rows: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    yield _make_table([describe(model, row) for row in rows])


def _make_table(described: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows({name: _defuse(value) for name, value in row.items()} for row in described)
    return text.getvalue().encode()


def _defuse(value: Any) -> Any:
    """Keeps a spreadsheet from taking a text that somebody else wrote for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


class _Pieces(io.RawIOBase):
    """A file that is handed on as it is written; it cannot go back."""

    def __init__(self) -> None:
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data, self._data = bytes(self._data), bytearray()
        return data


def _write_folder(storage: Storage, model: str, rows: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    pieces, described = _Pieces(), []
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_STORED) as folder:  # pictures do not get smaller
        for row in rows:
            data = _read(storage, row)
            name = f"pictures/{row['day']}-{row['prediction_id']}.{find_ending(data)}" if data else ""
            described.append(describe(model, row, name))
            if data:
                folder.writestr(name, data)
                yield pieces.take()
        folder.writestr("pictures.csv", _make_table(described))
    yield pieces.take()


def _write_tasks(storage: Storage, model: str, rows: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    yield b"["
    first = True
    for row in rows:
        data = _read(storage, row)
        if data:
            yield (b"" if first else b",\n") + json.dumps(make_task(model, row, data), ensure_ascii=False).encode()
            first = False
    yield b"]\n"


def make_task(model: str, row: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Makes a task as Label Studio imports it, for a labelling interface with `<Image name="image" value="$image"/>` and
    `<Choices name="label" toName="image">`; the picture is in it, so nothing has to be fetched.

    Source: Label Studio's documentation, "Import pre-annotated data" and "Label Studio JSON format of annotated tasks".
    """
    described = {name: value for name, value in describe(model, row).items() if name != "picture"}
    media = MEDIA.get(find_ending(data), "image/jpeg")
    task: dict[str, Any] = {
        "data": {"image": f"data:{media};base64,{base64.b64encode(data).decode()}", **described},
        "predictions": [{"model_version": f"{model} {row['version']}", "score": row["confidence"],
                         "result": [_choose(row["predicted"], row["confidence"])]}]}
    if row["label"]:
        task["annotations"] = [{"result": [_choose(row["label"], None)], "was_cancelled": False, "ground_truth": False}]
    return task


def _choose(label: str, score: float | None) -> dict[str, Any]:
    return {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]},
            **({} if score is None else {"score": score})}


def find_ending(data: bytes) -> str:
    """Finds the ending of a picture's file by its first bytes."""
    return next((ending for head, ending in ENDINGS.items() if data.startswith(head)), "bin")


def _read(storage: Storage, row: dict[str, Any]) -> bytes | None:
    if row["erased"] or not row["stored"] or not row["image_sha256"]:
        return None
    try:
        return read_picture(storage, row["image_sha256"])
    except NotFound:  # it went between the listing and the reading
        return None
