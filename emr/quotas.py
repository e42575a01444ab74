"""The vCPUs that a turn asks of the account's quotas: by instance family on EC2, for EMR Serverless, for Fargate.

The stages of a turn come one after another, so a quota must hold the largest of them, not their sum. Quota codes: Service
Quotas, "Amazon Elastic Compute Cloud (Amazon EC2)" and "AWS Fargate"; that of EMR Serverless is looked for by name.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from contract.errors import UsageError
from contract.settings import Settings
from emr.costs.prices import count_vcpus, read_family
from emr.needs import TURN, choose_nodes, find_need, runs_on_serverless
from emr.serverless.job import VCPUS
from emr.template.schedule import CPU


@dataclass(frozen=True)
class Quota:
    """A quota of the account, counted in vCPUs. `code` is empty where it is found by `name` only."""

    service: str
    code: str
    name: str


STANDARD = Quota("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances")
G_AND_VT = Quota("ec2", "L-DB2E81BA", "Running On-Demand G and VT instances")
P = Quota("ec2", "L-417A185B", "Running On-Demand P instances")
STANDARD_SPOT = Quota("ec2", "L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests")
G_AND_VT_SPOT = Quota("ec2", "L-3819A6DF", "All G and VT Spot Instance Requests")
P_SPOT = Quota("ec2", "L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests")
SERVERLESS = Quota("emr-serverless", "", "Max concurrent vCPUs per account")
FARGATE = Quota("fargate", "L-3032A538", "Fargate On-Demand vCPU resource count")
BY_LETTER = {"g": (G_AND_VT, G_AND_VT_SPOT), "gr": (G_AND_VT, G_AND_VT_SPOT), "vt": (G_AND_VT, G_AND_VT_SPOT), "p": (P, P_SPOT)}
NO_VCPUS = 0


@dataclass(frozen=True)
class QuotaNeed:
    """So many vCPUs of a quota at once, and the stages that ask for them."""

    quota: Quota
    vcpus: int
    stages: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Writes it for the plan."""
        return {"service": self.quota.service, "code": self.quota.code or None, "name": self.quota.name, "vcpus": self.vcpus,
                "stages": list(self.stages)}


def list_quota_needs(settings: Settings) -> list[QuotaNeed]:
    """Lists what a turn asks of each quota: the largest stage's vCPUs; alternatives of a fleet count with the largest."""
    found: dict[Quota, dict[str, int]] = {}
    for stage in TURN:
        for quota, vcpus in _list_asked(stage, settings):
            of_stage = found.setdefault(quota, {})
            of_stage[stage] = of_stage.get(stage, NO_VCPUS) + vcpus
    needs = [QuotaNeed(quota, max(asked.values()), tuple(s for s, n in asked.items() if n == max(asked.values())))
             for quota, asked in found.items()]
    return [*needs, QuotaNeed(FARGATE, max(1, int(CPU) >> 10), ("driver",))]


def _list_asked(stage: str, settings: Settings) -> Iterator[tuple[Quota, int]]:
    need = find_need(stage, settings.emr)
    if runs_on_serverless(need, settings.emr):
        yield SERVERLESS, (settings.emr.serverless_workers + 1) * VCPUS
        return
    nodes = choose_nodes(need, settings.emr, settings.train.ranks)
    fleets = ((nodes.primary, 1, 0), (nodes.core, nodes.core_nodes, 0), (nodes.core, nodes.spot_nodes, 1))
    for kinds, count, spot in fleets:
        if count:
            yield from ((quota, count * vcpus) for quota, vcpus in _group(kinds, spot).items())


def _group(kinds: Sequence[str], spot: int) -> dict[Quota, int]:
    """Groups a fleet's types by their quota (on demand or spot), each with the vCPUs of its largest."""
    found: dict[Quota, int] = {}
    for kind in kinds:
        letters = re.match(r"[a-z]*", read_family(kind))
        quota = BY_LETTER.get(letters[0] if letters else "", (STANDARD, STANDARD_SPOT))[spot]
        found[quota] = max(found.get(quota, NO_VCPUS), _count_known(kind))
    return found


def _count_known(kind: str) -> int:
    """Counts vCPUs; a size that does not say them (metal) counts as none, since a plan is still worth reading."""
    try:
        return count_vcpus(kind)
    except UsageError:
        return NO_VCPUS
