"""How many labels decide when an audit is planned (`trueup review plan`), beside one that asks every answer alike.

    python -m benchmarks.review_plan [--runs 200] [--seed 1] [--json]         for the record: --runs 4000

A day of 20,000 answers of ten classes; a log says how confidence is spread, and how far the truth lies below it. An earlier
random audit of 300 says by what the next one is planned. That is drawn, answered and judged by the rule of the accuracy
gate: it passes when the interval lies above the bound, and fails by its p. Shown is how many labels decide in 80% of runs,
with Hajek's share and with the combined estimate, each beside a random audit that is judged by the same estimate, and how
often the interval covers the truth. Rates, probabilities, estimates and tests are the product's own functions. Below stands
the least with which a fail could be decided, by a plan that knows the truth.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

from benchmarks.review_limit import KnownDay
from benchmarks.simulation import read_options
from benchmarks.uneven_years import shares
from contract.counts import CELLS, CONFIDENCE_SCALE, WEIGHT_SCALE
from contract.samples import PLANNED, Cell, Design, draw
from metrics.intervals import wilson
from metrics.planning.allocation import LEAST_KISH, Estimate, Towards, choose_floor, estimate_moments, find_appeal
from metrics.planning.rates import estimate_rates
from metrics.selection.combined import combine_audit
from metrics.significance.share_of_origin import ENOUGH_KISH, p_of_share
from metrics.strata.collapse import group_strata
from metrics.strata.strata import SILENT, Strata

CLASSES, DAY, EARLIER = 10, 20_000, 300
LEVEL, POWER, MOST_PLANS = 0.05 / 365, 0.8, 40
BUDGETS = np.unique(np.geomspace(60, 1500, 14).astype(int))
ESTIMATES: tuple[Estimate, ...] = ("hajek", "combined")
# log -> (a, b) of the beta distribution of confidence, and how far the truth lies below it; the model is right in about 90%
LOGS: dict[str, tuple[float, float, float]] = {
    "calibrated, sharp": (0.9, 0.1, 0.0), "calibrated": (1.8, 0.2, 0.0), "calibrated, blunt": (9.0, 1.0, 0.0),
    "overconfident by 5 points": (1.9, 0.1, 0.05)}
QUESTIONS = {"passes 0.85": 0.85, "fails 0.95": 0.95}


@dataclass(frozen=True)
class Log:
    """A day: its cells, how many predictions of each there are and how many are right; `auroc` of confidence for being right."""

    cells: list[Cell]
    n: np.ndarray
    right: np.ndarray
    auroc: float

    @property
    def accuracy(self) -> float:
        """The truth."""
        return float(self.right.sum() / self.n.sum())

    def draw(self, p: np.ndarray, runs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws audits with each cell's probability: (asked, of them right), arrays of (runs, cells)."""
        asked = rng.binomial(self.n, p, (runs, len(self.n)))
        return asked, rng.hypergeometric(self.right, self.n - self.right, asked)


def make_log(name: str, rng: np.random.Generator) -> Log:
    """Makes the day of a log; classes are as frequent as 0.8^k."""
    a, b, below = LOGS[name]
    confidence = rng.beta(a, b, DAY)
    right = rng.random(DAY) < np.clip(confidence - below, 0, 1)
    share = 0.8 ** np.arange(CLASSES)
    code = rng.choice(CLASSES, DAY, p=share / share.sum()) * 20 + np.minimum((confidence * 20).astype(int), 19)
    n, good = np.bincount(code, minlength=CLASSES * 20), np.bincount(code, right, CLASSES * 20).astype(int)
    ranks, ours = rankdata(confidence), right.sum()
    auroc = (ranks[right].sum() - ours * (ours + 1) / 2) / (ours * (DAY - ours))
    there = np.flatnonzero(n)
    return Log([Cell("abcdefghij"[k // 20], int(k % 20)) for k in there], n[there], good[there], float(auroc))


def plan(log: Log, budget: int, estimate: Estimate, rng: np.random.Generator) -> np.ndarray:
    """The probabilities of the cells by `trueup review plan`, by an earlier audit of EARLIER labels drawn here."""
    asked, right = (x[0] for x in log.draw(np.full(len(log.n), EARLIER / log.n.sum()), 1, rng))
    cells = dict(zip(log.cells, log.n.tolist(), strict=True))
    rates = estimate_rates(cells, make_history(log, asked, right))
    appeal = find_appeal(rates, estimate_moments(Towards(), rates, estimate))
    floor = choose_floor(rates, appeal, budget, min(LEAST_KISH, budget))
    table = draw("m", "2026-11-20", "audit", Design(PLANNED, "s", items=budget, floor=floor, appeal=appeal), cells).table()
    return np.array([table[cell] for cell in log.cells])


def make_history(log: Log, asked: np.ndarray, right: np.ndarray) -> pa.Table:
    """The counts of an earlier audit, as an engine makes them."""
    rows = [{"model_version": "1", "predicted": cell.predicted, "confidence_bin": cell.bin, "label": label, "origin": "audit",
             "n": n, "sum_confidence": int(n * (cell.bin + 0.5) / 20 * CONFIDENCE_SCALE)}
            for cell, a, r in zip(log.cells, asked.tolist(), right.tolist(), strict=True)
            for label, n in ((cell.predicted, r), ("other", a - r)) if n and cell.bin is not None]
    return pa.Table.from_pylist([dict.fromkeys(CELLS.names) | row for row in rows], CELLS.arrow())


def judge_hajek(log: Log, p: np.ndarray, asked: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, ...]:
    """(share, size of its interval, size of its test, Kish's size) of each audit by Hajek's share."""
    weight = np.floor(WEIGHT_SCALE / p)
    value, size, kish = shares(np.stack([asked @ weight, right @ weight, asked @ weight**2, right @ weight**2]))
    return value, size, size, kish


def judge_combined(log: Log, p: np.ndarray, asked: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same by the combined estimate: each audit's own strata, collapsed as the product collapses them."""
    names = sorted({cell.predicted for cell in log.cells})
    keys = (np.array([names.index(c.predicted) for c in log.cells]), np.array([c.bin for c in log.cells]),
            np.full(len(log.cells), SILENT))
    weight, none = np.floor(WEIGHT_SCALE / p), np.zeros(len(log.cells))
    found = []
    for n, r in zip(asked.astype(float), right.astype(float), strict=True):
        strata = Strata(names, *keys, log.n.astype(float), n, r, n * weight, n * weight**2, r * weight, r * weight**2, none, none)
        of = combine_audit(strata.merge(group_strata(strata)))
        found.append((of.value, of.count_rows(of.variance), of.count_rows(of.cautious), of.kish))
    return tuple(np.array(found, float).T)


JUDGES = {"hajek": judge_hajek, "combined": judge_combined}


def measure(log: Log, estimate: Estimate, planned: bool, budget: int, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """Of audits of `budget` expected labels: how often each question is decided, and how often the interval covers the truth."""
    plans = max(min(MOST_PLANS, runs // 20), 1) if planned else 1
    judged = []
    for _ in range(plans):
        p = plan(log, budget, estimate, rng) if planned else np.full(len(log.n), budget / log.n.sum())
        asked, right = log.draw(p, runs // plans, rng)
        judged.append((*JUDGES[estimate](log, p, asked, right), asked.sum(1)))
    value, size, careful, kish, n = (np.concatenate(x) for x in zip(*judged, strict=True))
    low, high = wilson(value * size, size)
    enough = kish >= np.minimum(n if planned else kish, ENOUGH_KISH)
    decided = {name: float((enough & (low >= bound if name.startswith("passes") else p_of_share(value, careful, bound) <= LEVEL))
                           .mean()) for name, bound in QUESTIONS.items()}
    return {**decided, "covered": float(((low <= log.accuracy) & (log.accuracy <= high)).mean()),
            "width": float((high - low).mean()), "labels": float(n.mean())}


def find_labels(found: list[dict[str, float]], question: str) -> float | None:
    """How many labels decide a question in 80% of runs, between the budgets that were measured; None: more than those."""
    share, labels = np.maximum.accumulate([row[question] for row in found]), np.log([row["labels"] for row in found])
    return None if share[-1] < POWER else float(np.exp(np.interp(POWER, share, labels)))


def top_up(log: Log, runs: int, rng: np.random.Generator) -> float:
    """The mean weighted share when a random audit of 200 is topped up, by the same hash, to a plan of 400, and every row keeps
    the probability that it was drawn with: what `trueup review plan` refuses."""
    first = np.full(len(log.n), 200 / log.n.sum())
    wanted = plan(log, 400, "hajek", rng)
    of_first, of_further = log.draw(first, runs, rng), log.draw(np.maximum(wanted - first, 0), runs, rng)
    asked, right = (a @ (1 / first) + b @ (1 / wanted) for a, b in zip(of_first, of_further, strict=True))
    return float((right / asked).mean())


def row(name: str, runs: int, seed: int = 1) -> dict[str, Any]:
    """What a log shows: labels that decide by estimate and question, planned and alike, and coverage."""
    rng = np.random.default_rng(seed)
    log = make_log(name, rng)
    made: dict[str, Any] = {"log": name, "accuracy": log.accuracy, "auroc": log.auroc, "estimates": {},
                            "topped_up": top_up(log, runs, rng), "least": find_least(log)}
    for estimate in ESTIMATES:
        audits = {kind: [measure(log, estimate, kind == "planned", int(b), runs, rng) for b in BUDGETS]
                  for kind in ("alike", "planned")}
        covered = {kind: float(np.mean([of["covered"] for of in found if of["labels"] >= 150])) for kind, found in audits.items()}
        needed = {question: {kind: find_labels(found, question) for kind, found in audits.items()} for question in QUESTIONS}
        at = int(np.searchsorted(BUDGETS, 200))
        made["estimates"][estimate] = {"labels": needed, "covered": covered,
                                       "width_at_200": {kind: found[at]["width"] for kind, found in audits.items()}}
    return made


def find_least(log: Log) -> dict[str, float]:
    """How many labels fail 0.95 with the combined estimate when the truth is known beforehand, alike and planned."""
    day = KnownDay(log.n, log.right)
    return {kind: day.find_labels(QUESTIONS["fails 0.95"], LEVEL, POWER, kind == "planned") for kind in ("alike", "planned")}


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    given = read_options(__doc__, argv, 200)
    rows = [row(name, given.runs, given.seed) for name in LOGS]
    print(json.dumps(rows) if given.json else text(rows, given.runs))
    return 0


def text(rows: list[dict[str, Any]], runs: int) -> str:
    """The rows as an aligned table."""
    lines = [f"labels that decide in {POWER:.0%} of {runs} runs: asked alike, planned, and their ratio", "",
             f"{'log':<27}{'right':>7}{'AUROC':>7}  {'estimate':<10}" + "".join(f"{name:>24}" for name in QUESTIONS)
             + f"{'width at 200':>21}{'covered':>16}"]
    for found in rows:
        for estimate, of in found["estimates"].items():
            cells = "".join(_write_pair(of["labels"][name], "{:.0f}").rjust(24) for name in QUESTIONS)
            covered = " ".join(f"{of['covered'][kind]:.1%}" for kind in ("alike", "planned"))
            lines.append(f"{found['log']:<27}{found['accuracy']:>7.1%}{found['auroc']:>7.3f}  {estimate:<10}{cells}"
                         f"{_write_pair(of['width_at_200'], '{:.3f}'):>21}{covered:>16}")
    lines += ["", "an audit that is topped up where the plan asks more, its rows keeping their probability:"]
    lines += [f"{found['log']:<27}{found['topped_up']:.3f} of a true {found['accuracy']:.3f}" for found in rows]
    lines += ["", "the least that fail 0.95 with the combined estimate, had the plan known the truth (review_limit.py):"]
    lines += [f"{found['log']:<27}{_write_pair(found['least'], '{:.0f}')}" for found in rows]
    return "\n".join(lines)


def _write_pair(of: dict[str, float | None], how: str) -> str:
    alike, planned = of["alike"], of["planned"]
    told = " ".join("more" if x is None else how.format(x) for x in (alike, planned))
    return told if alike is None or planned is None else f"{told} {planned / alike:.0%}"


if __name__ == "__main__":
    sys.exit(main())
