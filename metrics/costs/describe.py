"""The costs of one version as a document: overall, per class, the dearest mistakes, thresholds."""

from collections.abc import Collection

import numpy as np

from contract.counts import ORIGINS, Origin
from contract.documents.version_figures import Figure
from contract.evidence.mistake_cost import CostOfClass, CostThreshold, CostWithThresholds, DearPair, VersionCost
from contract.texts.figures import write_cost, write_costs
from metrics.cells import Cells
from metrics.costs.expected import PER, expect_cost
from metrics.costs.table import CellCosts, Costs, Levels, list_levels, price
from metrics.costs.thresholds import ENOUGH, Chosen, add_up, choose_threshold, look_at_all
from metrics.figure import missing, ratio

NO_ROWS = "no labels"
MOST_CLASSES, MOST_PAIRS = 1000, 20


class Priced:
    """The labelled cells of one version and origin with what each costs. `weighted`: rows stand for 1 / their probability."""

    def __init__(self, cells: Cells, origin: Origin, costs: Costs, classes: Collection[str], level: float, *,
                 weighted: bool) -> None:
        self.cells = cells.where(cells.labelled & (cells.origin == ORIGINS.index(origin)))
        if weighted:
            self.cells = self.cells.where(self.cells.sum_weight > 0)
        self.costs, self.level, self.weighted = costs, level, weighted
        self.classes = sorted({*classes, *self.cells.classes})
        self.price = price(costs, self.cells, self.classes)
        self.levels: Levels = list_levels(costs, self.classes)

    def expect(self, chosen: np.ndarray | None = None, levels: list[float] | None = None, reason: str = NO_ROWS) -> Figure:
        """The cost per 1,000 predictions of all cells, or of some."""
        cells, of = (self.cells, self.price) if chosen is None else (self.cells.where(chosen), self.choose(chosen))
        return expect_cost(cells, of, self.levels.all if levels is None else levels, self.level, weighted=self.weighted,
                           reason=reason, of_class=chosen is not None)

    def choose(self, chosen: np.ndarray) -> CellCosts:
        """The costs of some cells."""
        return CellCosts(self.price.value[chosen], self.price.least[chosen], self.price.most[chosen])

    @property
    def weight(self) -> np.ndarray:
        """How many predictions each cell stands for, up to a factor."""
        return self.cells.sum_weight if self.weighted else self.cells.n.astype(float)


def describe(cells: Cells | None, origin: Origin | None, costs: Costs, classes: Collection[str], level: float, *,
             weighted: bool) -> VersionCost:
    """What the mistakes of a version cost, over the labelled rows of the origin that its estimate rests on."""
    if cells is None or origin is None:
        return {"origin": None, "weighted": False, "labelled": 0, "unnamed": 0, "per_1000": missing(NO_ROWS), "per_class": [],
                "classes_omitted": 0, "dearest": [], "thresholds": [], "with_thresholds": None, "sentence": "no labels, so the "
                "cost of its mistakes is not known."}
    priced = Priced(cells, origin, costs, classes, level, weighted=weighted)
    figure, shown = priced.expect(), priced.classes[:MOST_CLASSES]
    thresholds = [] if costs.review is None else [choose_for(priced, name) for name in shown]
    return {
        "origin": origin, "weighted": weighted, "labelled": int(priced.cells.n.sum()),
        "unnamed": int(priced.cells.n[priced.cells.unnamed].sum()), "per_1000": figure,
        "per_class": [_describe_class(priced, name) for name in shown], "classes_omitted": len(priced.classes) - len(shown),
        "dearest": list_dearest(priced), "thresholds": [row for row, _ in thresholds],
        "with_thresholds": _sum_up([chosen for _, chosen in thresholds]), "sentence": _say(figure, thresholds)}


def _describe_class(priced: Priced, name: str) -> CostOfClass:
    cells = priced.cells
    code = cells.names.index(name) if name in cells.names else len(cells.names)
    answered, labelled = cells.predicted == code, cells.label == code
    return {"label": name, "answers": int(cells.n[answered].sum()), "support": int(cells.n[labelled].sum()),
            "as_answer": priced.expect(answered, priced.levels.of_answer.get(name, []), "no labelled prediction answers it"),
            "as_label": priced.expect(labelled, priced.levels.of_label.get(name, []), "no label names it")}


def list_dearest(priced: Priced) -> list[DearPair]:
    """The kinds of mistakes that make most of the cost, dearest first."""
    cells, weight = priced.cells, priced.weight
    key = cells.label * len(cells.names) + cells.predicted
    pairs, first, place = np.unique(key, return_index=True, return_inverse=True)
    cost, count = np.bincount(place, weight * priced.price.value, len(pairs)), np.bincount(place, cells.n, len(pairs))
    order = [i for i in np.argsort(-cost, kind="stable")[:MOST_PAIRS] if cost[i] > 0]
    return [{"label": cells.names[cells.label[first[i]]], "predicted": cells.names[cells.predicted[first[i]]],
             "cost": float(priced.price.value[first[i]]), "count": int(count[i]),
             "per_1000": float(PER * cost[i] / weight.sum())} for i in order]


def choose_for(priced: Priced, name: str) -> tuple[CostThreshold, Chosen]:
    """The threshold of one predicted class, or why it has none: then all that answer it are looked at."""
    cells = priced.cells
    mine = cells.predicted == (cells.names.index(name) if name in cells.names else len(cells.names))
    answers = int(cells.n[mine].sum())
    found = choose_threshold(cells.where(mine), priced.choose(mine), priced.costs.review or 0.0, weighted=priced.weighted)
    if answers < ENOUGH:
        reason = f"expected {ENOUGH} labelled predictions that answer it"
        return {"predicted": name, "threshold": None, "answers": answers, "accepted": None, "per_1000": None,
                "accepting_all": None, "reviewing_all": None, "accepted_cost": missing(reason),
                "reason": reason}, look_at_all(found)
    accepted = priced.expect(mine & (cells.bin >= found.from_bin), priced.levels.of_answer.get(name, []), "none is accepted")
    return {"predicted": name, "threshold": found.threshold, "answers": answers, **_per_1000(found),
            "accepted_cost": accepted}, found


def _per_1000(found: Chosen) -> CostWithThresholds:
    return {"accepted": ratio(found.accepted, found.weight), "per_1000": PER * ratio(found.cost, found.weight),
            "accepting_all": PER * ratio(found.cost_of_all, found.weight),
            "reviewing_all": PER * ratio(found.cost_of_review, found.weight)}


def _sum_up(chosen: list[Chosen]) -> CostWithThresholds | None:
    return _per_1000(add_up(chosen)) if any(c.weight for c in chosen) else None


def _say(figure: Figure, thresholds: list[tuple[CostThreshold, Chosen]]) -> str:
    told = f"its mistakes cost {write_costs(figure)} per 1,000 predictions"
    together = _sum_up([chosen for _, chosen in thresholds])
    if together is None:
        return f"{told}."
    return (f"{told}; accepting what lies above the thresholds and looking at the rest would cost "
            f"{write_cost(together['per_1000'])}, accepting all {write_cost(together['accepting_all'])}, looking at all "
            f"{write_cost(together['reviewing_all'])}.")
