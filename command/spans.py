"""Where time goes, over all processes of one piece of work: `TRUEUP_SPANS_FILE` names a file to which each appends its spans.

A span is a JSON line {kind, begin, end}, in seconds of the machine's monotonic clock, which all its processes share. Without the
variable nothing is written and nothing costs anything. `trueup demo` sets it, and `attribute` tells from the file what a stretch
of time was spent on.
"""

import builtins
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

SPANS_FILE = "TRUEUP_SPANS_FILE"
# Most telling first: a moment at which several go on belongs to the first of them.
TRAINING, JAVA, START, TRAFFIC, WAITING = KINDS = ("training", "java", "start", "traffic", "waiting")
WORK = "work"  # of commands, at moments of no span
SHORTEST = 0.02  # seconds of an import that is written down
_depth = threading.local()


class Span(NamedTuple):
    """What went on from `begin` to `end`, in seconds of the monotonic clock."""

    kind: str
    begin: float
    end: float


@contextmanager
def span(kind: str) -> Iterator[None]:
    """Writes down how long the body takes, in whatever way it ends."""
    begin = time.monotonic()
    try:
        yield
    finally:
        write(kind, begin)


def write(kind: str, begin: float) -> None:
    """Writes down that something went on from `begin` (time.monotonic) until now."""
    path = os.environ.get(SPANS_FILE)
    if not path:
        return
    line = json.dumps(Span(kind, begin, time.monotonic())._asdict()) + "\n"
    try:
        with open(path, "ab", buffering=0) as file:  # one write of a line, so those of other processes do not mix with it
            file.write(line.encode())
    except OSError:  # no command fails because nobody can note its time
        pass


def note_start() -> None:
    """Writes down the time from this process's birth until now, and from now on the imports that take long. Once in a process."""
    if not os.environ.get(SPANS_FILE) or hasattr(builtins.__import__, "__wrapped__"):
        return
    if (born := _find_birth()) is not None:
        write(START, born)
    builtins.__import__ = _time_imports(builtins.__import__)
    importlib.import_module = _time_imports(importlib.import_module)


def _find_birth() -> float | None:
    """Finds when the kernel made this process, by the monotonic clock; None where it does not tell."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()  # while the machine was suspended
    except (OSError, AttributeError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK") - asleep


def _time_imports(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function with its outermost calls timed."""

    def timed(*arguments: Any, **options: Any) -> Any:
        if getattr(_depth, "inside", False):
            return function(*arguments, **options)
        _depth.inside, begin = True, time.monotonic()
        try:
            return function(*arguments, **options)
        finally:
            _depth.inside = False
            if time.monotonic() - begin >= SHORTEST:
                write(START, begin)

    timed.__wrapped__ = function  # type: ignore[attr-defined]
    return timed


def read(path: Path) -> list[Span]:
    """Returns the spans of a file; a line that a killed process left unfinished is left out."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(Span(**json.loads(line)))
        except (ValueError, TypeError):
            print(f"{path}: a line that is no span is left out: {line[:80]}", file=sys.stderr)
    return found


def attribute(spans: Iterable[Span], begin: float, end: float) -> dict[str, float]:
    """Divides the seconds from `begin` to `end` among KINDS and WORK: they add up to end - begin, whatever overlaps."""
    inside = [Span(s.kind, max(s.begin, begin), min(s.end, end)) for s in spans if s.end > begin and s.begin < end]
    seconds = dict.fromkeys((*KINDS, WORK), 0.0)
    edges = sorted({begin, end, *(s.begin for s in inside), *(s.end for s in inside)})
    for low, high in pairwise(edges):
        on = {s.kind for s in inside if s.begin <= low and s.end >= high}
        seconds[next((kind for kind in KINDS if kind in on), WORK)] += high - low
    return seconds
