"""What an organisation demands of every role, and tags where CloudFormation brings none, by kind: a new role is no exception.

The stack's own tags (`trueup emr deploy`) reach every resource that can have some. They do not reach what those start: the
instances, volumes and tasks of the service, and the driver's tasks (schedule.py, machine.py).
"""

from collections.abc import Mapping
from typing import Any

from contract.settings import EmrSettings
from emr.template.parts import Resource

ROLE, PROFILE = "AWS::IAM::Role", "AWS::IAM::InstanceProfile"


def keep_rules(resources: Mapping[str, Resource], settings: EmrSettings) -> dict[str, Resource]:
    """Returns the resources with boundary, path and tags; unchanged without those settings."""
    return {name: Resource(made.kind, {**made.properties, **_demand(made, settings)}, made.keep, made.after)
            for name, made in resources.items()}


def _demand(made: Resource, settings: EmrSettings) -> dict[str, Any]:
    demanded: dict[str, Any] = {}
    if made.kind in (ROLE, PROFILE) and settings.role_path != "/":
        demanded["Path"] = settings.role_path
    if made.kind == ROLE and settings.permissions_boundary:
        demanded["PermissionsBoundary"] = settings.permissions_boundary
    return demanded | (_tag(made, settings.tags) if settings.tags else {})


def _tag(made: Resource, tags: Mapping[str, str]) -> dict[str, Any]:
    listed = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    if made.kind == "AWS::AutoScaling::AutoScalingGroup":
        return {"Tags": [*made.properties["Tags"], *(tag | {"PropagateAtLaunch": True} for tag in listed)]}
    if made.kind == "AWS::EC2::LaunchTemplate":
        volumes = {"TagSpecifications": [{"ResourceType": "volume", "Tags": listed}]}
        return {"LaunchTemplateData": made.properties["LaunchTemplateData"] | volumes}
    return {"PropagateTags": "SERVICE"} if made.kind == "AWS::ECS::Service" else {}
