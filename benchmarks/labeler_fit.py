"""A fit of labelers: `trueup labelers fit` on made votes, from raw rows and once more when the items are there.

    python -m benchmarks.labeler_fit [--votes 1.8e5] [--labelers 1000] [--classes 10,1000] [--engine embedded] [--whole] [--json]

Three votes on each prediction, over ten days; people are right in 50 to 98% of cases. --whole: 1.8 million votes of 10,000
labelers, a tenth of both by default. Whole processes from a cold start: seconds, of processor, peak GiB.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.timed import Case, machine, run_timed, table, today, trueup
from contract import clock, ids
from contract.records import LABEL, PREDICTION
from contract.storage import open_root

DAYS, JUDGES = 10, 3
FIRST = "2026-11-01"
MOST_FULL = 20  # classes of the full form


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--votes", default="1.8e5")
    parser.add_argument("--labelers", type=int, default=1_000)
    parser.add_argument("--classes", default="10,1000")
    parser.add_argument("--engine", default="embedded")
    parser.add_argument("--whole", action="store_true", help="1.8 million votes of 10,000 labelers")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    votes, labelers = (1_800_000, 10_000) if given.whole else (int(float(given.votes)), given.labelers)
    found = [measure(votes, labelers, int(k), given.engine) for k in given.classes.split(",")]
    print(json.dumps(found) if given.json else text(found))
    return 0


def measure(votes: int, labelers: int, classes: int, engine: str) -> dict[str, Any]:
    """{"votes", "labelers", "classes", "form", "iterations", "error": mean error of accuracies, "runs": {name: figures}}."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        right = make_root(root, votes // JUDGES, labelers, classes)
        command = trueup("labelers", "fit", "--root", str(root), "--model", "m", "--from", FIRST, "--engine", engine, "--json",
                         "--no-warm-start", "--form", "full" if classes <= MOST_FULL else "one-coin")
        cases = [Case("from raw rows", command, before=lambda: shutil.rmtree(root / "items", ignore_errors=True)),
                 Case("items are there", command)]
        runs = {}
        for case in cases:
            if case.before:
                case.before()
            runs[case.name] = run_timed(case)
        fit = json.loads(runs["items are there"].out)
        people = [p for p in fit["people"] if p["votes"] >= 50]
        error = np.mean([abs(p["accuracy"] - right[int(p["labeler"][1:])]) for p in people]) if people else None
        return {"votes": fit["votes"], "labelers": fit["labelers"], "classes": len(fit["classes"]), "form": fit["form"],
                "engine": engine, "iterations": fit["iterations"], "converged": fit["converged"], "error": error,
                "runs": {name: {"wall": r.wall, "cpu": r.cpu, "gib": r.gib} for name, r in runs.items()}}


def make_root(root: Path, items: int, labelers: int, classes: int) -> np.ndarray:
    """Makes ten days of predictions with three votes each; returns how often each labeler is right."""
    rng = np.random.default_rng(1)
    right = rng.uniform(0.5, 0.98, labelers)
    open_root(str(root), create=True)
    start = clock.parse_moment(f"{FIRST}T12:00:00Z")
    for n in range(DAYS):
        make_day(root, rng, clock.to_us(start) + n * clock.US_PER_DAY, items // DAYS, right, classes)
    return right


def make_day(root: Path, rng: np.random.Generator, noon: int, items: int, right: np.ndarray, classes: int) -> None:
    """Writes the predictions and labels of one day."""
    day = clock.day_of(clock.from_us(noon))
    names = pa.array([ids.uuid7(clock.from_us(noon + 1000 * i), entropy=f"{i:010d}".encode()) for i in range(items)])
    words = pa.array([f"class-{k:04}" for k in range(classes)])
    truth = rng.integers(0, classes, items)
    put(root, "predictions", day, PREDICTION, items, prediction_id=names, predicted_at=times(noon, items), model="m",
        model_version="1", predicted_label=words.take(pa.array(truth)), confidence=0.9)
    who = np.stack([rng.integers(0, len(right), items) for _ in range(JUDGES)], axis=1).ravel()
    of = np.repeat(np.arange(items), JUDGES)
    hit = rng.random(len(of)) < right[who]
    said = np.where(hit, truth[of], (truth[of] + rng.integers(1, classes, len(of))) % classes)
    put(root, "labels", day, LABEL, len(of), prediction_id=names.take(pa.array(of)), label=words.take(pa.array(said)),
        labeler=pa.array([f"p{w:06}" for w in range(len(right))]).take(pa.array(who)),
        labeled_at=times(noon + clock.US_PER_HOUR, len(of)), origin="review")


def times(start: int, rows: int) -> pa.Array:
    """Moments one millisecond apart."""
    return pa.array(start + 1000 * np.arange(rows)).cast(pa.timestamp("us", "UTC"))


def put(root: Path, name: str, day: str, record: Any, rows: int, **columns: Any) -> None:
    """Writes a file of rows; a plain value stands for a whole column."""
    folder = root / name / f"dt={day}"
    folder.mkdir(parents=True)
    made = {key: value if isinstance(value, pa.Array) else pa.array([value] * rows) for key, value in columns.items()}
    fields = [record.arrow().field(key) for key in made]
    pq.write_table(pa.table(list(made.values()), schema=pa.schema(fields)), folder / "a.parquet")


def text(found: list[dict[str, Any]]) -> str:
    """The table, for people."""
    rows = [("votes, labelers, classes", "form", "iterations", "seconds", "of processor", "GiB", "mean error")]
    for one in found:
        for name, run in one["runs"].items():
            rows.append((f"{one['votes']:,}, {one['labelers']:,}, {one['classes']:,}; {name}", one["form"],
                         f"{one['iterations']}{'' if one['converged'] else ', not converged'}", f"{run['wall']:.1f}",
                         f"{run['cpu']:.1f}", f"{run['gib']:.2f}", "-" if one["error"] is None else f"{one['error']:.4f}"))
    return f"{machine()}, {today()}, {found[0]['engine']}\n{table(rows)}\nMean error: of the accuracies of those with 50 votes."


if __name__ == "__main__":
    sys.exit(main())
