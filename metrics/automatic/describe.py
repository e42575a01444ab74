"""What thresholds automate of one version, as a document."""

from collections.abc import Iterable, Mapping, Sequence

from contract.confidence import EDGES
from contract.counts import BINS
from contract.evidence.automatic import Accepted, AcceptedOfClass, AtThreshold, Target, VersionAutomatic
from contract.texts.figures import write_bound, write_count, write_figure, write_number, write_percent
from metrics.automatic.graded import Graded, Part, find_share
from metrics.automatic.targets import choose_threshold

MOST_CLASSES = 1000


def describe(whole: Graded, afterwards: Graded | None, thresholds: Mapping[str, float], classes: Iterable[str],
             targets: Sequence[float], level: float, *, chosen: bool, hold: bool) -> VersionAutomatic:
    """Describes one version.

    `afterwards`: its predictions of the days that did not choose (None: there are none). `thresholds`: predicted label ->
    confidence, empty where they do not `hold`. `chosen`: whether thresholds are in force at all, of whatever version.
    """
    shown = sorted({*classes, *whole.places}, key=lambda name: (-whole.count_class(name), name))
    later = None if afterwards is None else _describe_part(afterwards, afterwards.accept(thresholds), level)
    told: VersionAutomatic = {
        "origin": whole.origin, "weighted": whole.weighted, "hold": hold,
        "all": _describe_part(whole, whole.accept(thresholds), level), "afterwards": later if hold else None,
        "per_class": [_describe_class(whole, name, thresholds.get(name), level) for name in shown[:MOST_CLASSES]] if hold else [],
        "classes_omitted": max(len(shown) - MOST_CLASSES, 0) if hold else 0,
        "curve": [_describe_threshold(whole, k, level) for k in range(BINS - 1, -1, -1)],
        "targets": [choose_threshold(whole, target, level) for target in targets], "sentence": ""}
    told["sentence"] = say(told, chosen)
    return told


def _describe_part(graded: Graded, part: Part, level: float) -> Accepted:
    accuracy, labelled = graded.judge(part.sums, level)
    return {"predictions": graded.predictions, "accepted": part.n, "share": find_share(part, graded.predictions),
            "labelled": labelled, "unsupported": part.unsupported, "accuracy": accuracy}


def _describe_class(graded: Graded, name: str, at: float | None, level: float) -> AcceptedOfClass:
    part, n = graded.accept_class(name, at), graded.count_class(name)
    accuracy, labelled = graded.judge(part.sums, level)
    return {"predicted": name, "threshold": at, "predictions": n, "accepted": part.n, "share": find_share(part, n),
            "labelled": labelled, "accuracy": accuracy}


def _describe_threshold(graded: Graded, k: int, level: float) -> AtThreshold:
    part = graded.from_bin[k]
    accuracy, labelled = graded.judge(part.sums, level)
    return {"threshold": EDGES[k], "accepted": part.n, "share": find_share(part, graded.predictions), "labelled": labelled,
            "accuracy": accuracy}


def say(told: VersionAutomatic, chosen: bool) -> str:
    """What is automatic, and what targets would make so, in a sentence."""
    return f"{_say_now(told, chosen)}; {_say_targets(told['targets'])}." if told["targets"] else f"{_say_now(told, chosen)}."


def _say_now(told: VersionAutomatic, chosen: bool) -> str:
    if not told["hold"]:
        return "the thresholds are of another version, so every answer is for review" if chosen else "no thresholds are in force"
    whole, later = told["all"], told["afterwards"]
    said = (f"{write_percent(whole['share'], 1)} of {write_number(whole['predictions'])} answers are accepted unseen, "
            f"{_say_right(whole)}")
    if later is None or not later["labelled"]:
        return f"{said}, by labels of which some chose the thresholds, so that it flatters"
    return f"{said}; over days that did not choose the thresholds {write_percent(later['share'], 1)}, {_say_right(later)}"


def _say_right(part: Accepted) -> str:
    if part["accuracy"]["value"] is None:
        return "and nobody has labelled one of them"
    return f"of which {write_figure(part['accuracy'])} are right ({write_count(part['labelled'], 'label')})"


def _say_targets(targets: Sequence[Target]) -> str:
    told = [f"{write_percent(t['share'], 1)} for {write_bound(t['target'])} right (confidence {t['threshold']:g} on)"
            if t["threshold"] is not None else f"none for {write_bound(t['target'])}" for t in targets]
    return f"a common threshold would accept {', '.join(told)}"
