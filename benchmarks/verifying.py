"""What `trueup verify` costs: an evaluation with and without the sha256 of its raw files, and verifying it by each engine.

    python -m benchmarks.verifying [--rows 1e6] [--repeats 5] [--engines embedded,mapreduce]

Ten equal days; each prediction names a picture, half of them are labelled. Hashing costs by the byte: a log whose columns
compress less well than these made ones costs more. Whole processes from a cold start, taking turns; medians.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.items import make_root
from benchmarks.timed import Case, alternate, run_timed, table, trueup

# The evaluation of today but for the hashes, which nothing turns off.
WITHOUT = """
import sys
import jobs.engines.content_hashes as hashes
hashes.hash_object = lambda storage, key: ""
from pipeline.cli import main
sys.exit(main(sys.argv[1:]))
"""


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="1e6", help="predictions")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engines", default="embedded,mapreduce", help="that verify")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    found = measure(int(float(given.rows)), given.repeats, given.engines.split(","))
    print(json.dumps(found) if given.json else text(found))
    return 0


def measure(rows: int, repeats: int, engines: Sequence[str]) -> dict[str, Any]:
    """{"rows", "mib": of raw files, "ratio": processor time with hashes to without, "programs": {name: {"wall", "cpu",
    "gib"}}}."""
    with tempfile.TemporaryDirectory() as scratch:
        root = make_root(Path(scratch), rows)
        size = sum(path.stat().st_size for path in root.rglob("*.parquet")) / 2**20
        asked = ("evaluate", "--root", str(root), "--model", "m", "--full", "--no-report", "--json")
        fresh = {"before": lambda: _remove(root / "counts")}
        bare = [sys.executable, "-c", WITHOUT, *asked]
        cases = [Case("evaluate", trueup(*asked), **fresh), Case("evaluate without hashes", bare, **fresh)]
        alternate(cases, repeats)
        _remove(root / "counts")
        made = json.loads(run_timed(Case("", trueup(*asked))).out)["id"]
        verified = [Case(f"verify by {engine}", trueup("verify", made, "--root", str(root), "--model", "m", "--engine", engine))
                    for engine in engines]
        alternate(verified, 1)
        return {"rows": rows, "mib": size, "ratio": cases[0].median("cpu") / cases[1].median("cpu"),
                "programs": {c.name: {w: c.median(w) for w in ("wall", "cpu", "gib")} for c in cases + verified}}


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def text(found: dict[str, Any]) -> str:
    """The table, for people."""
    rows = [(f"{found['rows']:,} predictions, {found['mib']:.0f} MiB", "seconds", "of processor", "GiB")]
    rows += [(name, f"{p['wall']:.1f}", f"{p['cpu']:.2f}", f"{p['gib']:.2f}") for name, p in found["programs"].items()]
    return f"{table(rows)}\nwith hashes to without, by processor: {found['ratio']:.3f}"


if __name__ == "__main__":
    sys.exit(main())
