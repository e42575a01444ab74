"""What a new day, and one late label, cost in a 30-day window: with 30 and with 1,000 days in the bucket.

    python -m benchmarks.incremental [--days 30,1000] [--rows 20000] [--repeats 3] [--json]

Whole processes, taking turns. The days' files are links to one day's, because only their number matters: a day's rows
join only with that day's. Aim: ratio <= 1.1.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.timed import Case, alternate, table, trueup
from contract.records import LABEL, PREDICTION

LAST, WINDOW, AT = date(2026, 11, 20), 30, 1_600_000_000_000_000


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--days", default="30,1000")
    parser.add_argument("--rows", type=int, default=20_000, help="predictions a day")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    found = measure([int(d) for d in given.days.split(",")], given.rows, given.repeats)
    print(json.dumps(found) if given.json else text(found))
    return 0


def measure(days: list[int], rows: int, repeats: int) -> dict[str, dict[str, float]]:
    """{"a new day" | "one late label": {"<days>": processor seconds, …, "ratio", "ratio_wall"}}."""
    with tempfile.TemporaryDirectory() as folder:
        one = make_day(Path(folder), rows)
        roots = {n: bucket(Path(folder) / f"d{n}", one, n) for n in days}
        cases = {(what, n): Case(f"{what}, {n} days", command(root), before=lambda root=root, prepare=prepare: prepare(root))
                 for n, root in roots.items()
                 for what, prepare in (("a new day", forget_last), ("one late label", add_late_label))}
        alternate([Case("first", command(root)) for root in roots.values()], 1)  # the other days have been counted before
        alternate(list(cases.values()), repeats)
    found: dict[str, dict[str, float]] = {}
    for what in ("a new day", "one late label"):
        of = [cases[what, n] for n in days]
        found[what] = {str(n): c.median("cpu") for n, c in zip(days, of, strict=True)}
        for ratio, figure in (("ratio", "cpu"), ("ratio_wall", "wall")):
            found[what][ratio] = of[-1].median(figure) / of[0].median(figure)
    return found


def make_day(folder: Path, rows: int) -> dict[str, Path]:
    """The files of a day: predictions of 20 classes, half of them labelled."""
    rng = np.random.default_rng(1)
    names, at = np.array([f"class {i:02}" for i in range(20)]), pa.array(np.full(rows, AT), pa.timestamp("us", "UTC"))
    truth = rng.integers(0, 20, rows)
    said = np.where(rng.random(rows) < 0.8, truth, rng.integers(0, 20, rows))
    ids, half = [f"request {n:09}" for n in range(rows)], rows // 2
    predictions = {"prediction_id": ids, "predicted_at": at, "model": ["m"] * rows, "model_version": ["1"] * rows,
                   "predicted_label": names[said], "confidence": rng.random(rows)}
    labels = {"prediction_id": ids[:half], "label": names[truth[:half]], "labeler": ["ann"] * half, "labeled_at": at[:half]}
    made = {}
    for record, columns in ((PREDICTION, predictions), (LABEL, labels)):
        made[record.name] = folder / f"{record.name}.parquet"
        pq.write_table(pa.table(columns, pa.schema([record.arrow().field(n) for n in columns])), made[record.name])
    return made


def bucket(root: Path, one: dict[str, Path], days: int) -> Path:
    """A root with that many days up to LAST."""
    for n in range(days):
        for name, path in one.items():
            (folder := root / name / f"dt={LAST - timedelta(n)}").mkdir(parents=True)
            os.link(path, folder / "part-0.parquet")
    return root


def command(root: Path) -> list[str]:
    """The daily evaluation, of the default window."""
    return trueup("evaluate", "--root", str(root), "--model", "m", "--json")


def forget_last(root: Path) -> None:
    """Makes the newest day one that was never counted."""
    shutil.rmtree(root / "counts" / "m" / f"dt={LAST}")


def add_late_label(root: Path) -> None:
    """Adds a label for a prediction of a day in the middle of the window."""
    folder = root / "labels" / f"dt={LAST - timedelta(WINDOW // 2)}"
    n = len(list(folder.iterdir()))
    row = {"prediction_id": "request 000000000", "label": "class 00", "labeler": f"late {n}", "labeled_at": AT}
    pq.write_table(pa.Table.from_pylist([row], LABEL.arrow()), folder / f"late-{n}.parquet")


def text(found: dict[str, dict[str, float]]) -> str:
    """The table, for people."""
    first = next(iter(found.values()))
    head = ("30-day window, processor seconds", *(f"{n} days" for n in first if n.isdigit()), "ratio", "ratio by the clock")
    rows = [(what, *(f"{v:.2f}" for n, v in row.items() if n.isdigit()), f"{row['ratio']:.2f}", f"{row['ratio_wall']:.2f}")
            for what, row in found.items()]
    return table([head, *rows])


if __name__ == "__main__":
    sys.exit(main())
