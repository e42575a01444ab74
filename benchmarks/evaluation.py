"""Counting rows into an evaluation: ours beside programs that other people would write, on the same files.

    TRUEUP_PEERS=/path/to/peers python -m benchmarks.evaluation [--rows 1e6] [--repeats 3] [--engines embedded,spark]

TRUEUP_PEERS names a folder with the workload generator `gen.py` and the peers' programs (PEERS below names their files);
without it only our engines run, on a workload that is made here. The data lie in $BENCH_ROOT/data (default: a temporary
folder). Whole processes from a cold start, taking turns; medians. The peers compute a simpler report: no withdrawals, no
superseded votes, no duplicates ("with some rules": one vote per labeler, and duplicate predictions).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.incremental import bucket, make_day
from benchmarks.timed import Case, alternate, table, trueup

# Peer's file, its arguments after the size, and which engine of ours it stands beside.
PEERS = {"DuckDB by hand": ("peer_duckdb.py", (), "embedded"),
         "DuckDB by hand with some rules": ("peer_duckdb_days.py", ("full",), "embedded"),
         "Spark by hand (general)": ("peer_spark_handwritten.py", ("cons=fixed", "rep=1", "key=x128", "dict=scan"), "spark"),
         "Spark MLlib": ("peer_mllib.py", (), "spark"), "Evidently": ("peer_evidently.py", (), "spark"),
         "Polars": ("peer_polars.py", (), "embedded"), "pandas": ("peer_pandas.py", (), "embedded")}
LABELS = 0.6  # label rows for each prediction in the generated workload
DAYS = 10  # as there


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="1e6", help="predictions, or several sizes separated by commas (1e6,1e7,3e7: does "
                        "the cost of a row grow?); the peers' data folders are named by these texts")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", default="embedded")
    parser.add_argument("--peers", default="DuckDB by hand", help=f"of {', '.join(PEERS)}; separated by commas")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    found = [measure(rows, given.repeats, given.engines.split(","), given.peers.split(",")) for rows in given.rows.split(",")]
    print(json.dumps(found[0] if len(found) == 1 else found) if given.json else "\n\n".join(map(text, found)))
    if len(found) > 1 and not given.json:
        print("\n" + growth(found))
    return 0


def measure(size: str, repeats: int, engines: Sequence[str], peers: Sequence[str]) -> dict[str, Any]:
    """{"rows", "labels", "peers": whether they ran, "programs": {name: {"wall", "cpu", "gib"; of a peer also "ours_to_it",
    "ours_to_it_cpu": our figures by its own}}}."""
    where = os.environ.get("TRUEUP_PEERS")
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(os.environ.get("BENCH_ROOT", scratch))
        root, model = data(base, size, where)
        cases = [Case(f"trueup {e}", trueup("evaluate", "--root", str(root), "--model", model, "--full", "--no-report", "--json",
                                             "--engine", e))
                 for e in engines]
        cases += [peer(name, base, size, Path(where)) for name in peers if where]
        alternate(cases, repeats)
    programs = {c.name: {w: c.median(w) for w in ("wall", "cpu", "gib")} for c in cases}
    for name, (_, _, engine) in PEERS.items():
        ours = programs.get(f"trueup {engine}")
        if name in programs and ours:
            theirs = programs[name]
            theirs |= {"ours_to_it": ours["wall"] / theirs["wall"], "ours_to_it_cpu": ours["cpu"] / theirs["cpu"]}
    rows = int(float(size))
    return {"rows": rows, "labels": int(rows * LABELS) if where else rows // 2, "peers": bool(where), "programs": programs}


def data(base: Path, size: str, where: str | None) -> tuple[Path, str]:
    """The root that is counted and its model; made when it is not there."""
    root = base / "data" / f"n{size}"
    if where:
        if not root.exists():
            subprocess.run([sys.executable, "gen.py", size, str(root)], cwd=where, check=True, stdout=sys.stderr)
        return root, "bench"
    root = base / "data" / f"own-{size}"
    if not root.exists():
        root.mkdir(parents=True)
        made = make_day(root, int(float(size)) // DAYS)
        bucket(root, made, DAYS)
        for path in made.values():
            path.unlink()
    return root, "m"


def peer(name: str, base: Path, size: str, where: Path) -> Case:
    """A peer's program on the same files. KeyError: PEERS has none of this name."""
    file, arguments, _ = PEERS[name]
    for folder in ("logs", "spill"):
        (base / folder).mkdir(exist_ok=True)
    return Case(name, [sys.executable, file, size, *arguments], {"BENCH_ROOT": str(base)}, where)


def growth(found: Sequence[dict[str, Any]]) -> str:
    """Each program against itself at the smallest size: processor time of a row, and memory."""
    least = found[0]
    rows = [("against the smallest size", *(f"{f['rows']:,}: a row, memory" for f in found[1:]))]
    for name, first in least["programs"].items():
        ratios = [(f["programs"][name]["cpu"] / f["rows"] / (first["cpu"] / least["rows"]),
                   f["programs"][name]["gib"] / first["gib"]) for f in found[1:]]
        rows.append((name, *(f"{cost:.2f}, {memory:.2f}" for cost, memory in ratios)))
    return table(rows)


def text(found: dict[str, Any]) -> str:
    """The table, for people."""
    rows = [(f"{found['rows']:,} predictions, {found['labels']:,} labels", "seconds", "of processor", "GiB", "ours to it",
             "by processor")]
    for name, p in found["programs"].items():
        ratios = (f"{p['ours_to_it']:.2f}", f"{p['ours_to_it_cpu']:.2f}") if "ours_to_it" in p else ("", "")
        rows.append((name, f"{p['wall']:.1f}", f"{p['cpu']:.1f}", f"{p['gib']:.2f}", *ratios))
    alone = "" if found["peers"] else "\nWithout the peers' programs: name their folder in TRUEUP_PEERS."
    return table(rows) + alone


if __name__ == "__main__":
    sys.exit(main())
