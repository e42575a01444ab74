"""The items of ten days: `trueup items` beside the evaluation that counts the same rows, and once more when they are there.

    python -m benchmarks.items [--rows 1e6] [--repeats 3] [--engines embedded,spark]

Half of the predictions are labelled, all name a picture. Whole processes from a cold start, taking turns; medians.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.incremental import bucket, make_day
from benchmarks.timed import Case, alternate, table, trueup

DAYS = 10


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="1e6", help="predictions")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", default="embedded")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    found = measure(int(float(given.rows)), given.repeats, given.engines.split(","))
    print(json.dumps(found) if given.json else text(found))
    return 0


def measure(rows: int, repeats: int, engines: list[str]) -> dict[str, Any]:
    """{"rows", "items", "mib": of the tables, "programs": {name: {"wall", "cpu", "gib"}}}."""
    with tempfile.TemporaryDirectory() as scratch:
        root = make_root(Path(scratch), rows)
        folder, cases = root / "items", []
        for engine in engines:
            options = ("--root", str(root), "--model", "m", "--json", "--engine", engine)
            cases += [Case(f"evaluate ({engine})", trueup("evaluate", "--full", *options)),
                      Case(f"items ({engine})", trueup("items", *options), before=lambda: shutil.rmtree(folder, True)),
                      Case(f"items ({engine}), there already", trueup("items", *options))]
        alternate(cases, repeats)
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet")) / 2**20
        return {"rows": rows, "items": json.loads(cases[-1].runs[-1].out)["items"], "mib": size,
                "programs": {c.name: {w: c.median(w) for w in ("wall", "cpu", "gib")} for c in cases}}


def make_root(scratch: Path, rows: int) -> Path:
    """Makes ten equal days whose predictions have pictures."""
    made = make_day(scratch, rows // DAYS)
    log = pq.read_table(made["predictions"])
    hashes = [f"{n:064x}" for n in range(log.num_rows)]
    log = log.append_column("image_sha256", pa.array(hashes)).append_column(
        "image_uri", pa.array([f"images/{h[:2]}/{h}.jpg" for h in hashes]))
    pq.write_table(log, made["predictions"])
    return bucket(scratch / "root", made, DAYS)


def text(found: dict[str, Any]) -> str:
    """The table, for people."""
    rows = [(f"{found['rows']:,} predictions, {found['items']:,} items", "seconds", "of processor", "GiB")]
    rows += [(name, f"{p['wall']:.1f}", f"{p['cpu']:.1f}", f"{p['gib']:.2f}") for name, p in found["programs"].items()]
    return table(rows) + f"\nTables of items: {found['mib']:.1f} MiB."


if __name__ == "__main__":
    sys.exit(main())
