"""The Spark engine beside programs that other people would write in Spark, on the same files, taking turns.

    TRUEUP_PEERS=/path/to/peers python -m benchmarks.spark_evaluation [--rows 1e7] [--repeats 3] [--peers "Spark MLlib" Evidently]
    python -m benchmarks.spark_evaluation --rows 1e6,1e7,3e7 --peers        ours alone: what a row costs, what the driver holds

TRUEUP_PEERS names the folder with the workload generator and the peers' programs (benchmarks/evaluation.py); the data
lie in $BENCH_ROOT/data. EVIDENTLY_PYTHON names a Python that has `evidently`, which is no package of ours. Whole processes
from a cold start; medians. The processor's seconds are those of the process and all its children, read while they live:
Spark's Java is stopped without being waited for, so the operating system does not add its seconds up. The driver is the
program with its Java, without Python's workers.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from benchmarks.evaluation import PEERS, data, peer
from benchmarks.timed import Case, machine, table, trueup

GENERAL = "Spark by hand (general)"
POLL_S = 0.1
OURS = "trueup spark"


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="1e7", help="one size, or several with commas between")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=[GENERAL], choices=[p for p in PEERS if PEERS[p][2] == "spark"])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    found = [measure(size, given.repeats, given.peers) for size in given.rows.split(",")]
    print(json.dumps(found) if given.json else "\n\n".join([*map(text, found), *growth(found)]))
    return 0


def growth(found: Sequence[dict[str, Any]]) -> list[str]:
    """What a row costs and the driver holds, against the first size."""
    first = found[0]
    lines = []
    for other in found[1:]:
        one, more = (f["programs"][OURS] for f in (first, other))
        lines.append(f"{other['rows']:,} against {first['rows']:,}: a row costs "
                     f"{more['cpu'] / one['cpu'] * first['rows'] / other['rows']:.2f} of processor, the driver holds "
                     f"{more['driver_gib'] / one['driver_gib']:.2f} times as much")
    return lines


def measure(size: str, repeats: int, peers: Sequence[str]) -> dict[str, Any]:
    """{"rows", "machine", "programs": {name: {"wall", "cpu", "gib", "driver_gib", "ours_to_it", "ours_to_it_cpu"}}}."""
    where = os.environ.get("TRUEUP_PEERS")
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(os.environ.get("BENCH_ROOT", scratch))
        root, model = data(base, size, where)
        ours = trueup("evaluate", "--root", str(root), "--model", model, "--full", "--json", "--engine", "spark")
        cases = [Case(OURS, ours), *(peer(name, base, size, Path(where)) for name in peers if where)]
        runs: dict[str, list[dict[str, float]]] = {case.name: [] for case in cases}
        for case in cases * repeats:
            runs[case.name].append(run(case))
    programs = {name: {k: statistics.median(r[k] for r in of) for k in of[0]} for name, of in runs.items()}
    mine = programs[OURS]
    for name, theirs in programs.items():
        if name != OURS:
            theirs |= {"ours_to_it": mine["wall"] / theirs["wall"], "ours_to_it_cpu": mine["cpu"] / theirs["cpu"]}
    return {"rows": int(float(size)), "machine": machine(), "programs": programs}


def run(case: Case) -> dict[str, float]:
    """One process: seconds by the clock and of processor, peak GiB of all its processes and of those of the driver."""
    command = list(case.command)
    if "evidently" in command[1]:
        command[0] = os.environ.get("EVIDENTLY_PYTHON", command[0])
    began, seen = time.perf_counter(), {"cpu": {}, "gib": 0.0, "driver_gib": 0.0}
    with Popen(command, stdout=PIPE, stderr=PIPE, text=True, cwd=case.cwd, env={**os.environ, **case.env}) as process:
        watcher = threading.Thread(target=_watch, args=(process, seen))
        watcher.start()
        _, err = process.communicate()
        wall = time.perf_counter() - began
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}: {err[-2000:]}")
    return {"wall": wall, "cpu": sum(seen["cpu"].values()), "gib": seen["gib"], "driver_gib": seen["driver_gib"]}


def _watch(process: Popen, seen: dict[str, Any]) -> None:
    import psutil

    while process.poll() is None:
        try:
            top = psutil.Process(process.pid)
            sizes = {p: _look(p, seen["cpu"]) for p in [top, *top.children(recursive=True)]}
            driver = sum(size for p, size in sizes.items() if not _is_worker(p))
        except psutil.Error:
            return
        seen["gib"], seen["driver_gib"] = max(seen["gib"], sum(sizes.values())), max(seen["driver_gib"], driver)
        time.sleep(POLL_S)


def _look(process: Any, cpu: dict[int, float]) -> float:
    """Notes a process's seconds so far; its resident GiB."""
    import psutil

    try:
        times = process.cpu_times()
        cpu[process.pid] = times.user + times.system
        return process.memory_info().rss / 2**30
    except psutil.Error:
        return 0.0


def _is_worker(process: Any) -> bool:
    """Whether a process is one of Python's workers, or what they are forked from."""
    import psutil

    try:
        return "pyspark.daemon" in process.cmdline()
    except psutil.Error:
        return False


def text(found: dict[str, Any]) -> str:
    """The table, for people."""
    rows = [(f"{found['rows']:,} predictions; {found['machine']}", "seconds", "of processor", "GiB", "driver",
             "ours to it", "by processor")]
    for name, p in found["programs"].items():
        ratios = (f"{p['ours_to_it']:.2f}", f"{p['ours_to_it_cpu']:.2f}") if "ours_to_it" in p else ("", "")
        rows.append((name, *(f"{p[k]:.1f}" for k in ("wall", "cpu")), *(f"{p[k]:.2f}" for k in ("gib", "driver_gib")), *ratios))
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
