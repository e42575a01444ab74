"""The policy of whoever deploys: what CloudFormation's handlers call for this template, and what our commands call themselves.

CloudFormation acts with the rights of whoever asked, so `trueup emr deploy` needs those of every resource in the template.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from contract.settings import Settings
from emr.policy.declared import Resources, list_actions
from emr.policy.names import drop_held, holds, list_arns, resolve
from emr.policy.own_calls import ANYWHERE, Statement, allow, list_statements
from emr.template.whole import make_template

# Actions that take no resource, or, as DescribeAlarms, tell less to whoever may ask for one only.
EVERYWHERE = frozenset((
    "autoscaling:Describe*", "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "ecs:DeregisterTaskDefinition",
    "ecs:DescribeTaskDefinition", "logs:DescribeIndexPolicies", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies"))
# Reads that are not listed one by one, which would fill a policy and keep nothing back: of services whose resources have no
# names of ours, and of the bucket's own properties.
FOLDED = ("autoscaling:Describe*", "ec2:Describe*", "elasticloadbalancing:Describe*", "s3:GetBucket*", "s3:Get*Configuration")
SIDS = {"application-autoscaling": "Scaling", "autoscaling": "Instances", "cloudwatch": "Alarms", "ec2": "Network",
        "ecs": "Containers", "elasticloadbalancing": "Balancer", "elasticmapreduce": "Encryption",
        "events": "Rules", "logs": "Logs", "s3": "Bucket", "scheduler": "Schedule", "sns": "Topic",
        "sqs": "Queue", "states": "Machines"}
GIVEN_APART = frozenset(("iam:PassRole", "iam:CreateServiceLinkedRole", "s3:DeleteObject"))  # narrowed by statements of their own
ATTACH, BOUNDED = "iam:AttachRolePolicy", ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary")


def make_policy(root: str, settings: Settings, partition: str = "aws", resources: Resources | None = None,
                more: Iterable[Statement] = ()) -> dict[str, Any]:
    """Makes the policy of these settings. UsageError when they contradict each other.

    `resources`: those of another template than these settings make; `more`: statements that join the others.
    """
    resources, chosen = resources or make_template(root, settings)["Resources"], settings.emr
    arns = list_arns(resources, chosen.stack, partition)
    statements = [*_allow_roles(resources, arns["iam"], partition), *_allow_handlers(resources, arns),
                  *list_statements(root, chosen, resources, arns, partition), *more]
    return {"Version": "2012-10-17", "Statement": list(_merge(statements))}


def _allow_handlers(resources: Resources, arns: Mapping[str, Sequence[str]]) -> Iterator[Statement]:
    """Yields what handlers call, service by service, on what is ours by name; the roles are apart."""
    by_service: dict[str, set[str]] = {}
    for action in _fold(list_actions(resources) - GIVEN_APART):
        by_service.setdefault(action.partition(":")[0], set()).add(action)
    by_service.pop("iam")
    for service, actions in sorted(by_service.items()):
        everywhere = {action for action in actions if action in EVERYWHERE or action in FOLDED and service not in arns}
        sid = SIDS.get(service, service.replace("-", "").capitalize())
        for name, some, on in ((sid, actions - everywhere, arns.get(service, ["*"])), (ANYWHERE, everywhere, ["*"])):
            if some:
                yield allow(name, sorted(some), on)


def _allow_roles(resources: Resources, arns: Sequence[str], partition: str) -> Iterator[Statement]:
    """Yields the rights on the stack's roles: policies, boundary and services that they may be given are the template's."""
    roles = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::IAM::Role"]
    only = [arn for arn in arns if ":role/" in arn]
    managed = sorted({resolve(m, partition) for role in roles for m in role.get("ManagedPolicyArns", ())})
    boundaries = sorted({resolve(role["PermissionsBoundary"], partition) for role in roles if "PermissionsBoundary" in role})
    bounded = {"StringEquals": {"iam:PermissionsBoundary": boundaries}} if boundaries else {}
    actions = {a for a in list_actions(resources) - GIVEN_APART if a.startswith("iam:")} - {ATTACH, *BOUNDED}
    yield allow("Roles", sorted(actions), arns)
    yield allow("MakeRoles", BOUNDED, only, bounded)
    yield allow("AttachPolicies", [ATTACH], only, {"ArnEquals": {"iam:PolicyARN": managed}} | bounded)
    # Services have further endings in other partitions (ec2.amazonaws.com.cn).
    passed = [f"{service}{'' if partition == 'aws' else '*'}" for service in _list_trusted(roles)]
    yield allow("PassRoles", ["iam:PassRole"], only, {"StringLike": {"iam:PassedToService": passed}})


def _list_trusted(roles: Iterable[Mapping[str, Any]]) -> list[str]:
    trusts = (s for role in roles for s in role["AssumeRolePolicyDocument"]["Statement"])
    return sorted({s["Principal"]["Service"] for s in trusts})


def _fold(actions: Iterable[str]) -> list[str]:
    """Puts FOLDED in the place of the single reads that they hold."""
    return sorted({next((f for f in FOLDED if holds(f, action)), action) for action in actions})


def _merge(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Joins statements on the same resources under the same condition, but on all resources by name only."""
    found: dict[str, Statement] = {}
    for statement in statements:
        of = [statement["Resource"], statement.get("Condition"), statement["Sid"] if statement["Resource"] == ["*"] else None]
        first = found.setdefault(json.dumps(of, sort_keys=True), {**statement, "Action": []})
        first["Action"] = [*first["Action"], *statement["Action"]]
    for statement in found.values():
        yield {**statement, "Action": drop_held(statement["Action"])}
