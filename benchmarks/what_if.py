"""How long `trueup gate --what-if` takes over many days whose counts are stored.

    python -m benchmarks.what_if [--days 1000] [--classes 10] [--late 3] [--repeats 1] [--json]

Each day has counts as they were known on it and on the days after it until its labels are in (`--late`); nothing is counted.
The command runs as a whole process, with the default policy against one with windows of 7 and 28 days.
"""

import argparse
import json
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.timed import Case, alternate, table, trueup
from contract import clock, counts_store, layout
from contract.counts import CELLS, ROWS, DayCounts, canonical, empty_tables
from contract.counts_store import CountsDocument
from contract.storage import open_root
from contract.stores.store import Storage

MODEL, LAST = "made", date(2026, 11, 20)


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("days", 1000), ("classes", 10), ("late", 3), ("repeats", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        make(open_root(folder, create=True), given.days, given.classes, given.late)
        first = LAST - timedelta(days=given.days - 1)
        cases = []
        for name, policy in (("default", {}), ("two windows", {"window_days": [7, 28]})):
            path = Path(folder, f"{name}.yaml")
            path.write_text(json.dumps({"gates": {"min_accuracy": 0.92, **policy}}))
            cases.append(Case(f"{given.days} days, {name}", trueup("gate", "--root", folder, "--model", MODEL, "--what-if",
                              str(path), "--from", first.isoformat(), "--to", LAST.isoformat(), "--json")))
        alternate(cases, given.repeats)
    rows = [("", "wall s", "processor s", "GiB")]
    rows += [(c.name, *(f"{c.median(name):.1f}" for name in ("wall", "cpu", "gib"))) for c in cases]
    print(json.dumps({c.name: c.median("wall") for c in cases}) if given.json else table(rows))
    return 0


def make(storage: Storage, days: int, classes: int, late: int) -> None:
    """Writes the counts of so many days; labels come over `late` days."""
    rng = np.random.default_rng(1)
    for n in range(days):
        day = (LAST - timedelta(days=days - 1 - n)).isoformat()
        storage.put(f"{layout.table_folder(layout.PREDICTIONS)}dt={day}/made-1-1.parquet", b"")  # read by nobody: a day there is
        midnight = clock.to_us(clock.parse_moment(day)) + 1
        known = [midnight + part * 86_400_000_000 - 3_600_000_000 for part in range(late)]
        for part, at in enumerate(known):
            following = known[part + 1] if part + 1 < late else None
            counts = make_counts(rng, day, classes, 200 * (part + 1) // late, at, following)
            document = CountsDocument.of(counts, model=MODEL, role="live", inputs="00112233aabbccdd", files=[])
            counts_store.write(storage, document, counts)


def make_counts(rng: np.random.Generator, day: str, classes: int, labelled: int, known: int, following: int | None) -> DayCounts:
    """The counts of one day on which 19 in 20 answers are right, with so many audit labels."""
    rows = [{"model_version": "1", "predicted": f"c{k}", "confidence_bin": 19, "n": 200, "sum_confidence": 0}
            for k in range(classes)]
    truth = rng.integers(classes, size=labelled)
    said = np.where(rng.random(labelled) < 0.95, truth, rng.integers(classes, size=labelled))
    for (label, predicted), n in zip(*np.unique(np.stack([truth, said], 1), axis=0, return_counts=True), strict=True):
        rows.append({"model_version": "1", "predicted": f"c{predicted}", "confidence_bin": 19, "label": f"c{label}",
                     "origin": "audit", "saw_prediction": False, "split": False, "n": int(n), "sum_confidence": 0})
    made = pa.Table.from_pylist([{**dict.fromkeys(("n_weighted", "sum_weight", "sum_weight_squared", "sum_weight_confidence"), 0),
                                  **row} for row in rows], schema=CELLS.arrow())
    tables = empty_tables() | {"cells": canonical("cells", made)}
    return DayCounts(day, tables, dict.fromkeys(ROWS, 0), known, following)


if __name__ == "__main__":
    sys.exit(main())
