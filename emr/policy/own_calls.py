"""What `trueup emr …`, `trueup doctor --account` and the commands of docs/deploy.md call themselves, beside CloudFormation.

What makes and follows clusters and jobs is the driver's too, so it is read off the driver's role in the template.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contract.settings import EmrSettings
from emr.access import split_root
from emr.checks.account import ACTIONS, OF_A_KEY
from emr.checks.images import IN_ECR
from emr.cluster import POLICY_TAG
from emr.linked_roles import list_services
from emr.needs import SERVERLESS
from emr.policy.declared import Resources
from emr.policy.names import resolve
from emr.security import key
from emr.template import parts

Statement = dict[str, Any]
# The two last for emr.tags: IAM asks for them beside CreateStack and UpdateStack.
STACK = ("CreateStack", "DeleteStack", "DescribeStackEvents", "DescribeStacks", "UpdateStack", "TagResource", "UntagResource")
OBJECTS = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject")
PUSH = ("BatchCheckLayerAvailability", "BatchGetImage", "CompleteLayerUpload", "CreateRepository", "DeleteRepository",
        "DescribeImages", "GetDownloadUrlForLayer", "InitiateLayerUpload", "PutImage", "SetRepositoryPolicy", "UploadLayerPart")
ANYWHERE = "Everywhere"  # the statement of what takes no resource, or is only read
LINKED = "iam::*:role/aws-service-role/*"
# Of the driver's role, what its work with clusters, jobs and keys needs.
OF_THE_DRIVER = ("elasticmapreduce", "emr-serverless", "kms")


def allow(sid: str, actions: Sequence[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None) -> Statement:
    """Writes a statement, its actions sorted."""
    return {"Sid": sid, **parts.allow(sorted(set(actions)), sorted(set(resources)), condition)}


def list_statements(root: str, settings: EmrSettings, resources: Resources, arns: Mapping[str, Sequence[str]],
                    partition: str) -> Iterator[Statement]:
    """Yields the statements; `arns` are those of the template by service."""
    bucket, prefix = split_root(root)
    s3, stack = f"arn:{partition}:s3:::{bucket}", settings.stack
    yield allow("Stack", [f"cloudformation:{verb}" for verb in STACK], [f"arn:{partition}:cloudformation:*:*:stack/{stack}/*"])
    # The packages of `deploy`, requests and answers of `run`, and what else the page does at this root by hand.
    yield allow("Root", OBJECTS, [f"{s3}/{prefix}*"])
    yield allow("Bucket", ["s3:ListBucket"], [s3])
    yield allow("LinkedRoles", ["iam:CreateServiceLinkedRole"], [f"arn:{partition}:{LINKED}"],
                {"StringEquals": {"iam:AWSServiceName": list_services(settings)}})
    yield from _follow(resources, partition)
    # `status` and `destroy` read the tags of clusters and applications that may be another stack's.
    yield allow(ANYWHERE, ["elasticmapreduce:DescribeCluster", *(
        ["emr-serverless:GetApplication"] if settings.compute == SERVERLESS else [])], ["*"])
    yield from _by_hand(settings, s3, arns, partition)
    yield from _doctor(settings, s3, arns, partition)
    # CloudFormation reads what a template names by {{resolve:ssm:…}} with the rights of whoever deploys.
    if parameters := re.findall(r"{{resolve:ssm:([^:}]+)", json.dumps(resources)):
        yield allow("Parameters", ["ssm:GetParameters"], [f"arn:{partition}:ssm:*:*:parameter{name}" for name in parameters])


def _follow(resources: Resources, partition: str) -> Iterator[Statement]:
    for policy in resources["DriverRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            if actions[0].partition(":")[0] in OF_THE_DRIVER:
                on = [resolve(r, partition) for r in statement["Resource"]]
                sid = statement["Sid"] if on != ["*"] or "Condition" in statement else ANYWHERE
                yield allow(sid, actions, on, statement.get("Condition"))


def _doctor(settings: EmrSettings, s3: str, arns: Mapping[str, Sequence[str]], partition: str) -> Iterator[Statement]:
    """Yields what only looking needs; whoever lacks it reads `not asked`."""
    narrow = {"s3": ("Bucket", [s3]), "iam": ("SeeLinkedRoles", [f"arn:{partition}:{LINKED}"]),
              "ecr": ("Images", list_repositories(settings, partition))}
    for service, (sid, resources) in narrow.items():
        if resources:
            yield allow(sid, [a for a in ACTIONS if a.startswith(f"{service}:")], resources)
    yield allow(ANYWHERE, [a for a in ACTIONS if a.partition(":")[0] not in narrow], ["*"])
    if settings.kms_key:
        yield allow("Bucket", [a for a in OF_A_KEY if a.startswith("s3:")], [s3])
        yield from key.make_statements("SeeKey", settings, [a for a in OF_A_KEY if a.startswith("kms:")])
    yield allow("Roles", ["iam:SimulatePrincipalPolicy"], arns["iam"])


def _by_hand(settings: EmrSettings, s3: str, arns: Mapping[str, Sequence[str]], partition: str) -> Iterator[Statement]:
    """Yields what the `docker` and `aws` commands of docs/deploy.md need, as far as these settings lead to them."""
    if repositories := list_repositories(settings, partition):
        yield allow("Images", [f"ecr:{verb}" for verb in PUSH], repositories)
        yield allow(ANYWHERE, ["ecr:GetAuthorizationToken"], ["*"])
    if settings.driver_image:
        tasks = [f"arn:{partition}:ecs:*:*:task-definition/{settings.stack}-driver:*",
                 f"arn:{partition}:ecs:*:*:task/{settings.stack}/*"]
        yield allow("StartByHand", ["ecs:RunTask", "ecs:DescribeTasks", "ecs:StopTask"], tasks)
        yield allow("Logs", ["logs:FilterLogEvents"], arns["logs"])
        yield allow("Queue", ["sqs:ReceiveMessage", "sqs:PurgeQueue"], arns["sqs"])
        yield from key.make_statements("KeyOfQueue", settings, [key.READ], "sqs")
    if settings.subnets:
        yield allow("TagNetwork", ["ec2:CreateTags"], ["*"], {"ForAllValues:StringEquals": {"aws:TagKeys": [POLICY_TAG]}})
    if settings.start_on != "schedule" and not settings.create_bucket:
        yield allow("Bucket", ["s3:GetBucketNotification", "s3:PutBucketNotification"], [s3])
    if settings.kms_key and not settings.create_bucket:
        yield allow("Bucket", ["s3:PutEncryptionConfiguration"], [s3])
    if settings.certificates:
        yield allow("Certificates", ["s3:PutObject"], [f"arn:{partition}:s3:::{settings.certificates.removeprefix('s3://')}"])


def list_repositories(settings: EmrSettings, partition: str) -> list[str]:
    """Lists the ARNs of the repositories that the images of the settings lie in, of ECR only."""
    found = (IN_ECR.fullmatch(image) for image in (settings.driver_image, settings.service_image, settings.serverless_image)
             if image)
    return sorted({f"arn:{partition}:ecr:{m[2]}:{m[1]}:repository/{m[3]}" for m in found if m})
