"""Which question an audit is planned for: what `--towards` says, or what the newest decision leaves open."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from contract.errors import UsageError, shorten
from contract.evaluations import UNDECIDED
from metrics.planning.allocation import KINDS, Towards, measure_distance

# gate -> the kind of figure that its labels decide; other gates ask for a number of labels, or for none
OF_GATE = {"accuracy": "overall", "drop_from_baseline": "overall", "drop_from_trivial": "overall",
           "class_recall": "recall", "class_precision": "precision", "slices": "slice"}
GATES = {"overall": "accuracy", "class": "class_recall", "recall": "class_recall", "precision": "class_precision",
         "slice": "slices"}
JUDGED = ("pass", "fail", UNDECIDED)


class Open(NamedTuple):
    """A question, the gate that asks it, and why it is the one, in words."""

    towards: Towards
    gate: str
    why: str


def parse_towards(text: str) -> Open:
    """Parses `overall`, `class:NAME` (precision and recall), `precision:NAME`, `recall:NAME` or `slice:NAME=VALUE`.

    UsageError.
    """
    kind, _, name = text.partition(":")
    fits = kind == "overall" and not name or kind in KINDS[1:] and bool(name) and (kind != "slice" or "=" in name)
    if not fits:
        raise UsageError(f"--towards: expected overall, class:NAME, precision:NAME, recall:NAME or slice:NAME=VALUE, "
                         f"got {shorten(text)}.")
    return Open(Towards(kind, name or None), GATES[kind], "as --towards says")


def choose_question(decision: Mapping[str, Any] | None) -> Open:
    """Chooses what the newest decision cannot tell, what blocks first; else what is nearest to its bound; else accuracy."""
    if decision is None:
        return Open(Towards(), "accuracy", "no gate has decided yet")
    return _find_undecided(decision) or _find_nearest(decision) or Open(Towards(), "accuracy", "no gate is near its bound")


def _find_undecided(decision: Mapping[str, Any]) -> Open | None:
    """Finds the first wish that a number of labels fulfils; they are sorted: blocking first, then by fewest labels."""
    wished = [row for row in (decision.get("wishes") or {}).get("rows", ()) if row["gate"] in OF_GATE]
    row = next((row for row in wished if row["labels"] is not None), next(iter(wished), None))
    if row is None:
        return None
    return _open(row["gate"], row["label"], "the newest decision cannot tell it" if row["blocks"] else
                 "the newest decision leaves it open")


def _find_nearest(decision: Mapping[str, Any]) -> Open | None:
    near = min(_list_distances(decision), default=None)
    return _open(near[1], near[2] or None, "of all that is decided it is nearest to its bound") if near else None


def _list_distances(decision: Mapping[str, Any]) -> Iterator[tuple[float, str, str]]:
    """Yields (distance from the bound in widths of its interval, gate, label) of every judged share."""
    for gate in decision["gates"]:
        if gate["gate"] not in OF_GATE or gate["gate"].startswith("drop"):
            continue
        for row in gate.get("classes") or [gate]:
            low, high, value = (row.get(name) for name in ("low", "high", "value"))
            if row["verdict"] in JUDGED and value is not None and low is not None and high is not None and high > low:
                yield measure_distance(value, gate["bound"], high, low), gate["gate"], row.get("label") or ""


def _open(gate: str, label: str | None, why: str) -> Open:
    return Open(Towards(OF_GATE[gate], label), gate, why)
