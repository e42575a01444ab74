"""What a check of documents finds, as the processes that check hand it on: one row for each object, figure by figure.

jobs/verifying counts raw files again and builds an evaluation from that, pipeline/verifying checks decisions, cards and the
history; both say it in these words.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isclose
from typing import Any, NotRequired, TypedDict

from contract.errors import CANNOT_TELL, DONE, GATE_SAYS_NO

EQUAL, DIFFERS, MISSING = "equal", "differs", "missing"
EXPIRED, ERASED, UNKNOWN = "expired", "erased", "cannot tell"  # gone by a setting, gone on request, not to be told
UNHASHED, TOLD = "no content hash", "not recomputed"  # said beside what was found; neither speaks against anything
STATES = (DIFFERS, MISSING, EXPIRED, ERASED, UNKNOWN, UNHASHED, TOLD, EQUAL)  # worst first
BAD, OPEN = (DIFFERS, MISSING), (EXPIRED, ERASED, UNKNOWN)
SAME = 1e-9  # of a figure's size: other machines and releases of libraries round the last digits otherwise
# What tells the rows of a list apart: the first of these that do.
NAMES = ("gate", "label", "predicted", "version", "day", "slice", "days", "origin", "labeler", "k", "kind", "name",
         "model_version", "value", "low")


class Figure(TypedDict):
    """A figure that was told, and what came out now; None: there is none."""

    figure: str
    told: Any
    recomputed: Any


class Finding(TypedDict):
    """What was found about one object. `equal` figures came out as told, `differ` did not."""

    of: str
    state: str
    said: str
    equal: NotRequired[int]
    differ: NotRequired[list[Figure]]


def say(of: str, state: str, said: str) -> Finding:
    """A finding without figures."""
    return {"of": of, "state": state, "said": said}


def conclude(findings: Iterable[Finding]) -> int:
    """The exit code: 3 something differs or is missing, 4 something cannot be told, 0 everything is equal."""
    states = {finding["state"] for finding in findings}
    return GATE_SAYS_NO if states & set(BAD) else CANNOT_TELL if states & set(OPEN) else DONE


def compare(of: str, told: Any, recomputed: Any, what: str = "figures") -> Finding:
    """Compares two JSON values leaf by leaf; numbers are equal within 1e-9 of their size."""
    mine, theirs = dict(list_figures(told)), dict(list_figures(recomputed))
    names = [*mine, *(name for name in theirs if name not in mine)]
    differ: list[Figure] = [
        {"figure": name, "told": mine.get(name), "recomputed": theirs.get(name)} for name in names
        if name not in mine or name not in theirs or not is_same(mine[name], theirs[name])]
    equal = len(mine) - sum(f["figure"] in mine for f in differ)
    many = f"{equal:,} {what} equal"
    said = f"{len(differ):,} of {equal + len(differ):,} {what} differ" if differ else many
    return {"of": of, "state": DIFFERS if differ else EQUAL, "said": said, "equal": equal, "differ": differ}


def is_same(one: Any, other: Any) -> bool:
    """Whether two leaves are one figure."""
    if isinstance(one, bool) or isinstance(other, bool) or not (isinstance(one, int | float) and isinstance(other, int | float)):
        return type(one) is type(other) and bool(one == other)
    return one == other or isclose(one, other, rel_tol=SAME, abs_tol=SAME * SAME)


def list_figures(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (path, leaf) of a JSON value: `versions.3.per_class[cat].recall.low`. Empty lists and objects are leaves."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from list_figures(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple) and value:
        for name, inner in zip(_name_rows(value), value, strict=True):
            yield from list_figures(inner, f"{path}[{name}]")
    else:
        yield path, value


def _name_rows(rows: Sequence[Any]) -> list[str]:
    """Names the rows of a list by what tells them apart, else by their place."""
    for most in range(1, len(NAMES) + 1) if all(isinstance(row, Mapping) for row in rows) else ():
        named = ["/".join(str(row[name]) for name in NAMES[:most] if not isinstance(row.get(name, {}), Mapping | list))
                 for row in rows]
        if all(named) and len(set(named)) == len(named):
            return named
    return [str(n) for n in range(len(rows))]
