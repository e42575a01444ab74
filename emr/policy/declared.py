"""What CloudFormation's handlers call in the name of whoever deploys, by resource type.

handlers.json has the declared permissions of each type that the template can have, from CloudFormation's own published
schemas. A handler declares all that it may ever call; what is left out here stands below with its reason.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from contract.errors import TrueupError

TABLE = Path(__file__).with_name("handlers.json")
Resources = Mapping[str, Mapping[str, Any]]  # as they stand in a template's body

# Called only for a property that the template does not set: type -> property -> actions. Where a resource sets it, they count.
ONLY_FOR: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": {
        "RoleARN": ("iam:PassRole",),
        "ScheduledActions": ("application-autoscaling:PutScheduledAction", "application-autoscaling:DeleteScheduledAction")},
    "AWS::AutoScaling::AutoScalingGroup": {
        "LifecycleHookSpecificationList": ("autoscaling:PutLifecycleHook", "autoscaling:DeleteLifecycleHook"),
        "LoadBalancerNames": ("autoscaling:AttachLoadBalancers", "autoscaling:DetachLoadBalancers"),
        "MetricsCollection": ("autoscaling:EnableMetricsCollection", "autoscaling:DisableMetricsCollection"),
        "MixedInstancesPolicy": ("ec2:Get*",),
        "NotificationConfigurations": ("autoscaling:PutNotificationConfiguration",
                                       "autoscaling:DeleteNotificationConfiguration"),
        "TargetGroupARNs": ("autoscaling:AttachLoadBalancerTargetGroups", "autoscaling:DetachLoadBalancerTargetGroups"),
        "TrafficSources": ("autoscaling:AttachTrafficSources", "autoscaling:DetachTrafficSources",
                           "vpc-lattice:DeregisterTargets", "vpc-lattice:GetTargetGroup", "vpc-lattice:ListTargets",
                           "vpc-lattice:RegisterTargets")},
    "AWS::EC2::EIP": {"InstanceId": ("ec2:AssociateAddress",), "TransferAddress": ("ec2:AcceptAddressTransfer",)},
    "AWS::EC2::NatGateway": {
        "SecondaryAllocationIds": ("ec2:AssociateNatGatewayAddress", "ec2:DisassociateNatGatewayAddress"),
        "SecondaryPrivateIpAddresses": ("ec2:AssignPrivateNatGatewayAddress", "ec2:UnassignPrivateNatGatewayAddress")},
    "AWS::EC2::Subnet": {"Ipv6CidrBlock": ("ec2:AssociateSubnetCidrBlock", "ec2:DisassociateSubnetCidrBlock")},
    "AWS::EC2::VPC": {"InstanceTenancy": ("ec2:ModifyVpcTenancy",), "VpcEncryptionControl": ("ec2:CreateVpcEncryptionControl",)},
    "AWS::EC2::VPCEndpoint": {"ServiceNetworkArn": ("vpc-lattice:CreateServiceNetworkVpcEndpointAssociation",),
                              "ServiceRegion": ("vpce:AllowMultiRegion",)},
    "AWS::EC2::VPCGatewayAttachment": {"VpnGatewayId": ("ec2:AttachVpnGateway", "ec2:DetachVpnGateway")},
    "AWS::ECS::Cluster": {"Configuration": ("kms:DescribeKey",)},
    "AWS::ElasticLoadBalancingV2::LoadBalancer": {
        "IpAddressType": ("elasticloadbalancing:SetIpAddressType",), "Ipv4IpamPoolId": ("elasticloadbalancing:ModifyIpPools",),
        "MinimumLoadBalancerCapacity": ("elasticloadbalancing:ModifyCapacityReservation",)},
    "AWS::ElasticLoadBalancingV2::TargetGroup": {
        "Targets": ("elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets")},
    "AWS::Logs::LogGroup": {
        "BearerTokenAuthenticationEnabled": ("logs:PutBearerTokenAuthentication",),
        "DataProtectionPolicy": ("logs:PutDataProtectionPolicy", "logs:CreateLogDelivery", "firehose:TagDeliveryStream"),
        "DeletionProtectionEnabled": ("logs:PutLogGroupDeletionProtection",),
        "FieldIndexPolicies": ("logs:PutIndexPolicy", "logs:DeleteIndexPolicy"),
        "ResourcePolicyDocument": ("logs:PutResourcePolicy", "logs:DeleteResourcePolicy")},
    "AWS::S3::Bucket": {
        "AbacStatus": ("s3:PutBucketAbac",), "AccelerateConfiguration": ("s3:PutAccelerateConfiguration",),
        "AccessControl": ("s3:PutBucketAcl", "s3:PutObjectAcl"),
        "AnalyticsConfigurations": ("s3:PutAnalyticsConfiguration",), "CorsConfiguration": ("s3:PutBucketCORS",),
        "IntelligentTieringConfigurations": ("s3:PutIntelligentTieringConfiguration",),
        "InventoryConfigurations": ("s3:PutInventoryConfiguration",),
        "MetadataTableConfiguration": (
            "s3:CreateBucketMetadataTableConfiguration", "s3:DeleteBucketMetadataTableConfiguration",
            "s3:UpdateBucketMetadataAnnotationTableConfiguration", "s3:UpdateBucketMetadataInventoryTableConfiguration",
            "s3:UpdateBucketMetadataJournalTableConfiguration", "s3tables:CreateNamespace", "s3tables:CreateTable",
            "s3tables:CreateTableBucket", "s3tables:GetTable", "s3tables:GetTableMetadataLocation",
            "s3tables:PutTableBucketPolicy", "s3tables:PutTableEncryption", "s3tables:PutTablePolicy",
            "s3tables:UpdateTableMetadataLocation"),
        "MetricsConfigurations": ("s3:PutMetricsConfiguration",),
        "ObjectLockConfiguration": ("s3:PutBucketObjectLockConfiguration",),
        "ReplicationConfiguration": ("s3:PutReplicationConfiguration", "iam:PassRole"),
        "WebsiteConfiguration": ("s3:PutBucketWebsite", "s3:DeleteBucketWebsite")},
    "AWS::SNS::Topic": {"DataProtectionPolicy": ("sns:PutDataProtectionPolicy",), "DeliveryStatusLogging": ("iam:PassRole",)},
    "AWS::StepFunctions::StateMachine": {
        "DefinitionS3Location": ("s3:GetObject", "s3:GetObjectVersion"),
        "EncryptionConfiguration": ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey")},
}
# Names of S3's operations, or of services that IAM does not list: no policy can allow them (tests/emr/test_deployer.py).
NO_ACTIONS = frozenset((
    "s3:DeleteBucketAnalyticsConfiguration", "s3:DeleteBucketCors", "s3:DeleteBucketEncryption", "s3:DeleteBucketLifecycle",
    "s3:DeleteBucketMetricsConfiguration", "s3:DeleteBucketReplication", "s3:DeleteBucketTagging", "s3:PutBucketReplication",
    "s3:PutObjectLockConfiguration", "s3:REST.PUT.OBJECT", "managed-fleets:CreateAutoScalingGroup",
    "managed-fleets:DeleteAutoScalingGroup", "managed-fleets:DeregisterAutoScalingGroup", "managed-fleets:Get*",
    "managed-fleets:RegisterAutoScalingGroup", "managed-fleets:UpdateAutoScalingGroup",
    "vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation"))
NOT_OURS = {  # action -> why it is left out
    "autoscaling:StartInstanceRefresh": "only for an update policy of the stack's that replaces instances",
    "autoscaling:CancelInstanceRefresh": "only for an update policy of the stack's that replaces instances",
    "cognito-idp:DescribeUserPoolClient": "only for a listener that signs in by Cognito",
    "ecs:PutAccountSetting": "defaults of the whole account are nobody's to change by a stack",
    "ecs:PutAccountSettingDefault": "defaults of the whole account are nobody's to change by a stack",
    "iam:DeleteRolePermissionsBoundary": "whoever made the boundary takes it away",
    "lambda:DeleteProvisionedConcurrencyConfig": "only for functions that scale",
    "lambda:GetProvisionedConcurrencyConfig": "only for functions that scale",
    "lambda:PutProvisionedConcurrencyConfig": "only for functions that scale",
    "ssm:Get*": "of parameters, only the public one with the name of ECS's image is read: ssm:GetParameters",
}


@cache
def read_table() -> dict[str, dict[str, list[str]]]:
    """Reads type -> create, read, update, delete, tagging (by tags of the stack's) -> declared actions."""
    return dict(json.loads(TABLE.read_text())["types"])


def list_actions(resources: Resources) -> set[str]:
    """Lists what the handlers of these resources may call. TrueupError for a type that the table does not have."""
    return {action for resource in resources.values() for action in list_of_type(resource["Type"], resource["Properties"])}


def list_of_type(kind: str, properties: Mapping[str, Any]) -> set[str]:
    """Lists what the handler of one resource may call with these properties."""
    if kind not in read_table():
        raise TrueupError(f"{TABLE.name}: expected the permissions of {kind}, which the template has; found none. "
                          f"Write the table anew: python -m tests.emr.handlers.")
    declared = {action for actions in read_table()[kind].values() for action in actions}
    unused = {a for name, actions in ONLY_FOR.get(kind, {}).items() if name not in properties for a in actions}
    return declared - unused - NO_ACTIONS - NOT_OURS.keys()
