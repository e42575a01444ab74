"""What the clusters of a rehearsal were, beside what was planned: machines, minutes, dollars."""

from collections import Counter
from datetime import datetime
from typing import Any

from contract import clock
from contract.documents.rehearsal import RehearsedStage, RehearsedStep
from emr.account import ALIVE, Account, AccountError
from emr.costs.prices import Prices
from emr.follow import ENDED
from emr.rehearsal.ceiling import StagePlan, price_disks
from emr.rehearsal.template import name_clusters

ALL = (*ALIVE, "TERMINATING", *ENDED)
WELL, TURN = "TERMINATED", "turn"


def read_stages(model: str, plans: list[StagePlan], prices: Prices, since: datetime) -> list[RehearsedStage]:
    """Reads what became of each planned stage; the last cluster of each counts, all of them are paid for."""
    emr = Account()
    clusters = [c for c in emr.list_clusters(ALL) if c["Name"].startswith(name_clusters(model)) and _find_began(c) >= since]
    return [_read_stage(emr, plan, [c for c in clusters if _is_of(c, model, plan.stage)], prices) for plan in plans]


def _is_of(cluster: dict[str, Any], model: str, stage: str) -> bool:
    return cluster["Name"].removeprefix(name_clusters(model)).startswith(f"{stage}-")


def _find_began(cluster: dict[str, Any]) -> datetime:
    return cluster["Status"]["Timeline"]["CreationDateTime"]


def _read_stage(emr: Account, plan: StagePlan, clusters: list[dict[str, Any]], prices: Prices) -> RehearsedStage:
    planned = {"stage": plan.stage, "planned_nodes": plan.nodes, "limit_minutes": plan.minutes,
               "planned_dollars": plan.dollars.to_dict(2)}
    if not clusters:
        return RehearsedStage(**planned)
    last = clusters[-1]
    counted = [_count_cluster(emr, cluster, plan, prices) for cluster in clusters]
    nodes = counted[-1][0]
    return RehearsedStage(**planned, cluster=last["Id"], state=last["Status"]["State"], nodes=nodes,
                          minutes=round(_measure_hours(last["Status"]["Timeline"]) * 60, 1),
                          dollars=round(sum(dollars for _, dollars in counted), 4))


def _count_cluster(emr: Account, cluster: dict[str, Any], plan: StagePlan, prices: Prices) -> tuple[dict[str, int] | None, float]:
    """Counts a cluster's machines and prices their hours; by the plan's dearest price where they may not be listed."""
    try:
        instances = emr.list_instances(cluster["Id"])
    except AccountError as error:
        if not error.denied:
            raise
        return None, _measure_hours(cluster["Status"]["Timeline"]) * plan.hour.high
    disks = price_disks(prices)
    dollars = sum(_measure_hours(i["Status"]["Timeline"]) * (prices.price_hour([i["InstanceType"]]) + disks) for i in instances)
    return dict(Counter(i["InstanceType"] for i in instances)), dollars


def _measure_hours(timeline: dict[str, Any]) -> float:
    """Measures from creation to the end, or until now."""
    return ((timeline.get("EndDateTime") or clock.now()) - timeline["CreationDateTime"]).total_seconds() / 3600


def price_steps(steps: list[RehearsedStep], stages: list[RehearsedStage], second: float) -> list[RehearsedStep]:
    """Prices each step: what a second costs beside clusters, and for the turn its clusters."""
    clusters = sum(stage.dollars or 0.0 for stage in stages)
    return [step.model_copy(update={"dollars": round(step.seconds * second + (clusters if step.step == TURN else 0.0), 4)})
            for step in steps]


def list_differences(stages: list[RehearsedStage], steps: list[RehearsedStep], ceiling: float, dollars: float) -> list[str]:
    """Lists in words what was not as planned; empty: everything was."""
    said = [line for stage in stages for line in _compare_stage(stage)]
    said += [f"step {step.step} failed: {step.said[-1] if step.said else 'no reason was given'}"
             for step in steps if step.state == "failed"]
    if dollars > ceiling:
        said.append(f"it cost ${dollars:,.2f} by the price table, more than its ceiling of ${ceiling:,.2f}")
    return said


def _compare_stage(stage: RehearsedStage) -> list[str]:
    if stage.cluster is None:
        return [f"{stage.stage}: planned, no cluster was made"]
    said = []
    if stage.state != WELL:
        said.append(f"{stage.stage}: cluster {stage.cluster} ended as {stage.state}, planned was {WELL}")
    if stage.nodes is not None and not _fits(stage.planned_nodes, stage.nodes):
        said.append(f"{stage.stage}: planned were {_write_nodes(stage.planned_nodes)}, used {_write_nodes(stage.nodes)}")
    if stage.minutes is not None and stage.minutes > stage.limit_minutes:
        said.append(f"{stage.stage}: took {stage.minutes:g} minutes, its limit is {stage.limit_minutes:g}")
    low, high = stage.planned_dollars["low"], stage.planned_dollars["high"]
    if stage.dollars is not None and not low <= round(stage.dollars, 2) <= high:
        said.append(f"{stage.stage}: ${stage.dollars:,.2f}, planned were ${low:,.2f} to ${high:,.2f}")
    return said


def _fits(planned: dict[str, int], used: dict[str, int]) -> bool:
    """Tells whether machines are of a plan, in which `m5.2xlarge/m5a.2xlarge` leaves the choice to EMR."""
    left = Counter(used)
    for kinds, count in sorted(planned.items(), key=lambda pair: pair[0].count("/")):
        for kind in kinds.split("/"):
            taken = min(count, left[kind])
            left[kind] -= taken
            count -= taken
        if count:
            return False
    return not +left


def _write_nodes(nodes: dict[str, int]) -> str:
    return " + ".join(f"{n} {kind}" for kind, n in sorted(nodes.items()))
