"""The most that a rehearsal can cost: the time until it removes itself, at the price of the dearest that it may run.

One cluster lives at a time. While the driver lives, each is ended by its stage's own limit; a driver that dies leaves one, which
the remover ends. So nothing is dearer than the dearest stage's cluster from the first minute to the last.
"""

from dataclasses import dataclass
from typing import Any

from contract.settings import Settings
from emr.cluster import DISK_GB, ROOT_GB
from emr.costs import standing
from emr.costs.prices import Prices
from emr.costs.rates import START_MINUTES
from emr.costs.span import NOTHING, Span
from emr.costs.stages import MONTH_HOURS, count_nodes
from emr.costs.stored import PACKAGES_GB
from emr.needs import ENVIRONMENTS, TURN, Nodes, choose_nodes, find_need
from emr.rehearsal.small import LATE_MINUTES, count_minutes

OBJECTS = 5_000  # requests that write, and as many that read: declared, not measured


@dataclass(frozen=True)
class StagePlan:
    """One stage: its nodes by type, its limit, its dollars from the start of a cluster alone to the limit."""

    stage: str
    nodes: dict[str, int]
    minutes: int
    dollars: Span
    hour: Span

    def to_dict(self) -> dict[str, Any]:
        """Writes it for the document."""
        return {"stage": self.stage, "nodes": self.nodes, "minutes": self.minutes, "dollars": self.dollars.to_dict(2)}


def plan_stages(settings: Settings, prices: Prices) -> list[StagePlan]:
    """Plans the stages of the turn, in order. UsageError for an instance type without a price."""
    return [_plan_stage(stage, settings, prices) for stage in TURN]


def _plan_stage(stage: str, settings: Settings, prices: Prices) -> StagePlan:
    nodes = choose_nodes(find_need(stage, settings.emr), settings.emr, settings.train.ranks)
    hour, minutes = price_hour(nodes, prices), settings.emr.stage_minutes[stage]
    least = min(START_MINUTES, minutes) / 60
    return StagePlan(stage, count_nodes(nodes), minutes, Span(hour.low * least, hour.high * minutes / 60), hour)


def price_hour(nodes: Nodes, prices: Prices) -> Span:
    """Prices an hour of a cluster: its machines, EMR on them, their disks."""
    disks = (1 + nodes.core_nodes) * price_disks(prices)
    core = prices.price_span(nodes.core) * nodes.core_nodes if nodes.core else NOTHING
    return prices.price_span(nodes.primary) + core + Span.of(disks)


def price_disks(prices: Prices) -> float:
    """Prices an hour of one node's disks."""
    return (DISK_GB + ROOT_GB) * prices.price("ebs_gb_month") / MONTH_HOURS


def compute_ceiling(settings: Settings, template: dict[str, Any], prices: Prices) -> dict[str, Any]:
    """Computes the ceiling in dollars and what it is made of; the prices are those of the table, whatever the region."""
    minutes = count_minutes(settings) + LATE_MINUTES
    hours = minutes / 60
    stages = plan_stages(settings, prices)
    dearest = max(stages, key=lambda plan: plan.hour.high)
    nodes = sum(sum(plan.nodes.values()) for plan in stages)
    resources = standing.count_resources(template)
    parts = {
        "clusters": hours * dearest.hour.high,
        "network": hours * standing.price_network(resources, settings, prices).high / MONTH_HOURS
        + (0.0 if standing.makes_network(settings) and not settings.emr.nat else nodes * PACKAGES_GB * prices.price("nat_gb")),
        "storage": hours * len(ENVIRONMENTS) * PACKAGES_GB * prices.price("s3_gb_month") / MONTH_HOURS
        + OBJECTS * (prices.price("s3_put") + prices.price("s3_get")),
        "alarms": hours * standing.price_watching(resources, prices).high / MONTH_HOURS}
    return {"dollars": _round_up(sum(parts.values())), "minutes": minutes, "dearest": dearest.stage,
            "parts": {name: round(value, 4) for name, value in parts.items()},
            "stages": [plan.to_dict() for plan in stages],
            "prices": {"source": prices.source, "as_of": prices.as_of, "region": prices.region}}


def _round_up(dollars: float) -> float:
    return round(dollars + 0.005, 2)
