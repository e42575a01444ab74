"""The ARNs of what a template makes, by service: as narrow as names allow, and no narrower than the next setting may need.

`trueup-x` becomes `trueup-*`, so that a policy need not be made anew with each setting; CloudFormation's own names begin
with the stack's, too ("Name type" in its user guide). Regions and accounts are `*`: such a policy reaches its own account only.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from emr.policy.declared import Resources

# type -> the property that names it, and its ARNs behind `arn:PARTITION:` (Service Authorization Reference)
ARNS: Mapping[str, tuple[str, ...]] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": ("ResourceId", "cloudwatch:*:*:alarm:TargetTracking-{name}-*"),
    "AWS::AutoScaling::AutoScalingGroup": ("AutoScalingGroupName", "autoscaling:*:*:autoScalingGroup:*:"
                                           "autoScalingGroupName/{name}"),
    "AWS::CloudWatch::Alarm": ("AlarmName", "cloudwatch:*:*:alarm:{name}"),
    "AWS::ECS::CapacityProvider": ("Name", "ecs:*:*:capacity-provider/{name}"),
    "AWS::ECS::Cluster": ("ClusterName", "ecs:*:*:cluster/{name}"),
    "AWS::ECS::Service": ("ServiceName", "ecs:*:*:service/*/{name}", "ecs:*:*:service-deployment/*/{name}/*"),
    "AWS::ECS::TaskDefinition": ("Family", "ecs:*:*:task-definition/{name}", "ecs:*:*:task-definition/{name}:*"),
    "AWS::Events::Rule": ("Name", "events:*:*:rule/{name}"),
    "AWS::IAM::InstanceProfile": ("InstanceProfileName", "iam::*:instance-profile{path}{name}"),
    "AWS::IAM::Role": ("RoleName", "iam::*:role{path}{name}"),
    "AWS::Logs::LogGroup": ("LogGroupName", "logs:*:*:log-group:{name}", "logs:*:*:log-group:{name}:*"),
    "AWS::S3::Bucket": ("BucketName", "s3:::{name}"),
    "AWS::SNS::Topic": ("TopicName", "sns:*:*:{name}"),
    "AWS::SQS::Queue": ("QueueName", "sqs:*:*:{name}"),
    "AWS::Scheduler::Schedule": ("Name", "scheduler:*:*:schedule/default/{name}"),
    "AWS::StepFunctions::StateMachine": ("StateMachineName", "states:*:*:stateMachine:{name}"),
}


def list_arns(resources: Resources, stack: str, partition: str) -> dict[str, list[str]]:
    """Lists the ARNs of a template's resources by service (`iam`, `sns`, …); those whose names EC2 makes up have none."""
    found: dict[str, set[str]] = {}
    for resource in resources.values():
        naming, *formats = ARNS.get(resource["Type"], ("",))
        properties = resource["Properties"]
        name = shorten(resolve(properties.get(naming, f"{stack}-"), partition), stack)
        path = resolve(properties.get("Path", "/"), partition)
        for text in formats:
            if not (name.endswith("*") and text.endswith("{name}:*")):  # which `name*` holds already
                found.setdefault(text.partition(":")[0], set()).add(
                    f"arn:{partition}:{text.format(name=name, path=path)}".replace("*-*", "*"))
    return {service: drop_held(arns) for service, arns in sorted(found.items())}


def shorten(name: str, stack: str) -> str:
    """Cuts a name off behind the stack's: trueup-driver becomes trueup-*, and /trueup/trueup-serve /trueup/trueup-*."""
    before, mark, _ = name.partition(f"{stack}-")
    return f"{before}{mark}*" if mark else name


def resolve(value: Any, partition: str) -> str:
    """Writes a value of a template as policies take it: `*` for what only CloudFormation knows."""
    if isinstance(value, Mapping) and "Fn::Sub" in value:
        return re.sub(r"\$\{[^}]*\}", "*", str(value["Fn::Sub"]).replace("${AWS::Partition}", partition))
    return value if isinstance(value, str) else "*"


def drop_held(patterns: Iterable[str]) -> list[str]:
    """Sorts patterns, without those that another one holds."""
    every = sorted(set(patterns))
    return [one for one in every if not any(other != one and holds(other, one) for other in every)]


def holds(pattern: str, text: str) -> bool:
    """Tells whether a pattern of IAM's matches a text, or everything that another pattern matches; `*` is any text."""
    return _compile(pattern).fullmatch(text) is not None


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))
