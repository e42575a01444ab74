"""Hours and dollars of a load, from the rates that `make bench` recorded and a price table.

The arithmetic is plain: rows / rows per second. What it assumes is said in its answer, because it was not measured: a node
works as fast as the machine of the record, and nodes add up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from contract import jsonio
from contract.documents.document import Document
from contract.errors import NotFound, UsageError
from contract.settings import Settings
from emr.needs import TURN, Nodes, choose_nodes, find_need

RECORDED = Path(__file__).resolve().parents[1] / "benchmarks" / "recorded.json"
PRICES = Path(__file__).with_name("prices.json")
DAYS = 30  # of a month
START_MINUTES = 10.0  # what a cluster is paid for beside its work; --start-minutes


class Recorded(Document):
    """`benchmarks/recorded.json`: the rates of one machine, written by `make bench`."""

    machine: str
    date: str
    evaluation_rows_per_s: float = Field(gt=0)  # predictions and labels counted
    training_rows_per_s: float = Field(gt=0)  # pictures of one rank, with their reading
    upload_mb_per_s: float | None = Field(default=None, gt=0)


class Prices(Document):
    """A price table: dollars per hour by instance type, for the machine and for EMR on it."""

    source: str
    as_of: str
    ec2: dict[str, float]
    emr: dict[str, float]

    def price_hour(self, kinds: tuple[str, ...], emr: bool = True) -> float:
        """Prices the dearest type that a fleet may start, with EMR on it; UsageError when the table lacks one."""
        missing = [kind for kind in kinds if kind not in self.ec2 or kind not in self.emr]
        if missing:
            raise UsageError(f"price table of {self.as_of}: expected a price of {', '.join(missing)}, found none. Add it, or "
                             f"name another table with --prices.")
        return max(self.ec2[kind] + (self.emr[kind] if emr else 0.0) for kind in kinds)


@dataclass(frozen=True)
class Load:
    """What a day brings, and what a cluster costs beside its work."""

    predictions_per_day: int
    labels_per_day: int
    start_minutes: float = START_MINUTES


def read_recorded(path: Path = RECORDED) -> Recorded:
    """Reads the recorded rates; NotFound names the command that records them."""
    if not path.exists():
        raise NotFound(f"{path}: expected rates that were measured, found no such file. Record them on this machine: "
                       f"make bench.")
    return Recorded.parse(jsonio.loads(path.read_bytes()), str(path))


def read_prices(path: Path = PRICES) -> Prices:
    """Reads the price table."""
    return Prices.parse(jsonio.loads(path.read_bytes()), str(path))


def estimate(settings: Settings, load: Load, recorded: Recorded, prices: Prices) -> dict[str, Any]:
    """Estimates hours of work and dollars of each stage, and what a month costs at the most.

    `hours` is what one node of the record's speed would take; `wall_hours` what the cluster takes, without its start.
    """
    stages = {name: _estimate_stage(name, settings, load, recorded, prices) for name in TURN}
    turn = sum(stages[name]["dollars"] for name in TURN if name != "evaluate")
    turns = settings.gates.retrainings * DAYS / settings.gates.retraining_days
    month = DAYS * stages["evaluate"]["dollars"] + turns * turn
    return {
        "load": {"predictions_per_day": load.predictions_per_day, "labels_per_day": load.labels_per_day},
        "recorded": recorded.to_dict(), "prices": {"source": prices.source, "as_of": prices.as_of}, "stages": stages,
        "month": {"evaluations": DAYS, "retrainings_at_most": turns, "dollars_at_most": round(month, 2),
                  "dollars_per_100000_predictions": round(month / DAYS / load.predictions_per_day * 1e5, 4)},
        "assumed": ["a node works as fast as the machine of the record, and nodes add up",
                    f"a cluster is paid for {load.start_minutes:g} minutes beside its work",
                    "one evaluation a day, of that day alone: the other days have their counts",
                    "a retraining reads the labels of all days of the window once an epoch",
                    "stages without a recorded rate (dataset, assess) are counted with their start only",
                    "no spot nodes; storage, requests and transfer are not in it"]}


def count_rows(name: str, settings: Settings, load: Load) -> int | None:
    """Counts the rows that one run of a stage reads; None for a stage whose rate is not recorded."""
    if name == "evaluate":
        return load.predictions_per_day + load.labels_per_day
    return load.labels_per_day * settings.evaluate.days * settings.train.epochs if name == "train" else None


def _estimate_stage(name: str, settings: Settings, load: Load, recorded: Recorded, prices: Prices) -> dict[str, Any]:
    rates = {"evaluate": recorded.evaluation_rows_per_s, "train": recorded.training_rows_per_s}
    chosen = choose_nodes(find_need(name, settings.emr), settings.emr, settings.train.model_dump())
    rows = count_rows(name, settings, load)
    hours = None if rows is None else rows / rates[name] / 3600
    wall = (hours or 0.0) / max(chosen.core_nodes, 1)
    paid = wall + load.start_minutes / 60
    return {"rows": rows, "hours": hours, "wall_hours": None if hours is None else wall, "nodes": count_nodes(chosen),
            "dollars": round(paid * _price_nodes(chosen, prices), 4)}


def _price_nodes(chosen: Nodes, prices: Prices) -> float:
    return prices.price_hour(chosen.primary) + (chosen.core_nodes * prices.price_hour(chosen.core) if chosen.core else 0.0)


def count_nodes(chosen: Nodes) -> Mapping[str, int]:
    """Counts nodes by instance type, the dearest choice of each fleet not yet made."""
    core = {"/".join(chosen.core): chosen.core_nodes} if chosen.core else {}
    primary = "/".join(chosen.primary)
    return {**core, primary: core.get(primary, 0) + 1}
