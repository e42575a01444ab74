"""Whole processes, measured: wall time, processor time, memory of the process and its children."""

import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

POLL_S = 0.05


@dataclass(frozen=True)
class Run:
    """One process and all that it started: seconds by the clock and of processor, peak resident GiB (shared pages count
    once for each process), and its standard output."""

    wall: float
    cpu: float
    gib: float
    out: str


@dataclass
class Case:
    """A command to be measured, what it gave so far, and (optional) what to do before each run."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    before: Any = None
    runs: list[Run] = field(default_factory=list)

    def median(self, what: str) -> float:
        """The median of one figure over the runs."""
        return statistics.median(getattr(r, what) for r in self.runs)


def alternate(cases: Sequence[Case], repeats: int) -> None:
    """Runs the cases one after another, `repeats` times over, so that what else the machine does hurts them alike."""
    for _ in range(repeats):
        for case in cases:
            if case.before:
                case.before()
            case.runs.append(run_timed(case))


def run_timed(case: Case) -> Run:
    """One run. RuntimeError with the end of its standard error when it fails."""
    import resource

    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(case.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=case.cwd,
                               env={**os.environ, **case.env})
    peak: list[float] = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
    watcher.start()
    out, err = process.communicate()
    wall = time.perf_counter() - began
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, case.command))}: exit code {process.returncode}: {err[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, peak[0] / 2**30, out)


def _watch(process: subprocess.Popen, peak: list[float]) -> None:
    import psutil

    while process.poll() is None:
        try:
            top = psutil.Process(process.pid)
            peak[0] = max(peak[0], sum(_rss(p) for p in [top, *top.children(recursive=True)]))
        except psutil.Error:
            return
        time.sleep(POLL_S)


def _rss(process: Any) -> int:
    import psutil

    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def trueup(*arguments: str) -> list[str]:
    """The command line of this checkout."""
    return [sys.executable, "-m", "pipeline.cli", *arguments]


def machine() -> str:
    """What a figure was measured on."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}), {gib:.0f} GiB"


def today() -> str:
    """The date of a record."""
    return datetime.now(UTC).date().isoformat()


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side: the first to the left, the others to the right."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(t.ljust(w) if i == 0 else t.rjust(w) for i, (t, w) in enumerate(zip(r, widths, strict=True)))
                     for r in rows)
