"""Plans an audit: the probabilities of a day's cells by what earlier labels say of them, for days that have no audit yet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from contract import counts_store, samples
from contract.counts import DayCounts
from contract.errors import AlreadyExists, Mismatch, NotFound, UsageError, pass_over
from contract.evaluations import find_newest_to_judge, read_evaluation
from contract.policy import GatePolicy
from contract.samples import PLANNED, Cell, Design, Question, Sample
from contract.stores.store import Storage
from inference.planning.questions import Open
from metrics.planning.allocation import (
    LEAST_KISH,
    Estimate,
    choose_floor,
    compare_variance,
    estimate_moments,
    expect_kish,
    find_appeal,
)
from metrics.planning.rates import Rates, estimate_rates, select_history, share_of_slice

WEIGHED = ("audit", "review")  # within a cell all were asked alike, so their plain share there is unbiased


@dataclass(frozen=True)
class Plan:
    """What is to be asked: the design, the samples of the days, and what they are expected to tell.

    `relative`: estimate -> variance of the figure over that of as many labels asked alike (null: it rests on no cell).
    """

    question: Open
    estimate: Estimate
    design: Design
    samples: list[Sample]
    cells: Mapping[Cell, int]
    rates: Rates
    relative: Mapping[str, float | None]
    kish: float

    @property
    def expected(self) -> float:
        """How many predictions are asked about on average."""
        return samples.expected(self.samples[-1], self.cells)


def require_unaudited(storage: Storage, model: str, days: Iterable[str], role: str, free: Iterable[str] = ()) -> None:
    """AlreadyExists: of days that have an audit of these predictions; says why it stays, and which days have none."""
    there = [day for day in days if samples.read(storage, model, day, "audit", role)]
    if there:
        without = [day for day in free if not samples.read(storage, model, day, "audit", role)]
        cure = f"Plan days without one: {', '.join(without[-3:])}." if without else "Plan another day."
        raise AlreadyExists(f"{', '.join(there[:3])}: expected days without an audit of {model!r}. A drawn audit is not topped "
                            f"up: its rows keep the probability that they were drawn with, so those added to them make the "
                            f"estimate wrong (0.850 for a true 0.896 when it was simulated). {cure}")


def make_plan(by_day: Mapping[str, Mapping[Cell, int]], history: list[DayCounts], version: str | None, question: Open,
              policy: GatePolicy, design: Design, model: str) -> Plan:
    """Makes the plan of some days (day -> cell -> predictions), which share one table of probabilities.

    Toward accuracy by the estimate that the policy judges; all other gates judge Hajek's shares. UsageError: the figure
    rests on none of their predictions.
    """
    estimate: Estimate = "combined" if policy.estimate == "combined" and question.towards.kind == "overall" else "hajek"
    cells: dict[Cell, int] = {}
    for counted in by_day.values():
        for cell, n in counted.items():
            cells[cell] = cells.get(cell, 0) + n
    rates = estimate_rates(cells, select_history(history, version, {*WEIGHED, *policy.trusted_origins}))
    in_slice = _find_slice(history, question)
    moments = {kind: estimate_moments(question.towards, rates, kind, in_slice) for kind in ("hajek", "combined")}
    if not moments[estimate].any():
        raise UsageError(f"--towards {question.towards.text}: nothing on {', '.join(sorted(by_day)[:3])} was predicted so or is "
                         f"expected to be so. Check the name; it is compared letter by letter.")
    appeal = find_appeal(rates, moments[estimate])
    floor = design.floor or choose_floor(rates, appeal, design.items or 0, _need_kish(question, design.items or 0))
    toward = Question(gate=question.gate, label=question.towards.name, estimate=estimate)
    chosen = replace(design, strategy=PLANNED, floor=floor, appeal=appeal, toward=toward)
    drawn = samples.draw(model, max(by_day), "audit", chosen, cells)
    table = drawn.table()
    return Plan(question, estimate, chosen, [drawn.model_copy(update={"day": day}) for day in sorted(by_day)], cells, rates,
                {kind: compare_variance(rates, of, table) for kind, of in moments.items()}, expect_kish(rates, table))


def _need_kish(question: Open, items: int) -> float:
    """Returns the Kish size that the accuracy gate needs before it says anything; fewer labels than that are to lose none of it,
    so all predictions are asked with one probability."""
    return min(LEAST_KISH, items) if question.towards.kind == "overall" else 0.0


def _find_slice(history: list[DayCounts], question: Open) -> dict[str, float] | None:
    if question.towards.kind != "slice":
        return None
    name, _, value = (question.towards.name or "").partition("=")
    found = share_of_slice(history, name, value)
    if not found:
        raise UsageError(f"--towards {question.towards.text}: the newest evaluation counted no such slice. Declare it "
                         f"(evaluate.slices), evaluate, and plan then.")
    return found


def read_history(storage: Storage, model: str, role: str) -> list[DayCounts]:
    """Reads the counts of the newest evaluation; none where there is none of this role, or its counts cannot be used."""
    try:
        evaluation = read_evaluation(storage, model, find_newest_to_judge(storage, model))
        return counts_store.load_all(storage, evaluation) if evaluation["role"] == role else []
    except NotFound:
        return []
    except Mismatch as error:
        pass_over(error)
        return []
