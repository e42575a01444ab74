"""What the remover may do: end the rehearsal's clusters, empty its bucket, delete its stack and what the stack made.

CloudFormation deletes a stack by the rights of whoever asks for it, so the role that asks holds what the handler of every
type in the template declares for `delete` in CloudFormation's registry, on the rehearsal's own names or tags alone.
"""

import re
from collections.abc import Iterable
from typing import Any

from contract.errors import UsageError
from emr.cluster import POLICY_TAG, STACK_TAG
from emr.template.parts import allow

OWN, IAM = "arn:${AWS::Partition}", "arn:${AWS::Partition}:iam::${AWS::AccountId}"
HERE = "${AWS::Region}:${AWS::AccountId}"
# type -> its handler's actions, and the ARN that they are about ({stack} and {bucket} are names, {path} that of roles)
NAMED: dict[str, tuple[tuple[str, ...], str]] = {
    "AWS::IAM::Role": (("iam:GetRole", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:DeleteRolePolicy",
                        "iam:DetachRolePolicy", "iam:DeleteRole", "iam:TagRole", "iam:UntagRole"),
                       f"{IAM}:role{{path}}{{stack}}-*"),
    "AWS::IAM::InstanceProfile": (("iam:GetInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"),
                                  f"{IAM}:instance-profile{{path}}{{stack}}-*"),
    # IAM cannot narrow these.
    "AWS::EMR::SecurityConfiguration": (("elasticmapreduce:DescribeSecurityConfiguration",
                                         "elasticmapreduce:DeleteSecurityConfiguration"), "*"),
    "AWS::S3::Bucket": (("s3:ListBucket", "s3:DeleteBucket"), f"{OWN}:s3:::{{bucket}}"),
    "AWS::S3::BucketPolicy": (("s3:GetBucketPolicy", "s3:DeleteBucketPolicy"), f"{OWN}:s3:::{{bucket}}"),
    "AWS::SNS::Topic": (("sns:GetTopicAttributes", "sns:DeleteTopic"), f"{OWN}:sns:{HERE}:{{stack}}-*"),
    "AWS::CloudWatch::Alarm": (("cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms"),
                               f"{OWN}:cloudwatch:{HERE}:alarm:{{stack}}-*"),
    "AWS::Scheduler::Schedule": (("scheduler:GetSchedule", "scheduler:DeleteSchedule"),
                                 f"{OWN}:scheduler:{HERE}:schedule/*/{{stack}}-*"),
    "AWS::StepFunctions::StateMachine": (("states:DescribeStateMachine", "states:DeleteStateMachine"),
                                         f"{OWN}:states:{HERE}:stateMachine:{{stack}}-*")}
# What a network is made of has no names of ours; CloudFormation tags it with the stack's.
TAGGED: dict[str, tuple[str, ...]] = {
    "AWS::EC2::VPC": ("ec2:DeleteVpc",), "AWS::EC2::Subnet": ("ec2:DeleteSubnet",),
    "AWS::EC2::RouteTable": ("ec2:DeleteRouteTable",), "AWS::EC2::Route": ("ec2:DeleteRoute",),
    "AWS::EC2::SubnetRouteTableAssociation": ("ec2:DisassociateRouteTable",),
    "AWS::EC2::InternetGateway": ("ec2:DeleteInternetGateway",),
    "AWS::EC2::VPCGatewayAttachment": ("ec2:DetachInternetGateway", "ec2:DetachVpnGateway"),
    "AWS::EC2::EIP": ("ec2:ReleaseAddress", "ec2:DisassociateAddress"), "AWS::EC2::NatGateway": ("ec2:DeleteNatGateway",),
    "AWS::EC2::VPCEndpoint": ("ec2:DeleteVpcEndpoints", "ec2:CreateTags", "ec2:DeleteTags", "vpce:AllowMultiRegion"),
    "AWS::EC2::SecurityGroup": ("ec2:DeleteSecurityGroup",)}
NETWORK_LOOKS = (*(f"ec2:Describe{what}" for what in (
    "Vpcs", "Subnets", "RouteTables", "InternetGateways", "VpnGateways", "NatGateways", "Addresses", "VpcEndpoints",
    "SecurityGroups", "Instances")),)
EMR_GROUP = ("ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress", "ec2:DeleteSecurityGroup")


def make_statements(stack: str, bucket: str, kinds: Iterable[str], path: str = "/") -> list[dict[str, Any]]:
    """Makes the remover's statements for a template of these resource types. UsageError for a type that it cannot delete."""
    wanted = sorted(set(kinds))
    if unknown := [kind for kind in wanted if kind not in NAMED and kind not in TAGGED]:
        raise UsageError(f"rehearsal: expected settings whose stack its remover can delete, got some that make "
                         f"{', '.join(unknown)}. Rehearse without those settings.")
    names = {"{stack}": stack, "{bucket}": bucket, "{path}": path}
    named = [allow(NAMED[kind][0], [re.sub(r"(?<!\$){\w+}", lambda found: names[found[0]], NAMED[kind][1])])
             for kind in wanted if kind in NAMED]
    tagged = sorted({action for kind in wanted for action in TAGGED.get(kind, ())})
    return [*_make_machine_statements(stack, bucket), *named, *(_make_network_statements(stack, tagged) if tagged else [])]


def _make_machine_statements(stack: str, bucket: str) -> list[dict[str, Any]]:
    """What the machine itself calls."""
    return [
        allow(["elasticmapreduce:ListClusters"], ["*"]),
        allow(["elasticmapreduce:TerminateJobFlows"], [f"{OWN}:elasticmapreduce:{HERE}:cluster/*"],
              {"StringEquals": {f"elasticmapreduce:ResourceTag/{STACK_TAG}": stack}}),
        allow(["s3:ListBucketVersions"], [f"{OWN}:s3:::{bucket}"]),
        allow(["s3:DeleteObject", "s3:DeleteObjectVersion"], [f"{OWN}:s3:::{bucket}/*"]),
        allow(["cloudformation:DescribeStacks", "cloudformation:DeleteStack"],
              [f"{OWN}:cloudformation:{HERE}:stack/{stack}/*"])]


def _make_network_statements(stack: str, actions: list[str]) -> list[dict[str, Any]]:
    ours = {"StringEquals": {"aws:ResourceTag/aws:cloudformation:stack-name": stack}}
    emrs = {"StringEquals": {f"aws:ResourceTag/{POLICY_TAG}": "true"}}
    everything = [f"{OWN}:ec2:{HERE}:*/*"]
    return [allow(NETWORK_LOOKS, ["*"]), allow(actions, everything, ours),
            allow(EMR_GROUP, [f"{OWN}:ec2:{HERE}:security-group/*"], emrs)]
