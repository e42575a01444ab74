"""Looking for pictures among many rows: seconds of a page of 60, for questions that a day answers and for those that none does.

    python -m benchmarks.pictures [--rows 1e7] [--days 100] [--labelled 2000] [--json]

Rows in files of one day, each day the same; `labelled` of each have a label. "cold": no day was looked at before, so the
answer stops after its second and says what it has not read; "kept": the day tables lie beside the service (a folder of this
machine, never the bucket), in a process that has not opened them; "again": the same process asks once more.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.incremental import bucket
from benchmarks.timed import machine, table, today
from contract import clock
from contract.days import prediction_days
from contract.rows.items import ItemsDocument, write_items
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from inference.pictures.kept_days import KeptDays
from inference.pictures.question import parse_question
from inference.pictures.search import Search
from jobs.engines import day_files
from jobs.engines.embedded.engine import list_items
from jobs.engines.question import ITEM_COLUMNS, Question

MODEL, PAGE = "m", 60
AT = clock.parse_moment("2026-01-01T00:00:00Z")
QUESTIONS: dict[str, dict[str, str]] = {
    "newest": {}, "one class": {"predicted": "class 07"}, "mistakes": {"verdict": "wrong"},
    "a cell of the confusion": {"predicted": "class 03", "label": "class 05"}, "unlabelled": {"verdict": "unlabelled"},
    "a narrow confidence (all days)": {"predicted": "class 07", "confidence_from": "0.5", "confidence_to": "0.5001"},
    "an attribute": {"attribute.camera": "door 1"}, "least sure (all days)": {"sort": "least-sure"},
    "what is not there (all days)": {"predicted": "nothing"}}


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=float, default=1e7)
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--labelled", type=int, default=2000, help="of each day")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), int(given.rows), given.days, given.labelled)
    print(json.dumps(found) if given.json else text(found))
    return 0


def measure(folder: Path, rows: int, days: int, labelled: int) -> dict[str, Any]:
    """{"rows", "days", "making_s" (all day tables), "kept_mb", "seconds": {question: {"cold", "cold_cpu", …, "days"}}}."""
    bucket(folder / "root", make_day(folder, rows // days, labelled), days)
    storage = open_root(str(folder / "root"), create=True)
    write_all_items(storage)
    seconds: dict[str, dict[str, float]] = {name: {} for name in QUESTIONS}
    for n, name in enumerate(QUESTIONS):
        seconds[name]["cold"], seconds[name]["cold_cpu"], _ = _time(_open(storage, folder / f"cold-{n}"), name)
    began, kept = time.monotonic(), KeptDays(storage, {}, folder / "kept")
    for day in _open(storage, folder / "kept").list_days(parse_question([], MODEL)):
        kept.read(day)
    making = time.monotonic() - began
    for name in QUESTIONS:
        search = _open(storage, folder / "kept")
        seconds[name]["kept"], seconds[name]["kept_cpu"], seconds[name]["days"] = _time(search, name)
        seconds[name]["again"], seconds[name]["again_cpu"], _ = _time(search, name)
    size = sum(path.stat().st_size for path in (folder / "kept").iterdir())
    return {"rows": rows, "days": days, "labelled": labelled * days, "making_s": making, "kept_mb": size // 1_000_000,
            "seconds": seconds}


def make_day(folder: Path, rows: int, labelled: int) -> dict[str, Path]:
    """The files of a day: predictions of 20 classes with all that a picture's row has, and labels of the first `labelled`."""
    rng = np.random.default_rng(1)
    names, at = np.array([f"class {i:02}" for i in range(20)]), pa.array([AT] * rows, pa.timestamp("us", "UTC"))
    truth = rng.integers(0, 20, rows)
    said = np.where(rng.random(rows) < 0.8, truth, rng.integers(0, 20, rows))
    ids, hashes = [f"request {n:09}" for n in range(rows)], [rng.bytes(32).hex() for _ in range(rows)]
    predictions = pa.table({
        "prediction_id": ids, "predicted_at": at, "model": ["m"] * rows, "model_version": ["1"] * rows,
        "predicted_label": names[said], "confidence": rng.random(rows), "image_sha256": hashes,
        "image_uri": [f"images/{h[:2]}/{h}.jpg" for h in hashes],
        "attributes": pa.array([[("camera", f"door {n % 3}")] for n in range(rows)], pa.map_(pa.string(), pa.string()))})
    labels = pa.table({"prediction_id": ids[:labelled], "label": names[truth[:labelled]], "labeler": ["ann"] * labelled,
                       "labeled_at": at[:labelled]})
    made = {"predictions": folder / "predictions.parquet", "labels": folder / "labels.parquet"}
    for name, written in (("predictions", predictions), ("labels", labels)):
        pq.write_table(written, made[name])
    return made


def write_all_items(storage: Storage) -> None:
    """Writes the items of all days: those of one day, as all are alike, under the name of each day's own files."""
    listed = [day_files.list_day(storage, day) for day in prediction_days(storage)]
    read, _ = day_files.read_footers(storage, listed, ITEM_COLUMNS)
    question = Question(MODEL, clock.now_us(), "live")
    (made,) = list(list_items(storage, read[:1], question))
    for files in read:
        document = ItemsDocument.of(replace(made, day=files.day), model=MODEL, role="live", inputs=question.inputs(files),
                                    files=files.fingerprint())
        write_items(storage, document, made)


def _open(storage: Storage, folder: Path) -> Search:
    return Search(storage, Settings(), KeptDays(storage, {}, folder))


def _time(search: Search, name: str) -> tuple[float, float, int]:
    began, cpu = time.monotonic(), time.process_time()
    found = search.find(parse_question(list(QUESTIONS[name].items()), MODEL), PAGE, True, makes_rest=False)
    return time.monotonic() - began, time.process_time() - cpu, len(found.days)


def text(found: dict[str, Any]) -> str:
    """The table, for people."""
    kinds = ("cold", "kept", "again")
    rows = [[name, *(f"{of[kind]:.2f} ({of[f'{kind}_cpu']:.2f})" for kind in kinds), f"{of['days']}"]
            for name, of in found["seconds"].items()]
    head = (f"{machine()}, {today()}: {found['rows']:,} predictions and {found['labelled']:,} labels on {found['days']} days; "
            f"all day tables made in {found['making_s']:.0f} s, {found['kept_mb']:,} MB; load {os.getloadavg()[0]:.1f}\n"
            f"seconds (of processor)")
    return f"{head}\n{table([['question', 'cold', 'kept', 'again', 'days read'], *rows])}"


if __name__ == "__main__":
    raise SystemExit(main())
