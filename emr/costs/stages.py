"""Hours and dollars of one run of each stage, where it is really run: in the driver, on a cluster, on EMR Serverless."""

from dataclasses import dataclass, field
from typing import Any

from contract.settings import Settings
from emr.cluster import DISK_GB, ROOT_GB
from emr.costs.prices import Prices, count_vcpus
from emr.costs.rates import Load, Recorded, compute_hours
from emr.costs.span import NOTHING, Span
from emr.needs import Need, Nodes, choose_nodes, find_need, runs_on_serverless
from emr.serverless.job import MEMORY_GB, VCPUS
from emr.template.schedule import CPU, MEMORY

MONTH_HOURS = 730.0
DRIVER, CLUSTER, SERVERLESS = "driver", "cluster", "serverless"
DRIVER_VCPUS, DRIVER_GB = int(CPU) / 1024, int(MEMORY) / 1024
SERVERLESS_START = Span(1 / 60, 3 / 60)  # hours of all workers beside their work: declared, not measured


@dataclass(frozen=True)
class StageCost:
    """One run of a stage: hours of work (of one machine), hours that its place is paid for, dollars by part of the bill."""

    where: str
    rows: int | None
    work: Span | None  # None: no rate is recorded, and the start alone is counted
    paid: Span
    nodes: dict[str, int]
    downloads: int  # machines that fetch the stage's package
    parts: dict[str, Span] = field(default_factory=dict)

    @property
    def dollars(self) -> Span:
        return sum(self.parts.values(), NOTHING)

    def to_dict(self) -> dict[str, Any]:
        """Writes it for the plan."""
        return {"where": self.where, "rows": self.rows, "hours": self.work and self.work.to_dict(6), "nodes": self.nodes,
                "paid_hours": self.paid.to_dict(6), "dollars": self.dollars.to_dict(),
                "parts": {name: part.to_dict() for name, part in self.parts.items()}}


def estimate_stage(name: str, settings: Settings, load: Load, recorded: Recorded, prices: Prices) -> StageCost:
    """Estimates one run of a stage. UsageError for an instance type or a service without a price."""
    need, rows = find_need(name, settings.emr), count_rows(name, settings, load)
    if name == "evaluate" and (rows or 0) * load.row_bytes <= settings.emr.here_bytes:
        work = compute_hours(rows or 0, recorded.evaluation_rows_per_s, int(DRIVER_VCPUS), recorded.count_cores())
        return StageCost(DRIVER, rows, work, work, {}, 0, {"driver": price_driver(work, prices)})
    if runs_on_serverless(need, settings.emr):
        return _estimate_serverless(rows, settings, recorded, prices)
    return _estimate_cluster(need, rows, settings, load, recorded, prices)


def count_rows(name: str, settings: Settings, load: Load) -> int | None:
    """Counts the rows that one run of a stage reads; None for a stage whose rate is not recorded."""
    if name == "evaluate":
        return load.predictions_per_day + load.labels_per_day
    return load.labels_per_day * settings.evaluate.days * settings.train.epochs if name == "train" else None


def price_driver(hours: Span, prices: Prices) -> Span:
    """Prices the driver's Fargate task, of the size that the template gives it."""
    return hours * (DRIVER_VCPUS * prices.price("fargate_vcpu_hour") + DRIVER_GB * prices.price("fargate_gb_hour"))


def _estimate_serverless(rows: int | None, settings: Settings, recorded: Recorded, prices: Prices) -> StageCost:
    """All workers and Spark's driver for as long as the job takes; 20 GB of disk a worker are in the price."""
    workers = settings.emr.serverless_workers
    work = None if rows is None else compute_hours(rows, recorded.evaluation_rows_per_s, VCPUS, recorded.count_cores())
    paid = SERVERLESS_START + (work or NOTHING) * (1 / workers)
    hour = (workers + 1) * (VCPUS * prices.price("serverless_vcpu_hour") + MEMORY_GB * prices.price("serverless_gb_hour"))
    return StageCost(SERVERLESS, rows, work, paid, {"workers": workers, "driver": 1}, 0,
                     {"serverless": paid * hour, "driver": price_driver(paid, prices)})


def _estimate_cluster(need: Need, rows: int | None, settings: Settings, load: Load, recorded: Recorded,
                      prices: Prices) -> StageCost:
    """EC2 with EMR on it and its disks, from the cluster's start; the driver waits for it all the while."""
    chosen = choose_nodes(need, settings.emr, settings.train.ranks)
    work = None if rows is None else _compute_node_hours(need, chosen, rows, settings, recorded, prices)
    paid = Span.of(load.start_minutes / 60) + (work or NOTHING) * (1 / max(chosen.core_nodes, 1))
    hour = prices.price_span(chosen.primary) + (prices.price_span(chosen.core) * chosen.core_nodes if chosen.core else NOTHING)
    disks = (1 + chosen.core_nodes) * (DISK_GB + ROOT_GB) * prices.price("ebs_gb_month") / MONTH_HOURS
    return StageCost(CLUSTER, rows, work, paid, count_nodes(chosen), 1 + chosen.core_nodes,
                     {"clusters": paid * hour, "disks": paid * disks, "driver": price_driver(paid, prices)})


def _compute_node_hours(need: Need, chosen: Nodes, rows: int, settings: Settings, recorded: Recorded, prices: Prices) -> Span:
    if not need.barrier:
        vcpus = min(count_vcpus(kind) for kind in chosen.core)
        return compute_hours(rows, recorded.evaluation_rows_per_s, vcpus, recorded.count_cores())
    if not chosen.gpu:
        return compute_hours(rows, recorded.training_rows_per_s, settings.emr.executor_cores, recorded.count_cores())
    if recorded.gpu_training_rows_per_s:
        return Span.of(rows / recorded.gpu_training_rows_per_s / 3600)
    rate = prices.find_gpu_rate(chosen.core)
    return Span(rows / rate.high / 3600, rows / rate.low / 3600)


def count_nodes(chosen: Nodes) -> dict[str, int]:
    """Counts nodes by instance type, the dearest choice of each fleet not yet made."""
    core = {"/".join(chosen.core): chosen.core_nodes} if chosen.core else {}
    primary = "/".join(chosen.primary)
    return {**core, primary: core.get(primary, 0) + 1}
