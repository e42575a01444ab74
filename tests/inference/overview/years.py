"""A model's history of many days as its documents alone: evaluations of windows, decisions, what went live."""

from datetime import date, timedelta

from contract import jsonio, layout
from tests import figures
from tests.inference.small_service import MODEL

LAST = date(2026, 11, 20)
SAYS = {"pass": "passes", "fail": "fails"}


def write_history(storage, days: int, window: int = 7, every: int = 7, bad_from: int | None = None) -> list[str]:
    """An evaluation of `window` days each `every` days, judged; from day `bad_from` (counted from the first) the gate fails.

    Returns the days. Accuracy is 95% of 40 audit labels a day, or 70%.
    """
    named = [(LAST - timedelta(days=days - 1 - i)).isoformat() for i in range(days)]
    counts = {}
    for i, name in enumerate(named):
        right = 28 if bad_from is not None and i >= bad_from else 38
        cells = [figures.cell("cat", "cat", 0.9, "audit", 0.5, n=right),
                 figures.cell("cat", "dog", 0.8, "audit", 0.5, n=40 - right)]
        counts[name] = figures.day(cells, name)
    for end in range(days, 0, -every):
        of = [counts[name] for name in named[max(end - window, 0):end]]
        write_evaluation(storage, of, "fail" if bad_from is not None and end > bad_from else "pass")
    return named


def write_evaluation(storage, days, verdict: str, version: str = "1") -> str:
    """One judged evaluation, made at noon after its last day."""
    as_of = date.fromisoformat(days[-1].day) + timedelta(days=1)
    name = f"{as_of:%Y%m%d}T120000Z-00000000"
    document = figures.document(*days, model=MODEL)
    document["as_of"] = f"{as_of}T12:00:00.000000Z"
    document["newest_day"] = days[-1].day
    storage.put(layout.evaluation_document(MODEL, name), jsonio.dumps(document))
    decision = {"verdict": verdict, "version": version, "evaluation": name, "as_of": document["as_of"],
                "window": document["window"], "reasons": [], "sentence": f"Version {version} {SAYS[verdict]}.",
                "gates": [{"gate": "accuracy", "verdict": verdict, "bound": 0.9, "sentence": "x"}]}
    storage.put(layout.decision(MODEL, name), jsonio.dumps(decision))
    return name
