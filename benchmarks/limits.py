"""How near an evaluation comes to what its rules cost: ours, a plain program by hand, and limits, on the same files.

    TRUEUP_PEERS=/path/to/peers python -m benchmarks.limits [--rows 1e6] [--repeats 5]

The plain program (`peer_duckdb.py` of TRUEUP_PEERS) makes a simpler report and applies few of the rules. The limits are programs
of benchmarks/rules_by_hand.py, which do a part of an evaluation and nothing else. Whole processes from a cold start, taking
turns; of each its ratio to the plain program's of the same turn: the median, the least and the most. What the limit by hand
counted is compared with our counts before anything is timed, and its report with the plain program's.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.evaluation import data, peer
from benchmarks.rules_by_hand import PARTS
from benchmarks.timed import Case, alternate, run_timed, table, trueup
from contract import counts_store
from contract.storage import open_root

PLAIN, OURS = "DuckDB by hand", "trueup evaluate"
SAYS = {"start": "Python and DuckDB started", "columns": "every column read", "rules": "the rules by hand, to cells",
        "report": "the same, and the plain report",
        "engine": "our engine alone, to counts"}
PROGRAM = [sys.executable, "-m", "benchmarks.rules_by_hand"]
KEYS = ["dt", "model_version", "predicted", "confidence_bin", "label", "split"]


def main(argv: list[str] | None = None) -> int:
    """Prints the table; 1 when the limit by hand counted something else than we did."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="1e6")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        base, where = Path(os.environ.get("BENCH_ROOT", scratch)), os.environ["TRUEUP_PEERS"]
        root, model = data(base, given.rows, where)
        ours = Case(OURS, trueup("evaluate", "--root", str(root), "--model", model, "--full", "--no-report", "--json"))
        limits = [Case(SAYS[part], [*PROGRAM, part, str(root)]) for part in PARTS]
        plain = peer(PLAIN, base, given.rows, Path(where))
        if differing := compare(root, ours, plain, Path(scratch)):
            print(f"by hand: expected our figures, got other {', '.join(differing)}", file=sys.stderr)
            return 1
        cases = [plain, ours, *limits]
        alternate(cases, given.repeats)
    print(describe(given.rows, cases))
    return 0


def compare(root: Path, ours: Case, plain: Case, out: Path) -> list[str]:
    """Names what differs between the limits by hand and our counts (rows, cells), or the plain program (its report)."""
    document = json.loads(run_timed(ours).out)
    by_hand = json.loads(run_timed(Case("", [*PROGRAM, "report", str(root), "--out", str(out)])).out)
    report = by_hand.pop("digest")
    differing = [name for name, n in by_hand.items() if document["rows"][name] != n]
    counts = {day.day: day.tables["cells"] for day in counts_store.load_all(open_root(str(root)), document)}
    mine = pa.concat_tables([cells.append_column("dt", pa.repeat(day, cells.num_rows)) for day, cells in counts.items()])
    theirs = pa.concat_tables([pq.read_table(file) for file in sorted(out.glob("*.parquet"))])
    return differing + ["cells"] * (sort(mine) != sort(theirs)) + ["report"] * (report not in run_timed(plain).out)


def sort(cells: pa.Table) -> list[tuple]:
    """The keys that the workload has and their sums, in one order."""
    columns = [cells[name].to_pylist() for name in (*KEYS, "n", "sum_confidence")]
    return sorted(zip(*columns, strict=True), key=repr)


def describe(size: str, cases: list[Case]) -> str:
    """The table, for people."""
    rows: list[tuple[str, ...]] = [(f"{int(float(size)):,} predictions", "seconds", "of processor", "GiB", "to the plain one",
                                    "by processor")]
    for case in cases:
        rows.append((case.name, f"{case.median('wall'):.2f}", f"{case.median('cpu'):.2f}", f"{case.median('gib'):.2f}",
                     *(spread(case, cases[0], what) for what in ("wall", "cpu"))))
    return table(rows)


def spread(case: Case, plain: Case, what: str) -> str:
    """The median of the ratios turn by turn, the least and the most of them."""
    ratios = [getattr(a, what) / getattr(b, what) for a, b in zip(case.runs, plain.runs, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


if __name__ == "__main__":
    sys.exit(main())
