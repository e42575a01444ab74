"""Which predictions people are asked about, and with what probability (docs/design.md#samples).

The rule: with salt s, a prediction is asked iff u64(sha256(s + prediction_id)) / 2^64 < p, where u64 reads the first 8
bytes of the digest of the UTF-8 text as a big-endian whole number, and p is that of the prediction's cell (predicted
label, confidence bin). So every replica draws the same, a repeat draws nothing new, and 1/p weighs the answer.

An audit needs no more than one p, but for a planned one (`neyman`), which asks most where labels decide the question of a
gate (metrics/planning). It and the strategies of a review spread a number of items over the cells: p = clip(t * appeal,
floor, 1) with t such that the expected number is as wanted. The floor keeps every cell in sight: without it a cell would
have p = 0, no weight could stand for it, and the weighted accuracy would leave it out.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pydantic import Field

from contract import clock, layout
from contract.counts import BINS, SMALLEST_P
from contract.documents.document import Document
from contract.errors import AlreadyExists, NotFound, UsageError
from contract.stores.store import Storage, create_if_absent

Kind = Literal["audit", "review"]
KINDS: tuple[str, ...] = ("audit", "review")
REST, BELOW_THRESHOLDS = "-rest", "below-thresholds"
PLANNED = "neyman"  # the strategy of an audit whose appeal was planned (`Design.appeal`)
FLOOR_SHARE = 0.2  # of the mean p: the weights of a sample then differ by a factor of 5 below the mean


class Cell(NamedTuple):
    """What a strategy sees of a prediction: the predicted label and the confidence bin (0-19, None without one)."""

    predicted: str
    bin: int | None


class CellP(Document):
    """The probability of one cell."""

    predicted: str
    bin: int | None
    p: float = Field(ge=SMALLEST_P, le=1)


class Question(Document):
    """What a planned audit is to decide: a gate, of a class or slice value (`label`) or of all, by which estimate."""

    gate: str
    label: str | None = None
    estimate: Literal["hajek", "combined"] = "hajek"


class Sample(Document):
    """`samples/<model>/dt=<day>/<kind>/sample.json`: at most one per model, day, kind and population."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    day: str
    kind: Kind
    strategy: str
    salt: str
    created_at: str
    floor: float = Field(ge=SMALLEST_P, le=1)
    default: float = Field(ge=SMALLEST_P, le=1)  # p of the cells that are not in the table
    p: list[CellP] = []
    judges: int = Field(default=1, ge=1, le=9)  # people who judge an item of the share below; others one
    second_share: float = Field(default=0.0, ge=0, le=1)
    role: str = "live"  # of the predictions that it is drawn from
    below: dict[str, float | None] | None = None  # predicted label -> threshold: only what lies below is asked (`draw_rest`)
    evaluation: str | None = None  # that the thresholds are of
    toward: Question | None = None  # of a planned audit: the gate that it is to decide

    @property
    def population(self) -> str:
        """What it is drawn from: a role, or what the thresholds leave over of a role, `<role>-rest`."""
        return self.role if self.below is None else name_rest(self.role)

    def accepts(self, cell: "Cell") -> bool:
        """Says whether predictions of a cell are taken as they are, and not asked about; a class without a threshold never is."""
        at = (self.below or {}).get(cell.predicted)
        return at is not None and cell.bin is not None and is_accepted(cell.bin, at)

    def table(self) -> dict[Cell, float]:
        """The probabilities by cell."""
        return {Cell(c.predicted, c.bin): c.p for c in self.p}


def name_rest(role: str) -> str:
    """Names what thresholds leave over of the predictions of a role."""
    return f"{role}{REST}"


def is_accepted(confidence_bin: int, threshold: float) -> bool:
    """Says whether a confidence bin lies at or above a threshold, which is the edge of a bin."""
    return confidence_bin >= round(threshold * BINS, 6)


def uniform(salt: str, prediction_id: str) -> float:
    """u64(sha256(salt + prediction_id)) / 2^64, in [0, 1] (the quotient is rounded to a double)."""
    return _hash_to_u64(salt, prediction_id) / 2**64


def is_asked(salt: str, prediction_id: str, p: float) -> bool:
    """Whether a prediction with this probability is asked; exact for every p, also where a double would round."""
    return _hash_to_u64(salt, prediction_id) < math.ldexp(p, 64)


def _hash_to_u64(salt: str, prediction_id: str) -> int:
    return int.from_bytes(hashlib.sha256((salt + prediction_id).encode()).digest()[:8], "big")


# -- strategies -------------------------------------------------------------------------------------------------------


def random_audit(cells: Mapping[Cell, int]) -> dict[Cell, float]:
    """Every prediction alike: the one to believe, and the only one that needs no counts."""
    return dict.fromkeys(cells, 1.0)


def uncertain_first(cells: Mapping[Cell, int]) -> dict[Cell, float]:
    """In proportion to (1 - the middle of the confidence bin)^4: most mistakes per answer, and the widest interval.

    The steepest of the strategies: without a floor the confident cells would all but vanish.
    """
    return {c: 1.0 if c.bin is None else (1 - (c.bin + 0.5) / BINS) ** 4 for c in cells}


def by_class(cells: Mapping[Cell, int]) -> dict[Cell, float]:
    """The same number of items for each predicted label: says something about rare classes too."""
    return _evenly(cells, {c: c.predicted for c in cells})


def by_confidence(cells: Mapping[Cell, int]) -> dict[Cell, float]:
    """The same number of items for each confidence bin: what calibration and thresholds need."""
    return _evenly(cells, {c: c.bin for c in cells})


def _evenly(cells: Mapping[Cell, int], group: Mapping[Cell, str | int | None]) -> dict[Cell, float]:
    sizes: dict[str | int | None, int] = {}
    for cell, n in cells.items():
        sizes[group[cell]] = sizes.get(group[cell], 0) + n
    return {c: 1 / max(sizes[group[c]], 1) for c in cells}


# A strategy gives each cell of the day's counts an appeal; only proportions matter.
STRATEGIES: dict[str, Callable[[Mapping[Cell, int]], dict[Cell, float]]] = {
    "random-audit": random_audit,
    "uncertain-first": uncertain_first,
    "by-class": by_class,
    "by-confidence": by_confidence,
}


def spread(cells: Mapping[Cell, int], appeal: Mapping[Cell, float], items: float, floor: float) -> dict[Cell, float]:
    """p = clip(t * appeal, floor, 1) with sum(n * p) = items, t by bisection; all 1 or all floor at the ends."""
    def expected(t: float) -> float:
        return sum(n * min(1.0, max(floor, t * appeal[c])) for c, n in cells.items())

    low, high = 0.0, 1 / min(appeal.values(), default=1.0)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(middle) < items else (low, middle)
    return {c: min(1.0, max(floor, high * appeal[c])) for c in cells}


@dataclass(frozen=True)
class Design:
    """How a sample is to be drawn: by which strategy and salt, how many, and by how many people it is judged.

    Its size is a mean probability `p` in (0, 1], or an expected number of `items`: exactly one of the two. `floor` is the
    least probability of any cell (default: FLOOR_SHARE of the mean). `role`: of the predictions that it is drawn from.
    """

    strategy: str
    salt: str
    p: float | None = None
    items: int | None = None
    floor: float | None = None
    judges: int = 1
    second_share: float = 0.0
    role: str = "live"
    appeal: Mapping[Cell, float] | None = None  # of the planned strategy: what the probabilities are in proportion to
    toward: Question | None = None


def draw(model: str, day: str, kind: str, design: Design, cells: Mapping[Cell, int] | None = None) -> Sample:
    """Makes the document of a sample; `cells` are the day's counts, which a random audit by `p` can do without.

    UsageError says which option is missing or does not fit.
    """
    strategy, p, items = design.strategy, design.p, design.items
    planned = strategy == PLANNED and design.appeal is not None
    if kind not in KINDS or not (planned or strategy in STRATEGIES):
        raise UsageError(f"expected a kind among {', '.join(KINDS)} and a strategy among {', '.join(STRATEGIES)}, "
                         f"got {kind!r} and {strategy!r}.")
    if kind == "audit" and not (planned or strategy == "random-audit"):
        raise UsageError(f"an audit asks about every prediction alike: expected the strategy random-audit, got "
                         f"{strategy!r}. Use --kind review for the others, or plan one: trueup review plan.")
    if (p is None) == (items is None):
        raise UsageError("expected one of a probability (--p 0.1) and a number of items (--items 200).")
    total = sum((cells or {}).values())
    if (items is not None or strategy != "random-audit") and not total:
        raise UsageError(f"model {model!r} has no predictions in the bucket on {day}: nothing to spread items over. "
                         f"Wait until the service has shipped them, or draw a random audit with --p.")
    mean = _in_range(p if p is not None else min(1.0, items / total))  # type: ignore[operator]
    if strategy == "random-audit":
        table, least = {}, mean
    else:
        least = _in_range(design.floor if design.floor is not None else mean * FLOOR_SHARE)
        appeal = design.appeal if design.appeal is not None and planned else STRATEGIES[strategy](cells or {})
        table = spread(cells or {}, appeal, mean * total, least)
    return Sample(model=model, day=clock.parse_day(day), kind=kind, strategy=strategy, salt=design.salt,
                  created_at=clock.iso(clock.now()), floor=least, default=mean, judges=design.judges,
                  second_share=design.second_share, role=design.role, toward=design.toward,
                  p=[CellP(predicted=c.predicted, bin=c.bin, p=v) for c, v in sorted(table.items(), key=_order)])


def draw_rest(model: str, day: str, design: Design, below: Mapping[str, float | None], evaluation: str) -> Sample:
    """Makes the document of a sample of what thresholds leave over: each such prediction is asked with probability `design.p`.

    Its answers are labels and no part of an estimate: the predictions above the thresholds have no chance of being asked,
    so no weight can stand for all. `below`: predicted label -> threshold (None: nothing of it is accepted).
    """
    p = _in_range(1.0 if design.p is None else design.p)
    return Sample(model=model, day=clock.parse_day(day), kind="review", strategy=BELOW_THRESHOLDS, salt=design.salt,
                  created_at=clock.iso(clock.now()), floor=p, default=p, judges=design.judges,
                  second_share=design.second_share, role=design.role, below=dict(below), evaluation=evaluation)


def _in_range(p: float) -> float:
    if not 0 < p <= 1:
        raise UsageError(f"expected a probability above 0 and at most 1, got {p:g}.")
    return max(p, SMALLEST_P)


def _order(entry: tuple[Cell, float]) -> tuple[str, int]:
    cell = entry[0]
    return cell.predicted, -1 if cell.bin is None else cell.bin


def draw_rows(sample: Sample, rows: Iterable[tuple[str, str, int | None]]) -> Iterable[tuple[int, float]]:
    """Of rows (prediction_id, predicted label, bin): the places of those asked, each with its probability."""
    table = sample.table()
    for i, (prediction_id, predicted, bin_) in enumerate(rows):
        cell = Cell(predicted, bin_)
        if sample.accepts(cell):
            continue
        p = table.get(cell, sample.default)
        if is_asked(sample.salt, prediction_id, p):
            yield i, p


def expected(sample: Sample, cells: Mapping[Cell, int]) -> float:
    """How many predictions of these counts the sample asks about, on average: what response rates are measured by."""
    table = sample.table()
    return math.fsum(n * table.get(cell, sample.default) for cell, n in cells.items() if not sample.accepts(cell))


def opinions(sample: Sample, prediction_id: str) -> int:
    """How many people are to judge an item: `judges` for the hash-chosen share, else one."""
    return sample.judges if is_asked(f"second:{sample.salt}", prediction_id, sample.second_share) else 1


def write(storage: Storage, sample: Sample) -> None:
    """Creates the document; AlreadyExists says what the sample of that day is (it cannot be drawn again)."""
    key = layout.sample_document(sample.model, sample.day, sample.kind, sample.population)
    if sample.kind == "review" and sample.below is None:
        _refuse_after_rest(storage, sample)
    if not create_if_absent(storage, key, sample.to_bytes()):
        there = Sample.load(storage, key)
        raise AlreadyExists(f"the {sample.kind} sample of {sample.model!r} on {sample.day} was drawn at "
                            f"{there.created_at} ({there.strategy}, mean p {there.default:g}): a second one would "
                            f"change the probabilities of labels that exist. Choose another day or kind.")


def _refuse_after_rest(storage: Storage, sample: Sample) -> None:
    """AlreadyExists: what thresholds left over of these predictions is asked about, by answers that have no probability."""
    if read(storage, sample.model, sample.day, "review", name_rest(sample.role)):
        raise AlreadyExists(f"the predictions of {sample.model!r} on {sample.day} below their thresholds are asked about "
                            f"already, at /review, without a probability: an answer that comes first has no weight, so a review "
                            f"sample could not stand for all. Draw an audit (--kind audit), or choose another day.")


def read(storage: Storage, model: str, day: str, kind: str, population: str = "live") -> Sample | None:
    """The sample of a day, None when none was drawn. `population`: as in `Sample.population`."""
    try:
        return Sample.load(storage, layout.sample_document(model, day, kind, population))
    except NotFound:
        return None
